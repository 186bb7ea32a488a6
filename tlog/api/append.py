"""Appending entries: bound and parse, hand over, wait for what the client asked for.

A body is not read for a log that takes no entries now, and counts as queued while it arrives.

A disconnect takes nothing back, and once an entry stands no answer denies it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import msgspec
from aiohttp import web

from tlog.api.access import check_still_valid
from tlog.api.backend import LogBackend
from tlog.api.bodies import arrived_body, body_chunks, content_type, join
from tlog.api.cbor_seq import parse_sequence
from tlog.api.entry_ids import header_id, id_of, refuse_header_id
from tlog.api.errors import UnsupportedMediaTypeError
from tlog.api.ndjson import Batch, parse_entries
from tlog.api.parameters import Wait, WaitFor, query, wait_for
from tlog.api.proofs import tlog_proof
from tlog.api.requests import Request, backend_of, config_of, log_of
from tlog.api.responses import BYTES, NO_STORE, caching, json_response, text_response
from tlog.budget import Reservation
from tlog.checkpoints import Published
from tlog.errors import NoPolicyError, ServerError, WrongKindError
from tlog.idempotency import Placed
from tlog.ids import EntryId
from tlog_proofs import KIND_OPAQUE, MAX_ENTRY_BYTES

NDJSON, CBOR_SEQ = "application/x-ndjson", "application/cbor-seq"
COMMITTED = "committed"

_Parser = Callable[[AsyncIterator[bytes], int], Awaitable[Batch]]
_BATCHES: Mapping[str, _Parser] = {NDJSON: parse_entries, CBOR_SEQ: parse_sequence}


class _Place(msgspec.Struct, gc=False):
    """Where an entry of a batch stands; as JSON its hash is standard base64."""

    index: int
    leaf_hash: bytes


async def add(request: Request) -> web.StreamResponse:
    """Append the body as one entry; the index alone, in ASCII decimal."""
    query(request)
    log = _log_to_append_to(request)
    entry_id = header_id(request)
    placed = await log.append([await _read_entry(request, log, gzip=False)], [entry_id])
    return text_response(b"%d" % placed.indexes[0], cache=caching(log, NO_STORE))


async def entries(request: Request) -> web.StreamResponse:
    """Append one entry (octet-stream) or a batch (NDJSON, or a CBOR sequence)."""
    log = _log_to_append_to(request)
    wait = wait_for(request, config_of(request))
    if wait is not None and wait.state is Wait.WITNESSED:
        message = "the log collects no cosignatures: wait=published is what it can give"
        raise NoPolicyError(message)
    media_type = content_type(request)
    if media_type == BYTES:
        entry_id = header_id(request)
        return await _append_one(log, await _read_entry(request, log), entry_id, wait)
    parse = _BATCHES.get(media_type)
    if parse is not None:
        refuse_header_id(request)
        batch = await _read_batch(request, log, parse)
        ids = [None if text is None else id_of(request, text) for text in batch.ids]
        return await _append_batch(log, batch.entries, ids, wait)
    message = f"this route takes {BYTES} (one entry), {NDJSON} and {CBOR_SEQ} (a batch)"
    raise UnsupportedMediaTypeError(message)


def _log_to_append_to(request: Request) -> LogBackend:
    """The log, if it takes raw entries from such a request at all."""
    log = log_of(request)
    if log.row.kind != KIND_OPAQUE:
        message = f"a log of kind {log.row.kind} takes no raw entries"
        raise WrongKindError(message)
    return log


async def _read_entry(request: Request, log: LogBackend, *, gzip: bool = True) -> bytes:
    arrived = arrived_body(request, MAX_ENTRY_BYTES)
    if arrived is not None:
        return arrived
    await log.check_accepting()
    timeout_s = config_of(request).body_timeout_s
    # What is reserved is given back before the append takes its own, in the same turn of the loop.
    with log.reserve() as reservation:
        chunks = body_chunks(request, MAX_ENTRY_BYTES, timeout_s, gzip=gzip)
        entry = await join(_counted(chunks, reservation))
    check_still_valid(backend_of(request), request.caller)  # a body may take a minute
    return entry


async def _read_batch(request: Request, log: LogBackend, parse: _Parser) -> Batch:
    await log.check_accepting()
    config = config_of(request)
    with log.reserve() as reservation:
        chunks = body_chunks(request, config.batch_bytes, config.body_timeout_s)
        batch = await parse(_counted(chunks, reservation), config.batch_entries)
    check_still_valid(backend_of(request), request.caller)
    return batch


async def _counted(chunks: AsyncIterator[bytes], reservation: Reservation) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        reservation.grow(len(chunk))
        yield chunk


async def _append_one(
    log: LogBackend, entry: bytes, entry_id: EntryId | None, wait: WaitFor | None
) -> web.StreamResponse:
    placed = await log.append([entry], [entry_id])
    members = _place(placed, 0)
    if wait is None:
        return _answer(log, members, _status(placed))
    published = await _published(log, placed, wait)
    proof = None if published is None else await _proof(log, placed.indexes[0], published)
    if proof is None:
        return _answer(log, members | {"state": COMMITTED}, 202)
    return _answer(log, members | {"proof": proof}, _status(placed))


async def _append_batch(
    log: LogBackend, batch: Sequence[bytes], ids: Sequence[EntryId | None], wait: WaitFor | None
) -> web.StreamResponse:
    placed = await log.append(batch, ids)
    places = list(map(_Place, placed.indexes, placed.leaf_hashes))
    published = None if wait is None else await _published(log, placed, wait)
    if wait is not None and published is None:
        return _answer(log, {"entries": places, "state": COMMITTED}, 202)
    members: dict[str, object] = {"count": len(batch), "entries": places}
    if placed.first_new is not None:
        members["first_index"] = placed.first_new
    if published is not None:
        members["checkpoint"] = published.note.decode()
    return _answer(log, members, _status(placed))


def _status(placed: Placed) -> int:
    """201 when something was added, 200 when all of it stood before."""
    return 200 if placed.first_new is None else 201


async def _published(log: LogBackend, placed: Placed, wait: WaitFor) -> Published | None:
    """The checkpoint that covers what was appended, or None: not known in time."""
    return await log.wait_published(placed.size, wait.timeout_s)


async def _proof(log: LogBackend, index: int, published: Published) -> str | None:
    """The tlog-proof of an entry that stands; None when it cannot be made now."""
    try:
        _, proof = await log.inclusion(index, published.size)
    except ServerError:
        return None
    return tlog_proof(index, proof, published).decode()


def _place(placed: Placed, number: int) -> dict[str, object]:
    return {
        "index": placed.indexes[number],
        "leaf_hash": placed.leaf_hashes[number],
    }


def _answer(log: LogBackend, members: dict[str, object], status: int) -> web.StreamResponse:
    return json_response(members, cache=caching(log, NO_STORE), status=status)
