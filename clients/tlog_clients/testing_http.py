"""The HTTP face of a FakeLog: the public resources, `add` and `entries`, and planned faults."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from tlog_clients.problem import PROBLEM_CONTENT_TYPE, PROBLEM_TYPE_PREFIX
from tlog_clients.submission import MAX_BATCH_BODY_BYTES, MAX_BATCH_ENTRIES
from tlog_clients.testing_state import FakeState, ProblemError
from tlog_proofs import (
    MAX_ENTRY_BYTES,
    MalformedError,
    Tile,
    encode_base64,
    leaf_hash,
    parse_decimal,
    parse_tile_path,
)

NDJSON = "application/x-ndjson"
_OCTETS = "application/octet-stream"
_LARGEST_BODY_BYTES = MAX_BATCH_BODY_BYTES + 1
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(state: FakeState) -> web.Application:
    """Serve the log at /logs/fake."""
    routes = _Routes(state)
    app = web.Application(client_max_size=_LARGEST_BODY_BYTES, middlewares=[routes.answer])
    log = "/logs/fake"
    app.add_routes(
        [
            web.get(f"{log}/checkpoint", routes.checkpoint),
            web.get(log + "/checkpoints/{size}", routes.stored_checkpoint),
            web.get(log + "/{path:tile/.*}", routes.tile),
            web.get(log + "/entries/{index}", routes.entry),
            web.get(log + "/proof/inclusion/{index}", routes.published_proof),
            web.get(log + "/proof/inclusion/{index}/{size}", routes.inclusion),
            web.get(log + "/proof/consistency/{old}/{new}", routes.consistency),
            web.get(log + "/leaf-hash/{hash}", routes.leaf_hash),
            web.post(f"{log}/add", routes.add),
            web.post(f"{log}/entries", routes.entries),
        ]
    )
    return app


class _Routes:
    def __init__(self, state: FakeState) -> None:
        self._state = state

    @web.middleware
    async def answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Answer, with the faults that are planned."""
        state = self._state
        state.requests.append(f"{request.method} {request.path}")
        if state.delay_s:
            await asyncio.sleep(state.delay_s)
        try:
            if state.token is not None and request.headers.get("Authorization") != (
                f"Bearer {state.token}"
            ):
                raise ProblemError(401, "unauthorised", "A valid token is needed")
            if request.method == "POST" and state.failures:
                raise state.failures.popleft()
            response = await handler(request)
        except ProblemError as error:
            return _problem(error)
        except MalformedError as error:
            return _problem(ProblemError(400, "malformed", str(error)))
        except web.HTTPRequestEntityTooLarge:
            return _problem(ProblemError(413, "body-too-large", "The body is too large"))
        if request.method == "POST" and state.dropped and request.transport is not None:
            state.dropped -= 1
            request.transport.abort()
        return response

    async def checkpoint(self, _: web.Request) -> web.Response:
        return _text(self._state.tree.checkpoint(self._state.published))

    async def stored_checkpoint(self, request: web.Request) -> web.Response:
        size = self._number(request, "size")
        if size not in self._state.published_sizes:
            raise ProblemError(404, "not-found", "There is nothing by that name")
        return _text(self._state.tree.checkpoint(size))

    async def tile(self, request: web.Request) -> web.Response:
        tile = parse_tile_path(request.match_info["path"])
        # A partial tile that was published once stays, as in any log of tlog-tiles.
        level = tile.level if isinstance(tile, Tile) else 0
        if tile.index * 256 + tile.width > self._state.published >> (8 * level):
            raise ProblemError(404, "not-published", "Beyond the published size")
        return web.Response(body=self._state.tree.tile(tile), content_type=_OCTETS)

    async def entry(self, request: web.Request) -> web.Response:
        index = self._number(request, "index")
        self._check_published(index + 1)
        return web.Response(body=self._state.tree.entries[index], content_type=_OCTETS)

    async def published_proof(self, request: web.Request) -> web.Response:
        index, size = self._number(request, "index"), self._state.published
        self._check_published(index + 1)
        accept = request.headers.get("Accept", "")
        if accept == "application/cose":
            raise ProblemError(409, "no-receipt", "There is no such receipt at this size")
        if "text/plain" in accept:
            return _text(self._state.tree.tlog_proof(index, size))
        checkpoint = self._state.tree.checkpoint(size).decode()
        return web.json_response(self._inclusion(index, size) | {"checkpoint": checkpoint})

    async def inclusion(self, request: web.Request) -> web.Response:
        index, size = self._number(request, "index"), self._number(request, "size")
        if index >= size:
            raise ProblemError(400, "out-of-range", "These numbers cannot go together")
        self._check_published(size)
        return web.json_response(self._inclusion(index, size))

    async def consistency(self, request: web.Request) -> web.Response:
        old, new = self._number(request, "old"), self._number(request, "new")
        if not 0 < old <= new:
            raise ProblemError(400, "out-of-range", "These numbers cannot go together")
        self._check_published(new)
        proof = [encode_base64(value) for value in self._state.tree.consistency(old, new)]
        return web.json_response({"old": old, "new": new, "proof": proof})

    async def leaf_hash(self, request: web.Request) -> web.Response:
        index = self._state.tree.index_of_leaf.get(_hex(request.match_info["hash"]))
        if index is None or index >= self._state.published:
            raise ProblemError(404, "not-found", "There is nothing by that name")
        return web.json_response({"index": index})

    async def add(self, request: web.Request) -> web.Response:
        entry = _checked(await request.read())
        (index,) = self._state.append([(entry, request.headers.get("Idempotency-Key"))])
        return web.Response(text=str(index))

    async def entries(self, request: web.Request) -> web.Response:
        wait = request.query.get("wait")
        if wait not in (None, "published"):
            raise ProblemError(409, "no-policy", "The log has no witnesses to wait for")
        if request.content_type == _OCTETS:
            key = request.headers.get("Idempotency-Key")
            lines = [(_checked(await request.read()), key)]
        elif request.content_type == NDJSON:
            lines = _parse_lines(await request.read())
        else:
            raise ProblemError(415, "unsupported-media-type", f"Expected {_OCTETS} or {NDJSON}")
        size_before = self._state.tree.size
        indexes = self._state.append(lines)
        is_late = wait is not None and max(indexes) >= self._state.published
        value = self._acks(lines, indexes, batch=request.content_type == NDJSON)
        if is_late:
            return web.json_response(value | {"state": "committed"}, status=202)
        if "entries" in value:
            value["count"] = len(lines)
            if max(indexes) >= size_before:
                value["first_index"] = size_before
        if wait is not None:
            value |= self._published(indexes[0], batch="entries" in value)
        return web.json_response(value, status=201 if max(indexes) >= size_before else 200)

    def _acks(
        self, lines: list[tuple[bytes, str | None]], indexes: list[int], *, batch: bool
    ) -> dict[str, object]:
        acks: list[dict[str, object]] = [
            {"index": index, "leaf_hash": encode_base64(leaf_hash(entry))}
            for index, (entry, _) in zip(indexes, lines, strict=True)
        ]
        return {"entries": acks} if batch else acks[0]

    def _published(self, index: int, *, batch: bool) -> dict[str, object]:
        tree, size = self._state.tree, self._state.published
        if batch:
            return {"checkpoint": tree.checkpoint(size).decode()}
        return {"proof": tree.tlog_proof(index, size).decode()}

    def _inclusion(self, index: int, size: int) -> dict[str, object]:
        tree = self._state.tree
        proof = [encode_base64(value) for value in tree.inclusion(index, size)]
        leaf = encode_base64(leaf_hash(tree.entries[index]))
        return {"index": index, "size": size, "leaf_hash": leaf, "proof": proof}

    def _number(self, request: web.Request, name: str) -> int:
        return parse_decimal(request.match_info[name])

    def _check_published(self, size: int) -> None:
        if size > self._state.published:
            raise ProblemError(404, "not-published", "Beyond the published size")


def _checked(entry: bytes) -> bytes:
    if len(entry) > MAX_ENTRY_BYTES:
        raise ProblemError(413, "entry-too-large", "An entry is too large")
    return entry


def _parse_lines(body: bytes) -> list[tuple[bytes, str | None]]:
    lines = body.splitlines()
    if not lines:
        raise ProblemError(400, "empty-batch", "The batch holds no entry")
    if len(lines) > MAX_BATCH_ENTRIES or len(body) > MAX_BATCH_BODY_BYTES:
        raise ProblemError(413, "batch-too-large", "The batch is too large")
    parsed: list[tuple[bytes, str | None]] = []
    for line in lines:
        try:
            value = json.loads(line)
            if not isinstance(value, dict) or not value.keys() <= {"entry", "id"}:
                raise ValueError("expected an object of entry and id")
            entry = base64.b64decode(value["entry"], validate=True)
            entry_id = value.get("id")
        except (ValueError, KeyError, TypeError):
            raise ProblemError(400, "malformed", "Expected lines of entry and id") from None
        if entry_id is not None and not isinstance(entry_id, str):
            raise ProblemError(400, "malformed", "Expected a string as id")
        parsed.append((_checked(entry), entry_id))
    return parsed


def _hex(text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if value.hex() != text or len(value) != 32:  # noqa: PLR2004 - of SHA-256
        raise ProblemError(400, "malformed", "Expected 64 lowercase hex digits")
    return value


def _text(data: bytes) -> web.Response:
    return web.Response(body=data, content_type="text/plain", charset="utf-8")


def _problem(error: ProblemError) -> web.Response:
    value = {"type": PROBLEM_TYPE_PREFIX + error.name, "title": str(error), "status": error.status}
    response = web.Response(
        body=json.dumps(value).encode(), status=error.status, content_type=PROBLEM_CONTENT_TYPE
    )
    if error.status == 401:  # noqa: PLR2004 - Unauthorized
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response
