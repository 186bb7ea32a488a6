"""What the middlewares found out about a request, for its handler."""

from __future__ import annotations

from aiohttp import web

from tlog.api.access import Access, Caller
from tlog.config import Config
from tlog.host import Host
from tlog.log import Log

HOST = web.AppKey("HOST", Host)
LOCAL = web.AppKey("LOCAL", bool)
ROUTE_ACCESS = web.AppKey("ROUTE_ACCESS", dict[web.AbstractRoute, Access])

LOG = "log"  # the Log that the path names, once the caller may do what the route does
CALLER = "caller"
REQUEST_ID = "request_id"


def log_of(request: web.Request) -> Log:
    """The log that the path names; access has been checked."""
    log: Log = request[LOG]
    return log


def caller_of(request: web.Request) -> Caller:
    """Who asks."""
    caller: Caller = request[CALLER]
    return caller


def host_of(request: web.Request) -> Host:
    """The host behind this application."""
    return request.app[HOST]


def config_of(request: web.Request) -> Config:
    """The server's bounds."""
    return host_of(request).config
