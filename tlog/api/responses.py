"""Answers with their types and their caching, the same for every route."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web
from multidict import istr

from tlog.api.backend import LogBackend

JSON = "application/json"
BYTES = "application/octet-stream"
TEXT = "text/plain"
COSE = "application/cose"
PROBLEM_JSON = "application/problem+json"
REQUEST_ID = istr("X-Request-Id")  # of every answer: the name of its request in the server's log
IMMUTABLE = "max-age=31536000, immutable"
NO_STORE = "no-store"
SERVER = "tlog"


def caching(log: LogBackend, directive: str) -> str:
    """Cache-Control of an answer about a log: what is private stays out of shared caches."""
    if not log.row.public:
        return f"private, {directive}"
    return directive if directive == NO_STORE else f"public, {directive}"


def headers_of(media_type: str, cache: str) -> dict[str, str]:
    """The headers that every answer carries, whatever it is."""
    return {
        hdrs.CONTENT_TYPE: media_type,
        hdrs.CACHE_CONTROL: cache,
        hdrs.SERVER: SERVER,
        "X-Content-Type-Options": "nosniff",
    }


def json_response(members: object, *, cache: str = NO_STORE, status: int = 200) -> web.Response:
    """Members as JSON."""
    body = msgspec.json.encode(members)
    return web.Response(status=status, body=body, headers=headers_of(JSON, cache))


def bytes_response(body: bytes, *, cache: str, media_type: str = BYTES) -> web.Response:
    """Bytes as they are."""
    return web.Response(body=body, headers=headers_of(media_type, cache))


def text_response(body: bytes, *, cache: str = NO_STORE) -> web.Response:
    """UTF-8 text, given as the bytes that it consists of."""
    return web.Response(body=body, headers=headers_of(f"{TEXT}; charset=utf-8", cache))
