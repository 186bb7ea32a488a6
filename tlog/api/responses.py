"""Answers with their types and their caching, the same for every route."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs
from multidict import istr

from tlog.api.backend import LogBackend
from tlog.api.small_response import SmallResponse

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


def json_response(members: object, *, cache: str = NO_STORE, status: int = 200) -> SmallResponse:
    """Members as JSON; bytes among them become standard base64."""
    return SmallResponse(msgspec.json.encode(members), headers_of(JSON, cache), status)


def bytes_response(body: bytes, *, cache: str, media_type: str = BYTES) -> SmallResponse:
    """Bytes as they are."""
    return SmallResponse(body, headers_of(media_type, cache))


def text_response(body: bytes, *, cache: str = NO_STORE) -> SmallResponse:
    """UTF-8 text, given as the bytes that it consists of."""
    return SmallResponse(body, headers_of(f"{TEXT}; charset=utf-8", cache))
