"""What the middlewares found out about a request, for its handler."""

from __future__ import annotations

from aiohttp import web

from tlog.api.access import Access, Caller
from tlog.api.connection_table import peer_address
from tlog.api.response_budget import ResponseBudget
from tlog.config import Config
from tlog.host import Host
from tlog.log import Log

HOST = web.AppKey("HOST", Host)
LOCAL = web.AppKey("LOCAL", bool)
RESPONSE_BUDGET = web.AppKey("RESPONSE_BUDGET", ResponseBudget)
ROUTE_ACCESS = web.AppKey("ROUTE_ACCESS", dict[web.AbstractRoute, Access])

# The Log that the path names, once the caller may do what the route does; None without a name.
LOG = web.RequestKey[Log | None]("LOG", Log)
CALLER = web.RequestKey("CALLER", Caller)
REQUEST_ID = web.RequestKey("REQUEST_ID", str)


def log_of(request: web.Request) -> Log:
    """The log that the path names; access has been checked."""
    log = request[LOG]
    if log is None:
        message = "this route names no log"
        raise AssertionError(message)
    return log


def caller_of(request: web.Request) -> Caller:
    """Who asks."""
    return request[CALLER]


def address_of(request: web.Request) -> str:
    """The address that the request counts for; empty on the unix socket, or when it is gone."""
    transport = request.transport
    return "" if transport is None else peer_address(transport.get_extra_info("peername"))


def host_of(request: web.Request) -> Host:
    """The host behind this application."""
    return request.app[HOST]


def config_of(request: web.Request) -> Config:
    """The server's bounds."""
    return host_of(request).config
