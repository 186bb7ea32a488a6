"""The table of connections: limits, who gives way, what one address is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tlog.api.connection_table import ConnectionLimits, ConnectionTable, peer_address


@dataclass(eq=False)
class _Connection:
    address: str
    idle: bool
    aborted: bool = False

    def is_late(self, now: float) -> bool:
        return now > 10 and not self.idle

    def abort(self) -> None:
        self.aborted = True


def test_the_table_counts_in_all_and_for_each_address() -> None:
    """Limits hold for busy connections of many addresses; what is removed makes room."""
    table = ConnectionTable(ConnectionLimits(4, 2))
    busy = [_Connection(address, idle=False) for address in "aabc"]
    assert all(table.admit(one) for one in busy)
    assert not table.admit(_Connection("d", idle=False))
    table.remove(busy[3])
    table.remove(busy[3])
    assert not table.admit(_Connection("a", idle=False))
    late, idle = _Connection("b", idle=False), _Connection("c", idle=True)
    assert table.admit(idle) is True
    assert table.admit(late) is True
    assert idle.aborted
    assert len(table) == 4
    table.sweep(10)
    assert not late.aborted
    table.sweep(11)
    assert late.aborted


def test_of_idle_connections_the_least_used_goes_first() -> None:
    """An answer on a connection puts it last."""
    table = ConnectionTable(ConnectionLimits(3, 3))
    first, second, third = (_Connection("a", idle=True) for _ in range(3))
    for one in (first, second, third):
        table.admit(one)
    table.used(first)
    assert table.admit(_Connection("a", idle=False))
    assert [one.aborted for one in (first, second, third)] == [False, True, False]


@pytest.mark.parametrize(
    ("peername", "address"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        ("", ""),
        (None, ""),
    ],
)
def test_what_one_address_is(peername: object, address: str) -> None:
    """IPv4 addresses whole, IPv6 by the network of one customer, unix sockets all the same."""
    assert peer_address(peername) == address
