"""One line a request in the program's log, of what the server knows and nothing that was sent.

The one exception is the trace id of a W3C `traceparent` header, 32 hex digits that say nothing but
which other lines, of other programs, belong to the same request. A client's own `X-Request-Id`
is neither taken over nor logged: it may hold anything, and two requests may share it.
"""

from __future__ import annotations

import logging
import re

import structlog
from aiohttp import hdrs, web

from tlog.api.access import Caller
from tlog.api.problems import ProblemResponse
from tlog.api.requests import Request

TRACEPARENT = "traceparent"
METHODS = frozenset(hdrs.METH_ALL)
OTHER_METHOD = "other"

# W3C Trace Context, section 3.2: version, trace id, parent id, flags; later versions may add more.
_TRACE = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?",
    re.ASCII,
)
_MAX_TRACEPARENT_CHARS = 256


class RequestLog:
    """Writes the lines; `enabled` is looked at first, so that nothing is formatted in vain."""

    def __init__(self) -> None:
        """As the program's log is configured now."""
        # Bound once: the proxy is dear to go through at every request.
        self._logger = structlog.get_logger("tlog.api").bind()
        self.enabled: bool = self._logger.is_enabled_for(logging.INFO)

    def answered(self, request: Request, response: web.StreamResponse, duration_s: float) -> None:
        """A request has its answer, which is still to be sent."""
        fields: dict[str, object] = {
            "request_id": request.request_id,
            "method": method_of(request),
            "route": request.template,
            "status": response.status,
            "duration_ms": round(duration_s * 1000, 3),
            "received": request.content.total_bytes,
            "sent": response.content_length,
            "principal": _principal_of(request.caller),
        }
        if request.log is not None:
            fields["log"] = request.log.row.name
        if isinstance(response, ProblemResponse):
            fields["problem"] = response.problem.name
        trace_id = trace_id_of(request.headers.get(TRACEPARENT))
        if trace_id is not None:
            fields["trace_id"] = trace_id
        self._logger.info("request", **fields)

    def failed(self, request: Request, error: BaseException) -> None:
        """The server failed: an exception became a problem that does not say what happened."""
        self._logger.error(
            "request failed",
            request_id=request.request_id,
            route=request.template,
            exc_info=error,
        )


def method_of(request: Request) -> str:
    """The method, if it is one of HTTP's: others are words of the client's."""
    return request.method if request.method in METHODS else OTHER_METHOD


def trace_id_of(traceparent: str | None) -> str | None:
    """The trace id in a traceparent header; None when there is none that is well-formed."""
    if traceparent is None or len(traceparent) > _MAX_TRACEPARENT_CHARS:
        return None
    found = _TRACE.fullmatch(traceparent)
    return None if found is None else found[1]


def _principal_of(caller: Caller) -> str:
    """Who asked: a token by its id, which is no secret."""
    if caller.token is not None:
        return caller.token.id
    return "operator" if caller.local else "anybody"
