"""The HTTP applications over a Host: for TCP, for the unix socket, for administrators over TCP.

Around every handler: who asks for what and whether they may, then errors, headers and the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import cast

from aiohttp import hdrs, web

from tlog.api.access import (
    Access,
    Identify,
    authorise,
    check_administers,
    identify,
    identify_administrator,
    identify_operator,
)
from tlog.api.backend import Backend
from tlog.api.errors import ExpectationError, RequestError, TransferCodingError
from tlog.api.problems import ProblemResponse, problem_response
from tlog.api.request_log import RequestLog, method_of
from tlog.api.requests import Request, Service, list_header
from tlog.api.response_budget import ResponseBudget
from tlog.api.responses import REQUEST_ID
from tlog.api.router import Router
from tlog.api.routes import LOCAL_ROUTES, PUBLIC_ROUTES, Route
from tlog.host import Host

ACCEPTED = "accepted"  # of an append, whose entries stand


class App:
    """One application: its routes, and what all requests to it share."""

    def __init__(
        self,
        backend: Backend,
        routes: Sequence[Route],
        who: Identify = identify,
        operated: Host | None = None,
    ) -> None:
        """Serve routes.

        Args:
            who: tells the caller by its Authorization header or its certificate.
            operated: the host that administrative routes change; nothing is for others then.
        """
        self._who = who
        self.routes = tuple(routes)
        budget = ResponseBudget(backend.config.response_bytes)
        self.service = Service(backend, operated, budget)
        self._router = Router(routes)
        self._append_paths = {route.path for route in routes if route.access is Access.APPEND}
        self._measures = backend.http_measures
        self._measures.watch_budget(lambda: budget.used_bytes)
        self._request_log = RequestLog()

    def make_server(self) -> web.Server:
        """What makes a handler for each connection; on the running loop."""
        return web.Server(self._answer, request_factory=partial(Request, service=self.service))

    async def _answer(self, made: web.BaseRequest) -> web.StreamResponse:
        """Answer a request: whatever is raised becomes a problem; nothing secret is logged."""
        request = cast("Request", made)  # by the factory
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            response = await self._handle(request)
        except Exception as error:  # noqa: BLE001 - each is answered, and logged if it is a defect
            problem = problem_response(error, request.request_id)
            if not problem.problem.detail:
                self._request_log.failed(request, error)
            response = problem
        response.headers[REQUEST_ID] = request.request_id
        duration_s = loop.time() - start
        self._count(request, response, duration_s)
        if self._request_log.enabled:
            self._request_log.answered(request, response, duration_s)
        return response

    def _count(self, request: Request, response: web.StreamResponse, duration_s: float) -> None:
        measures = self._measures
        measures.answered(request.template, method_of(request), response.status, duration_s)
        result = ACCEPTED
        if isinstance(response, ProblemResponse):
            result = response.problem.name
            measures.problems[result] += 1
        if request.log is not None and request.template in self._append_paths:
            measures.appends[request.log.row.name, result] += 1

    async def _handle(self, request: Request) -> web.StreamResponse:
        """Apply the rule of the route, and go; paths and methods without a route end here."""
        _check_expectation(request)
        _check_transfer_coding(request)
        backend = self.service.backend
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        request.caller = self._who(backend, authorization, request.client)
        if self.service.operated is not None:
            check_administers(request.caller)
        path = request.rel_url.raw_path
        try:
            route, values = self._router.find(request.method, path)
        except RequestError:
            # It tells no more to somebody who may not know the log than a route would.
            authorise(Access.KNOWN, backend, request.caller, _log_in_path(path))
            raise
        request.template = route.path
        request.path_values = values
        request.log = authorise(route.access, backend, request.caller, values.get("name"))
        return await route.handler(request)


def make_public_app(backend: Backend) -> App:
    """What TCP listeners serve: tokens are looked at, nothing administrative is there."""
    return App(backend, PUBLIC_ROUTES)


def make_local_app(host: Host) -> App:
    """What the unix socket serves: whoever can open it is the operator."""
    return App(host, LOCAL_ROUTES, identify_operator, operated=host)


def make_admin_app(host: Host) -> App:
    """What the administrative address serves: as the unix socket, to tokens of scope admin."""
    return App(host, LOCAL_ROUTES, identify_administrator, operated=host)


def _check_expectation(request: Request) -> None:
    if request.headers.get(hdrs.EXPECT, "100-continue").lower() != "100-continue":
        message = "the only expectation that is met is 100-continue"
        raise ExpectationError(message)


def _check_transfer_coding(request: Request) -> None:
    """RFC 9112 section 6.1: the parser takes other codings before chunked, and leaves them on."""
    if hdrs.TRANSFER_ENCODING not in request.headers:
        return
    coding = list_header(request, hdrs.TRANSFER_ENCODING)
    if coding.strip(" \t").lower() != "chunked":
        message = f"the transfer coding is {coding[:40]!r}: only chunked is taken"
        raise TransferCodingError(message)


def _log_in_path(path: str) -> str | None:
    """The name in a path below a log's URL that has no route."""
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[1] == "logs" else None  # noqa: PLR2004
