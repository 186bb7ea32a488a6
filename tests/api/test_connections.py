"""Connections that would hold the server: too many, too slow to ask, too slow to listen."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.api.conftest import LIMITS, Api
from tlog.api import connection, large_response, listener, response_budget
from tlog.api.connection_table import ConnectionLimits, ConnectionTable, peer_address
from tlog.api.requests import RESPONSE_BUDGET
from tlog.tokens import Scope
from tlog_proofs import format_entry_bundle

LIMIT_S = 20.0
MIB = 1024 * 1024
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
BUNDLE = b"GET /logs/public/tile/entries/000 HTTP/1.1\r\nHost: x\r\n\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(autouse=True)
def _exact_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "SWEEP_S", 0.02)


@asynccontextmanager
async def _connect(api: Api, source: str = "127.0.0.1") -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", api.port, local_addr=(source, 0), limit=1024
    )
    try:
        yield reader, writer
    finally:
        writer.close()


async def _ask(api: Api, request: bytes, source: str = "127.0.0.1") -> bytes:
    """The first line of the answer on a new connection; empty if it was closed without one."""
    async with _connect(api, source) as (reader, writer):
        try:
            writer.write(request)
            return (await reader.readline()).strip()
        except ConnectionError:
            return b""


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    """What came before the other side closed or reset the connection."""
    got = b""
    try:
        while chunk := await reader.read(65_536):
            got += chunk
    except ConnectionError:
        pass
    return got


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for lies in the server
        await asyncio.sleep(0.01)


def _append(api: Api) -> bytes:
    token = api.bearer(Scope.APPEND)["Authorization"]
    return (
        f"POST /logs/private/add HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        "Content-Length: 1\r\n\r\nx"
    ).encode()


async def test_a_header_is_bounded_as_a_whole(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many lines that are each within their bound do not fill the memory."""
    monkeypatch.setattr(connection, "HEADER_BYTES", 16_384)
    async with asyncio.timeout(LIMIT_S), _connect(api) as (reader, writer):
        writer.write(HEALTHZ)
        await reader.readuntil(b"}")
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        for number in range(3):
            writer.write(b"X-%d: " % number + b"x" * 8000 + b"\r\n")
            await asyncio.sleep(0.05)
        assert await _until_closed(reader) == b""


async def test_requests_behind_one_that_is_worked_on_are_not_gathered(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that sends on and on is not read while its first request is under way."""
    received = 0
    inner = connection.Connection.data_received

    def count(self: connection.Connection, data: bytes) -> None:
        nonlocal received
        received += len(data)
        inner(self, data)

    monkeypatch.setattr(connection.Connection, "data_received", count)
    log = api.host.logs["private"]
    log.gate.clear()
    many = HEALTHZ.replace(b"x", b"x\r\nX: " + b"x" * 8000) * 1000
    async with asyncio.timeout(LIMIT_S), _connect(api) as (reader, writer):
        writer.write(_append(api))
        await log.entered.wait()
        writer.write(many)
        await asyncio.sleep(0.3)
        assert 0 < received < 600_000
        log.gate.set()
        for _ in range(1001):
            assert b"HTTP/1.1 200 " in await reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize("before", [b"", HEALTHZ])
@pytest.mark.parametrize("beginning", [b"GET /", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
async def test_a_header_that_does_not_end_ends_the_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch, before: bytes, beginning: bytes
) -> None:
    """Ten seconds for a whole header, of the first request or a later one, however it drips."""
    monkeypatch.setattr(connection, "HEADER_S", 0.3)
    async with asyncio.timeout(LIMIT_S), _connect(api) as (reader, writer):
        if before:
            writer.write(before)
            await reader.readuntil(b"}")
        writer.write(beginning)

        async def drip() -> None:
            while True:
                await asyncio.sleep(0.05)
                writer.write(b"x")

        dripping = asyncio.create_task(drip())
        assert await _until_closed(reader) == b""
        dripping.cancel()


async def test_a_silent_connection_ends(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and says nothing has as long as for a header."""
    monkeypatch.setattr(connection, "HEADER_S", 0.1)
    async with asyncio.timeout(LIMIT_S), _connect(api) as (reader, _):
        assert await _until_closed(reader) == b""


async def test_the_header_deadline_is_for_headers(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a request that takes long nor an idle connection is ended by it."""
    monkeypatch.setattr(connection, "HEADER_S", 0.1)
    log = api.host.logs["private"]
    log.gate.clear()
    async with asyncio.timeout(LIMIT_S), _connect(api) as (reader, writer):
        writer.write(_append(api))
        await log.entered.wait()
        await asyncio.sleep(0.3)
        log.gate.set()
        assert (await reader.readuntil(b"\r\n\r\n1")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.3)
        writer.write(HEALTHZ)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")


async def test_connections_over_the_cap_of_an_address_are_closed(api: Api) -> None:
    """Busy connections of one address keep out more of it, not others, and not the operator."""
    log = api.host.logs["private"]
    log.gate.clear()
    async with asyncio.timeout(LIMIT_S):
        asking = [asyncio.create_task(_ask(api, _append(api))) for _ in range(LIMITS.per_address)]
        await _until(lambda: len(api.listener._table) == LIMITS.per_address)
        await log.entered.wait()
        await asyncio.sleep(0.1)
        assert await _ask(api, HEALTHZ) == b""
        assert await _ask(api, HEALTHZ, "127.0.0.2") == b"HTTP/1.1 200 OK"
        async with api.local.get("/healthz") as response:
            assert response.status == 200
        log.gate.set()
        assert await asyncio.gather(*asking) == [b"HTTP/1.1 200 OK"] * LIMITS.per_address
        await _until(lambda: len(api.listener._table) == 0)
        assert await _ask(api, HEALTHZ) == b"HTTP/1.1 200 OK"


async def test_an_idle_connection_gives_way(api: Api) -> None:
    """At the cap the connection that was idle for longest is closed for a new one."""
    async with asyncio.timeout(LIMIT_S):
        kept = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(8)]
        for reader, writer in reversed(kept):
            writer.write(HEALTHZ)
            await reader.readuntil(b"}")
        assert await _ask(api, HEALTHZ) == b"HTTP/1.1 200 OK"
        assert await _until_closed(kept[-1][0]) == b""
        for reader, writer in kept[:-1]:
            writer.write(HEALTHZ)
            await reader.readuntil(b"}")
        for _, writer in kept:
            writer.close()


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


@pytest.fixture
def bundle(api: Api) -> bytes:
    """The first bundle of the public log, of nearly 16 MiB."""
    log = api.host.logs["public"]
    log.entries += [os.urandom(60_000) for _ in range(256)]
    log.publish()
    return format_entry_bundle(log.entries[:256])


async def _listen_not(api: Api) -> socket.socket:
    """A connection that asks for the bundle and reads nothing."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", api.port))
    await loop.sock_sendall(deaf, BUNDLE)
    return deaf


async def test_clients_that_do_not_listen_hold_bounded_memory_for_a_bounded_time(
    api: Api, bundle: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bundles under way stay within the budget, others get 503; then the deaf are cut off."""
    monkeypatch.setattr(response_budget, "WAIT_S", 0.3)
    budget = api.app[RESPONSE_BUDGET]
    budget._max_bytes = 2 * 256 * 65_537
    async with asyncio.timeout(LIMIT_S):
        deaf = [await _listen_not(api) for _ in range(2)]
        await _until(lambda: budget.used_bytes == 2 * len(bundle))
        # What is not in the kernel's buffers lies in the server once, not in the transports too.
        held = sum(
            one._transport.get_write_buffer_size()  # type: ignore[attr-defined]
            for one in api.listener._table._open
        )
        assert held < 2 * MIB
        async with api.http.get("/logs/public/tile/entries/000") as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "1"
            assert (await response.json())["type"].endswith(":overloaded")
        # What is small goes on.
        async with api.http.get("/logs/public/checkpoint") as response:
            assert response.status == 200
        monkeypatch.setattr(connection, "SEND_WINDOW_S", 0.2)
        await _until(lambda: budget.used_bytes == 0)
        async with api.http.get("/logs/public/tile/entries/000") as response:
            assert await response.read() == bundle
        await _until(lambda: budget.used_bytes == 0)
        for one in deaf:
            one.close()


async def test_a_client_that_listens_slowly_is_cut_off_too(
    api: Api, bundle: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large answer has its time: a trickle that never stops does not hold it for ever."""
    monkeypatch.setattr(large_response, "GRACE_S", 0.5)
    monkeypatch.setattr(large_response, "MIN_RATE", 1 << 40)
    budget = api.app[RESPONSE_BUDGET]
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LIMIT_S):
        slow = await _listen_not(api)
        got = 0

        async def trickle() -> None:
            nonlocal got
            while True:
                got += len(await loop.sock_recv(slow, 65_536))
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        await _until(lambda: budget.used_bytes == len(bundle))
        await _until(lambda: budget.used_bytes == 0)
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)
        slow.close()
    assert 0 < got < len(bundle)


async def test_small_answers_that_nobody_reads_end_the_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests one behind the other, whose answers stay in the buffers, are given up."""
    monkeypatch.setattr(connection, "SEND_WINDOW_S", 0.2)
    log = api.host.logs["public"]
    log.entries += [os.urandom(65_000)]
    log.publish()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LIMIT_S):
        deaf = await _listen_not(api)
        with pytest.raises(ConnectionError):  # noqa: PT012 - whichever request it is
            while True:
                await loop.sock_sendall(
                    deaf, b"GET /logs/public/entries/1 HTTP/1.1\r\nHost: x\r\n\r\n"
                )
                await asyncio.sleep(0.001)
        await _until(lambda: len(api.listener._table) == 0)
        deaf.close()


async def test_the_end_does_not_wait_for_the_deaf(api: Api, bundle: bytes) -> None:
    """A listener closes although a client takes nothing, and what it held is free."""
    budget = api.app[RESPONSE_BUDGET]
    async with asyncio.timeout(LIMIT_S):
        deaf = await _listen_not(api)
        await _until(lambda: budget.used_bytes == len(bundle))
        await api.listener.close()
        await _until(lambda: budget.used_bytes == 0)
        await _until(lambda: len(api.listener._table) == 0)
        deaf.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_large_answer_holds_nothing_once_it_is_sent(
    api: Api, bundle: bytes, method: str, encoding: str
) -> None:
    """Neither the budget nor the connection, which stays, keeps what was sent."""
    budget = api.app[RESPONSE_BUDGET]
    headers = {"Accept-Encoding": encoding}
    path = "/logs/public/tile/entries/000"
    async with asyncio.timeout(LIMIT_S):
        for _ in range(2):
            async with api.http.request(method, path, headers=headers) as response:
                assert response.status == 200
                assert await response.read() == (bundle if method == "GET" else b"")
            await _until(lambda: budget.used_bytes == 0)
        missing = "/logs/public/tile/entries/009"
        async with api.http.request(method, missing, headers=headers) as response:
            assert response.status == 404
    assert budget.used_bytes == 0
    assert len(api.listener._table) == 1
