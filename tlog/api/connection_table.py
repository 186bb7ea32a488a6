"""The open connections of one listener: how many there may be, and which are out of time."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

IPV6_PREFIX = 64  # what one customer has, at least: not every address of it is another peer


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be at once, in all and from one address."""

    total: int
    per_address: int


class TrackedConnection(Protocol):
    """What the table must know of a connection."""

    address: str

    @property
    def idle(self) -> bool:
        """Whether no request is under way on it."""

    def is_late(self, now: float) -> bool:
        """Whether it had its time, for a header to come or an answer to go; now: loop time."""

    def abort(self) -> None:
        """End it at once, whatever is still to be sent."""


def peer_address(peername: object) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64; empty on a unix socket."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    host = str(peername[0]).partition("%")[0]
    if ":" not in host:
        return host
    return str(ipaddress.ip_network((host, IPV6_PREFIX), strict=False))


class ConnectionTable:
    """Admits connections up to the limits; an idle one gives way to a new one. The loop owns it."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        # Both in the order of use: the one that was idle for longest stands first.
        self._open: dict[TrackedConnection, None] = {}
        self._by_address: dict[str, dict[TrackedConnection, None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: TrackedConnection) -> bool:
        """Take a new connection in; False when it is one too many and no idle one can go."""
        same = self._by_address.get(connection.address, {})
        if len(same) >= self._limits.per_address and not self._make_room(same):
            return False
        if len(self._open) >= self._limits.total and not self._make_room(self._open):
            return False
        self._open[connection] = None
        self._by_address.setdefault(connection.address, {})[connection] = None
        return True

    def used(self, connection: TrackedConnection) -> None:
        """A request of the connection was answered: it is the last to give way."""
        same = self._by_address.get(connection.address, {})
        for order in (self._open, same):
            if connection in order:
                del order[connection]
                order[connection] = None

    def remove(self, connection: TrackedConnection) -> None:
        """Forget a connection that is closed; a second call does nothing."""
        self._open.pop(connection, None)
        same = self._by_address.get(connection.address, {})
        same.pop(connection, None)
        if not same:
            self._by_address.pop(connection.address, None)

    def sweep(self, now: float) -> None:
        """Abort every connection that is out of time."""
        for connection in list(self._open):
            if connection.is_late(now):
                connection.abort()

    def abort_all(self) -> None:
        """Abort every connection that is left."""
        for connection in list(self._open):
            connection.abort()

    def _make_room(self, connections: Iterable[TrackedConnection]) -> bool:
        for connection in connections:
            if connection.idle:
                self.remove(connection)
                connection.abort()
                return True
        return False
