"""The two web applications over a Host: for TCP, and for the unix socket, where all are admins."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from tlog.api.access import Access
from tlog.api.middleware import answer, check_access, expect
from tlog.api.requests import HOST, LOCAL, RESPONSE_BUDGET, ROUTE_ACCESS
from tlog.api.response_budget import ResponseBudget
from tlog.api.routes import LOCAL_ROUTES, PUBLIC_ROUTES, Route
from tlog.host import Host


def make_public_app(host: Host) -> web.Application:
    """What TCP listeners serve: tokens are looked at, nothing administrative is there."""
    return _make_app(host, PUBLIC_ROUTES, local=False)


def make_local_app(host: Host) -> web.Application:
    """What the unix socket serves: whoever can open it is the operator."""
    return _make_app(host, LOCAL_ROUTES, local=True)


def _make_app(host: Host, routes: Sequence[Route], *, local: bool) -> web.Application:
    app = web.Application(middlewares=[answer, check_access])
    access: dict[web.AbstractRoute, Access] = {}
    for row in routes:
        resource = app.router.add_resource(row.path)
        for method in ("GET", "HEAD") if row.method == "GET" else (row.method,):
            route = resource.add_route(method, row.handler, expect_handler=expect)
            access[route] = row.access
    app[HOST] = host
    app[LOCAL] = local
    app[RESPONSE_BUDGET] = ResponseBudget(host.config.response_bytes)
    app[ROUTE_ACCESS] = access
    return app
