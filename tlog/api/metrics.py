"""`GET /metrics`, for the operator and for administrators."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from aiohttp import hdrs, web

from tlog.api.negotiation import choose_type
from tlog.api.parameters import query
from tlog.api.requests import Request, list_header, operated_by
from tlog.api.responses import NO_STORE, bytes_response
from tlog.errors import StoreError
from tlog.log import Log
from tlog.measures import DatabaseFacts
from tlog.metrics import MEDIA_TYPES, Scrape

DATABASES_TIMEOUT_S = 2.0  # a disk that hangs keeps the readers busy: the rest is shown then


async def metrics(request: Request) -> web.StreamResponse:
    """All measures of the server, its workers' included, and of the logs that the caller rules."""
    query(request)
    # Versions and escapings that may stand there too are not looked at: there is one of each.
    chosen = choose_type(list_header(request, hdrs.ACCEPT), MEDIA_TYPES)
    host, caller = operated_by(request), request.caller
    logs = [log for log in host.logs.values() if caller.is_known_to(log)]
    databases = await _read_databases(logs)
    scrape = Scrape(host, [log.row.name for log in logs], databases)
    body, media_type = await asyncio.to_thread(scrape.format, chosen)
    return bytes_response(body, cache=NO_STORE, media_type=media_type)


async def _read_databases(logs: Sequence[Log]) -> Mapping[str, Mapping[str, DatabaseFacts]]:
    """What the logs' databases use, in the readers' threads; without those that do not answer."""
    read: dict[str, Mapping[str, DatabaseFacts]] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(DATABASES_TIMEOUT_S):
            for log in logs:
                with suppress(StoreError):
                    read[log.row.name] = await log.read_database_facts()
    return read
