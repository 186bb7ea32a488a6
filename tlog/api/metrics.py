"""`GET /metrics`, for the operator and for administrators."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from tlog.api.parameters import query
from tlog.api.requests import Request, operated_by
from tlog.api.responses import NO_STORE, bytes_response
from tlog.metrics import Scrape


async def metrics(request: Request) -> web.Response:
    """All measures of the server, its workers' included, and of the logs that the caller rules."""
    query(request)
    host, caller = operated_by(request), request.caller
    scrape = Scrape(host, [name for name, log in host.logs.items() if caller.is_known_to(log)])
    body, media_type = await asyncio.to_thread(scrape.format, request.headers.get(hdrs.ACCEPT, ""))
    return bytes_response(body, cache=NO_STORE, media_type=media_type)
