"""Connections that would hold the server: too many, or too slow to ask."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.api.conftest import LIMITS, Api
from tests.api.wire import HEALTHZ, LIMIT_S, ask, connect, until, until_closed
from tlog.api import connection, connections
from tlog.tokens import Scope


@pytest.fixture(autouse=True)
def _exact_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)


def _append(api: Api) -> bytes:
    token = api.bearer(Scope.APPEND)["Authorization"]
    return (
        f"POST /logs/private/add HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        "Content-Length: 1\r\n\r\nx"
    ).encode()


async def test_a_header_is_bounded_as_a_whole(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many lines that are each within their bound do not fill the memory."""
    monkeypatch.setattr(connection, "HEADER_BYTES", 16_384)
    monkeypatch.setattr(connection, "HEADER_S", 2 * LIMIT_S)  # it is not that which ends it
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        writer.write(HEALTHZ)
        await reader.readuntil(b"}")
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        for number in range(3):
            writer.write(b"X-%d: " % number + b"x" * 8000 + b"\r\n")
            await asyncio.sleep(0.05)
        assert await until_closed(reader) == b""


@pytest.mark.parametrize("reads", [1, 3])
@pytest.mark.parametrize("before", [0, 2])
async def test_a_header_that_is_whole_is_bounded_too(api: Api, reads: int, before: int) -> None:
    """However it comes: a connection that is kept would hold it; bodies and other headers may go.

    What comes while others are answered is gathered by the parser, uncounted until it is whole.
    """
    size = connection.HEADER_BYTES // 7
    for lines, status in ((6, b"200"), (8, b"400")):
        fields = "".join(f"X-{number}: {'x' * size}\r\n" for number in range(lines))
        request = f"GET /healthz HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: 60000\r\n\r\n"
        data = HEALTHZ * before + request.encode()
        part = len(data) // reads + 1
        async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
            await until(lambda: any(each.idle for each in api.listener.connections._table._open))
            (one,) = api.listener.connections._table._open
            for start in range(0, len(data), part):
                one.data_received(data[start : start + part])  # type: ignore[attr-defined]
            if status == b"200":
                writer.write(b"x" * 60_000 + HEALTHZ.replace(b": x", b": x\r\nConnection: close"))
            got = await until_closed(reader)
        statuses = [each.split()[0] for each in re.split(rb"HTTP/1\.[01] ", got)[1:]]
        assert statuses == [b"200"] * before + [status] + [b"200"] * (status == b"200")
        await until(lambda: len(api.listener.connections._table) == 0)


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
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        writer.write(_append(api))
        await log.entered.wait()
        writer.write(many)
        await asyncio.sleep(0.3)
        assert 0 < received < 600_000
        log.gate.set()
        for _ in range(1001):
            assert b"HTTP/1.1 200 " in await reader.readuntil(b"\r\n\r\n")


async def test_answers_that_nobody_reads_are_not_gathered(api: Api) -> None:
    """Who sends many requests at once and reads nothing has few of them answered; later all."""
    log = api.host.logs["public"]
    log.entries += [bytes(60_000) for _ in range(2)]
    log.publish()
    many = 1000
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /logs/public/entries/1 HTTP/1.1\r\nHost: x\r\n\r\n" * many)
        (server_side,) = api.listener.connections._table._open
        assert isinstance(server_side, connection.Connection)
        above = server_side._transport
        assert above is not None
        await until(lambda: above.get_write_buffer_size() > 0)
        await asyncio.sleep(0.3)
        assert above.get_write_buffer_size() < 200_000
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(many):
            header = await reader.readuntil(b"\r\n\r\n")
            assert header.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(60_000) == bytes(60_000)


@pytest.mark.parametrize("before", [b"", HEALTHZ])
@pytest.mark.parametrize("beginning", [b"GET /", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"])
async def test_a_header_that_does_not_end_ends_the_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch, before: bytes, beginning: bytes
) -> None:
    """Ten seconds for a whole header, of the first request or a later one, however it drips."""
    monkeypatch.setattr(connection, "HEADER_S", 0.3)
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        if before:
            writer.write(before)
            await reader.readuntil(b"}")
        writer.write(beginning)

        async def drip() -> None:
            while True:
                await asyncio.sleep(0.05)
                writer.write(b"x")

        dripping = asyncio.create_task(drip())
        assert await until_closed(reader) == b""
        dripping.cancel()


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.2"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("target", ["GET /healthz", "POST /logs/private/add"])
async def test_nothing_waits_behind_an_upgrade_that_is_not_made(
    api: Api, target: str, chunked: bool, protocol: str
) -> None:
    """RFC 9110 section 7.8: it is ignored; what was sent behind it is refused by the close."""
    token = api.bearer(Scope.APPEND)["Authorization"]
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1"
    request = (
        f"{target} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n{length}\r\n\r\n"
    ).encode() + (b"1\r\nx\r\n0\r\n\r\n" if chunked else b"x")
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        writer.write(request + HEALTHZ)
        got = await until_closed(reader)
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in got
    assert got.count(b"HTTP/1.1 ") == 1


async def test_a_silent_connection_ends(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and says nothing has as long as for a header."""
    monkeypatch.setattr(connection, "HEADER_S", 0.1)
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, _):
        assert await until_closed(reader) == b""


async def test_the_header_deadline_is_for_headers(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a request that takes long nor an idle connection is ended by it."""
    monkeypatch.setattr(connection, "HEADER_S", 0.1)
    log = api.host.logs["private"]
    log.gate.clear()
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
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
        asking = [asyncio.create_task(ask(api, _append(api))) for _ in range(LIMITS.per_address)]
        await until(lambda: len(api.listener.connections._table) == LIMITS.per_address)
        await log.entered.wait()
        await asyncio.sleep(0.1)
        assert await ask(api, HEALTHZ) == b""
        assert await ask(api, HEALTHZ, "127.0.0.2") == b"HTTP/1.1 200 OK"
        async with api.local.get("/healthz") as response:
            assert response.status == 200
        log.gate.set()
        assert await asyncio.gather(*asking) == [b"HTTP/1.1 200 OK"] * LIMITS.per_address
        await until(lambda: len(api.listener.connections._table) == 0)
        assert await ask(api, HEALTHZ) == b"HTTP/1.1 200 OK"


async def test_an_idle_connection_gives_way(api: Api) -> None:
    """At the cap the connection that was idle for longest is closed for a new one."""
    async with asyncio.timeout(LIMIT_S):
        kept = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(8)]
        for reader, writer in reversed(kept):
            writer.write(HEALTHZ)
            await reader.readuntil(b"}")
        assert await ask(api, HEALTHZ) == b"HTTP/1.1 200 OK"
        assert await until_closed(kept[-1][0]) == b""
        for reader, writer in kept[:-1]:
            writer.write(HEALTHZ)
            await reader.readuntil(b"}")
        for _, writer in kept:
            writer.close()
