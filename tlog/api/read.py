"""Reading a log: checkpoints, tiles, bundles (C2SP tlog-tiles) and single entries."""

from __future__ import annotations

import asyncio
import gzip

from aiohttp import hdrs, web

from tlog.api.backend import LogBackend
from tlog.api.large_response import LargeResponse
from tlog.api.negotiation import accepts_gzip
from tlog.api.parameters import path_number, path_tile, query, query_time
from tlog.api.requests import Request, address_of, backend_of, list_header, log_of
from tlog.api.responses import (
    BYTES,
    IMMUTABLE,
    NO_STORE,
    bytes_response,
    caching,
    headers_of,
    json_response,
    text_response,
)
from tlog_proofs import MAX_ENTRY_BYTES, EntryBundle

GZIP_LEVEL = 1
MIN_GZIP_BYTES = 256  # below that a gzip header costs more than it saves
MAX_LOOP_GZIP_BYTES = 16 * 1024  # more is compressed in a thread
MIN_LARGE_BYTES = 64 * 1024  # less is at home in a transport's buffer
MAX_ROW_BYTES = 2 + MAX_ENTRY_BYTES  # of an entry in a bundle, with its length


async def logs(request: Request) -> web.StreamResponse:
    """The logs that the caller sees; why one is read-only may name paths: not for anybody."""
    query(request)
    caller = request.caller
    seen = [log for log in backend_of(request).logs.values() if caller.sees(log)]
    rows = [(await log.read_facts()).as_json() for log in seen]
    if not caller.local and caller.token is None:
        for row in rows:
            del row["reason"]
    return json_response({"logs": rows})


async def checkpoint(request: Request) -> web.StreamResponse:
    """The published checkpoint, byte for byte."""
    query(request)
    log = log_of(request)
    published = await log.read_published()
    return text_response(published.note, cache=caching(log, NO_STORE))


async def checkpoint_at(request: Request) -> web.StreamResponse:
    """The stored checkpoint of one size."""
    query(request)
    log = log_of(request)
    note = await log.checkpoint_at(path_number(request, "size"))
    # Cosignatures may still be added to it, so it is not immutable.
    return text_response(note, cache=caching(log, NO_STORE))


async def checkpoint_by_time(request: Request) -> web.StreamResponse:
    """The newest stored checkpoint that was published at a time or before."""
    time_ms = query_time(request, "at")
    log = log_of(request)
    note = await log.checkpoint_not_after(time_ms)
    return text_response(note, cache=caching(log, NO_STORE))


async def tile(request: Request) -> web.StreamResponse:
    """A tile or an entry bundle, full or partial."""
    query(request)
    log = log_of(request)
    asked = path_tile(request)
    if isinstance(asked, EntryBundle):
        return await _bundle_response(request, log, asked)
    return bytes_response(await log.read_tile(asked), cache=caching(log, IMMUTABLE))


async def entry(request: Request) -> web.StreamResponse:
    """The bytes of one entry."""
    query(request)
    log = log_of(request)
    body = await log.read_entry(path_number(request, "index"))
    return bytes_response(body, cache=caching(log, IMMUTABLE))


async def _bundle_response(
    request: Request, log: LogBackend, bundle: EntryBundle
) -> web.StreamResponse:
    headers = headers_of(BYTES, caching(log, IMMUTABLE))
    headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    # How large it is shows only when it is read: until then it counts as large as it can be.
    budget = request.service.response_budget
    share = await budget.take(bundle.width * MAX_ROW_BYTES, address_of(request))
    try:
        body = await log.read_bundle(bundle)
        share.shrink(len(body))
        if len(body) >= MIN_GZIP_BYTES and accepts_gzip(list_header(request, hdrs.ACCEPT_ENCODING)):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            body = await _compress(body)
            share.shrink(len(body))
    except BaseException:
        share.release()
        raise
    if len(body) < MIN_LARGE_BYTES or request.method == hdrs.METH_HEAD:
        share.release()
        return web.Response(body=body, headers=headers)
    return LargeResponse(body, headers, share)


async def _compress(body: bytes) -> bytes:
    if len(body) <= MAX_LOOP_GZIP_BYTES:
        return gzip.compress(body, GZIP_LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, GZIP_LEVEL, mtime=0)
