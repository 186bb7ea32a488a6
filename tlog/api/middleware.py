"""Around every handler: who asks and whether they may, then errors, headers and the request log."""

from __future__ import annotations

import asyncio
import secrets

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tlog.api.access import Access, Caller, authorise, identify
from tlog.api.errors import ExpectationError, MethodNotAllowedError, NoSuchResourceError
from tlog.api.problems import problem_of, problem_response
from tlog.api.requests import CALLER, HOST, LOCAL, LOG, REQUEST_ID, ROUTE_ACCESS

SERVER = "tlog"
_LOGGER = structlog.get_logger("tlog.api")


@web.middleware
async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever is raised into a problem, and log the request without anything secret."""
    request_id = secrets.token_hex(8)
    request[REQUEST_ID] = request_id
    loop = asyncio.get_running_loop()
    start = loop.time()
    try:
        response = await handler(request)
    except Exception as error:
        if not problem_of(error).detail:
            _LOGGER.exception("request failed", request_id=request_id)
        response = problem_response(error, request_id)
    add_common_headers(response)
    _LOGGER.info(
        "request",
        request_id=request_id,
        method=request.method,
        route=_template(request),
        status=response.status,
        duration_ms=round((loop.time() - start) * 1000, 3),
    )
    return response


@web.middleware
async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Apply the route's rule; paths and methods without a route end here."""
    _check_expectation(request)
    host = request.app[HOST]
    authorization = request.headers.get(hdrs.AUTHORIZATION)
    caller = Caller(local=True) if request.app[LOCAL] else identify(host, authorization)
    route = request.match_info.route
    matched = request.match_info.http_exception is None and "%" not in request.rel_url.raw_path
    log = authorise(
        request.app[ROUTE_ACCESS][route] if matched else Access.KNOWN,
        host,
        caller,
        request.match_info.get("name") if matched else _log_in_path(request.rel_url.raw_path),
        token_given=authorization is not None,
    )
    if not matched:
        raise _no_route(request.match_info.http_exception)
    request[CALLER] = caller
    request[LOG] = log
    return await handler(request)


async def expect(request: web.Request) -> None:
    """Leave `Expect: 100-continue` to the handler, which asks for the body once it wants it."""


def add_common_headers(response: web.StreamResponse) -> None:
    """What every answer carries."""
    response.headers[hdrs.SERVER] = SERVER
    response.headers["X-Content-Type-Options"] = "nosniff"


def _check_expectation(request: web.Request) -> None:
    if request.headers.get(hdrs.EXPECT, "100-continue").lower() != "100-continue":
        message = "the only expectation that is met is 100-continue"
        raise ExpectationError(message)


def _log_in_path(path: str) -> str | None:
    """The name in a path below a log's URL that has no route."""
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[1] == "logs" else None  # noqa: PLR2004


def _no_route(error: web.HTTPException | None) -> Exception:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        return MethodNotAllowedError(f"this resource takes {', '.join(allowed)}", allowed)
    return NoSuchResourceError("there is no such resource")


def _template(request: web.Request) -> str:
    """The route's pattern: paths themselves may hold what somebody mistyped."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"
