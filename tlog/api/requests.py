"""A request with what was found out about it before its handler, and what all of them share."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from tlog.api.access import ANYONE
from tlog.api.backend import Backend, LogBackend
from tlog.api.connection_table import peer_address
from tlog.api.response_budget import ResponseBudget
from tlog.config import Config
from tlog.host import Host

if TYPE_CHECKING:
    from tlog.api.connection import Connection


@dataclass(frozen=True, slots=True)
class Service:
    """What all requests to one application share.

    operated: the host, where there are administrative routes; None elsewhere.
    """

    backend: Backend
    operated: Host | None
    response_budget: ResponseBudget
    _started: str = field(default_factory=lambda: secrets.token_hex(4))
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_request_id(self) -> str:
        """Other than all before it, in other processes too."""
        return f"{self._started}{next(self._numbers):08x}"


class Request(web.BaseRequest):
    """One HTTP request; what the routing found is set before its handler sees it."""

    ATTRS = web.BaseRequest.ATTRS | frozenset(
        ["service", "client", "upgrades", "request_id", "template", "path_values", "caller", "log"]
    )

    def __init__(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        connection: Connection,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
        service: Service,
    ) -> None:
        """A request that has just been parsed; nobody knows yet who asks for what."""
        super().__init__(message, payload, connection, writer, task, task.get_loop())
        self.service = service
        self.client = connection.client  # the certificate that it has shown
        self.upgrades = message.upgrade  # it asks for another protocol, which it does not get
        self.request_id = service.new_request_id()
        self.template = "none"  # the route's path; paths themselves may hold what was mistyped
        self.path_values: Mapping[str, str] = {}
        self.caller = ANYONE
        # The log that the path names, once the caller may do what the route does.
        self.log: LogBackend | None = None


def log_of(request: Request) -> LogBackend:
    """The log that the path names; access has been checked."""
    log = request.log
    if log is None:
        message = "this route names no log"
        raise AssertionError(message)
    return log


def address_of(request: Request) -> str:
    """The address that the request counts for; empty on the unix socket, or when it is gone."""
    transport = request.transport
    return "" if transport is None else peer_address(transport.get_extra_info("peername"))


def list_header(request: Request, name: str) -> str:
    """A header that is a list: its lines as one (RFC 9110 section 5.3); empty without any."""
    return ", ".join(request.headers.getall(name, ()))


def backend_of(request: Request) -> Backend:
    """The logs behind this application."""
    return request.service.backend


def operated_by(request: Request) -> Host:
    """The host, for who administers it; access has been checked."""
    host = request.service.operated
    if host is None:
        message = "this application administers nothing"
        raise AssertionError(message)
    return host


def config_of(request: Request) -> Config:
    """The server's bounds."""
    return request.service.backend.config
