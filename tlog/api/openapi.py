"""`GET /openapi.json`: what spec/openapi.yaml says, as JSON."""

from __future__ import annotations

from importlib.resources import files

from aiohttp import web

from tlog.api.parameters import query
from tlog.api.requests import Request
from tlog.api.responses import JSON, bytes_response

CACHE = "public, max-age=3600"
_DOCUMENT = files("tlog.api").joinpath("openapi.json").read_bytes()


async def openapi(request: Request) -> web.StreamResponse:
    """The description of this interface."""
    query(request)
    return bytes_response(_DOCUMENT, cache=CACHE, media_type=JSON)
