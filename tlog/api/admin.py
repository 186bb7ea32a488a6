"""Administration: logs, tokens, clocks.

The operator at the unix socket may do everything. The holder of a token with scope admin, on the
administrative address, rules the logs of that token: it sees no other, makes and revokes tokens
that are for these alone, and a log that it creates is added to them.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web

from tlog.api.access import check_still_valid
from tlog.api.bodies import content_type, read_body
from tlog.api.errors import (
    MalformedRequestError,
    NoSuchResourceError,
    UnsupportedMediaTypeError,
)
from tlog.api.parameters import query
from tlog.api.requests import Request, backend_of, config_of, log_of, operated_by
from tlog.api.responses import JSON, json_response
from tlog.creation import NewLog
from tlog.tls import read_client_pem
from tlog.tokens import DEFAULT_LIFETIME_S, MAX_LIFETIME_S, Scope, TokenRow

MAX_BODY_BYTES = 64 * 1024

Body = TypeVar("Body", bound=msgspec.Struct)


class LogCreation(msgspec.Struct, forbid_unknown_fields=True):
    """A log to create; kind is `opaque/1` or `event/1`."""

    name: str
    origin: str
    kind: str
    public: bool = False


class TokenCreation(msgspec.Struct, forbid_unknown_fields=True):
    """A token to create; expires_in_s counts from now, 1 second to 100 years.

    certificate: of a client, in PEM; then it and others of its key are let in, without a token.
    """

    logs: list[str]
    scopes: list[Scope]
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIFETIME_S)] = DEFAULT_LIFETIME_S
    certificate: str | None = None


async def list_logs(request: Request) -> web.StreamResponse:
    """Every log that the caller rules."""
    query(request)
    caller = request.caller
    seen = [log for log in operated_by(request).logs.values() if caller.is_known_to(log)]
    logs = [log.facts.as_json() for log in seen]
    return json_response({"logs": logs})


async def show_log(request: Request) -> web.StreamResponse:
    """One log."""
    query(request)
    return json_response((await log_of(request).read_facts()).as_json())


async def create_log(request: Request) -> web.StreamResponse:
    """Create a log; it takes appends as soon as this is answered."""
    query(request)
    body = await _read_json(request, LogCreation)
    new = NewLog(body.name, body.origin, body.kind, body.public)
    token, host = request.caller.token, operated_by(request)
    check = partial(check_still_valid, host, request.caller)  # it may have to wait for its turn
    facts = await host.create_log(new, token.id if token is not None else None, check)
    return json_response(facts.as_json(), status=201)


async def confirm_clock(request: Request) -> web.StreamResponse:
    """The operator vouches for the clock."""
    query(request)
    log = log_of(request)
    await operated_by(request).confirm_clock(log.row.name)
    return json_response((await log.read_facts()).as_json())


async def list_tokens(request: Request) -> web.StreamResponse:
    """Every token for the caller's logs alone, without what could be used to guess it."""
    query(request)
    caller = request.caller
    rows = operated_by(request).tokens.rows.values()
    return json_response({"tokens": [_members(row) for row in rows if caller.covers(row.logs)]})


async def create_token(request: Request) -> web.StreamResponse:
    """Create a token, which only this answer ever shows; or let a certificate in."""
    query(request)
    body = await _read_json(request, TokenCreation)
    if not request.caller.covers(body.logs):
        message = "there is no such log among those of the token that asks"
        raise NoSuchResourceError(message)
    host = operated_by(request)
    if body.certificate is not None:
        key_hash = read_client_pem(body.certificate).key_hash
        row_id = await host.create_certificate(key_hash, body.logs, body.scopes, body.expires_in_s)
        return json_response({"id": row_id}, status=201)
    token = await host.create_token(body.logs, body.scopes, body.expires_in_s)
    return json_response({"token": token}, status=201)


async def revoke_token(request: Request) -> web.StreamResponse:
    """Revoke a token, from this moment on."""
    query(request)
    token_id = request.path_values["id"]
    host = operated_by(request)
    row = host.tokens.rows.get(token_id)
    if row is not None and not request.caller.covers(row.logs):
        message = f"no token with the id {token_id}"
        raise NoSuchResourceError(message)
    await host.revoke_token(token_id)
    return json_response({"id": token_id})


def _members(row: TokenRow) -> dict[str, object]:
    return {
        "id": row.id,
        "scopes": sorted(row.scopes),
        "logs": sorted(row.logs),
        "created": row.created,
        "expires": row.expires,
        "revoked": row.revoked,
        "certificate": row.token_hash.hex() if row.certificate else None,
    }


async def _read_json(request: Request, kind: type[Body]) -> Body:
    if content_type(request) != JSON:
        message = f"this route takes {JSON}"
        raise UnsupportedMediaTypeError(message)
    body = await read_body(request, MAX_BODY_BYTES, config_of(request).body_timeout_s)
    check_still_valid(backend_of(request), request.caller)  # a body may take a minute
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"the body is not what this route takes: {error}"
        raise MalformedRequestError(message) from error
