"""Idempotency ids as clients give them: a header for one entry, a member of a batch's lines."""

from __future__ import annotations

import re

from tlog.api.errors import MalformedRequestError
from tlog.api.requests import Request
from tlog.ids import MAX_ID_CHARS, EntryId

IDEMPOTENCY_KEY = "Idempotency-Key"

_ID = re.compile(rf"[ -~]{{1,{MAX_ID_CHARS}}}", re.ASCII)


def header_id(request: Request) -> EntryId | None:
    """The id of a request with one entry; None without one."""
    values = request.headers.getall(IDEMPOTENCY_KEY, [])
    if not values:
        return None
    if len(values) > 1:
        message = f"{IDEMPOTENCY_KEY} is given {len(values)} times"
        raise MalformedRequestError(message)
    return id_of(request, values[0])


def refuse_header_id(request: Request) -> None:
    """A batch has an id a line: one for all would not say which entry it is."""
    if IDEMPOTENCY_KEY in request.headers:
        message = f"{IDEMPOTENCY_KEY} is for one entry: in a batch each line has its own id"
        raise MalformedRequestError(message)


def id_of(request: Request, text: str) -> EntryId:
    """The id `text` of the caller, whose token is the principal."""
    if not _ID.fullmatch(text):
        message = f"an id has 1 to {MAX_ID_CHARS} printable ASCII characters"
        raise MalformedRequestError(message)
    token = request.caller.token
    if token is None:
        message = "an append without a token was authorised"
        raise AssertionError(message)
    return EntryId(token.id, text)
