"""Where the server listens on TCP: parsing HOST:PORT, telling loopback, binding."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlog.errors import UsageError
from tlog_proofs import MalformedError, parse_decimal

MAX_PORT = 65535
BACKLOG = 512  # connections that wait to be accepted
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/@\s]+):(?P<port>[0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or literal (IPv6 without brackets), and a port; 0 takes a free one."""

    host: str
    port: int

    def url(self, scheme: str) -> str:
        """The address as a URL; scheme is http or https."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Parse HOST:PORT, IPv6 literals in brackets; UsageError for anything else."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        message = f"expected HOST:PORT, got {text[:80]!r}"
        raise UsageError(message)
    try:
        port = parse_decimal(match["port"], maximum=MAX_PORT)
    except MalformedError as error:
        message = f"expected a port of 0 to {MAX_PORT}, got {match['port'][:20]}"
        raise UsageError(message) from error
    return Address(match["host"].strip("[]"), port)


def is_loopback(address: Address) -> bool:
    """Whether every address that the host resolves to stays on this machine (OSError as it is)."""
    return all(host.is_loopback for host in _hosts(address))


def collide(one: Address, other: Address) -> bool:
    """Whether both cannot be listened on: some address of one is of the other (OSError as it is).

    Free ports (0) are never the same.
    """
    if one.port != other.port or one.port == 0:
        return False
    ours, theirs = _hosts(one), _hosts(other)
    return any(
        a.version == b.version and (a == b or a.is_unspecified or b.is_unspecified)
        for a in ours
        for b in theirs
    )


def bind(address: Address) -> tuple[tuple[socket.socket, ...], Address]:
    """Bind every address of the host to one port; the sockets, and the address with that port.

    Raises:
        OSError: the host does not resolve, or an address cannot be bound.

    Who binds may still be refused by `listen`: another socket, bound before, may listen by then.
    """
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        port = address.port
        for family, target in _resolve(address):
            bound = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                bound.bind((target[0], port, *target[2:]))
            except OSError as error:
                # A name may resolve to a family that this machine has no address of.
                if error.errno == errno.EADDRNOTAVAIL and sockets:
                    bound.close()
                    continue
                raise _refused((target[0], port), error) from error
            sockets.append(bound)
            port = bound.getsockname()[1]
        opened.pop_all()
        return tuple(sockets), Address(address.host, port)


def listen(bound: socket.socket) -> None:
    """Accept connections on a socket of `bind` from now on.

    uvloop's own `listen` fails without an error: so it is done here, before a loop is given it.

    Raises:
        OSError: the address is taken by now; it is named.
    """
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise _refused(bound.getsockname(), error) from error


def _refused(target: Sequence[Any], error: OSError) -> OSError:
    return OSError(error.errno, f"listening on {target[0]}:{target[1]}: {error.strerror}")


def _hosts(address: Address) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    return [ipaddress.ip_address(target[0]) for _, target in _resolve(address)]


def _resolve(address: Address) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """Family and socket address of each address of the host, IPv4 first."""
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    pairs = [(family, target) for family, _, _, _, target in found]
    return sorted(pairs, key=lambda pair: pair[0] != socket.AF_INET)
