"""Bodies whose transfer coding breaks in a later read than the one with the header."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from tests.api.conftest import Api
from tests.api.wire import LIMIT_S, connect, until, until_closed
from tlog.api.connection import Connection
from tlog.tokens import Scope

BROKEN = [b"ZZZ\r\n", b"5\r\nhelloXXXX", b"1\r\nx\r\n0\r\nno field\r\n\r\n"]


def _head(api: Api, target: str, length: str = "Transfer-Encoding: chunked") -> bytes:
    token = api.bearer(Scope.APPEND)["Authorization"]
    return f"{target} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n{length}\r\n\r\n".encode()


def _connection(api: Api) -> Connection:
    (one,) = api.listener.connections._table._open
    return cast("Connection", one)


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_body_that_breaks_is_refused_at_once(api: Api, broken: bytes) -> None:
    """400, not 408 when the time of the body is over; and the connection ends."""
    api.set_body_timeout(2 * LIMIT_S)
    measures = api.app.service.backend.http_measures
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        writer.write(_head(api, "POST /logs/private/add") + b"5\r\nhello\r\n")
        await until(lambda: measures.bodies == 1)
        writer.write(broken)
        got = await until_closed(reader)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"urn:tlog:problem:malformed" in got
    assert got.count(b"HTTP/1.1 ") == 1
    assert len(api.host.logs["private"].entries) == 1


async def test_a_body_that_breaks_before_its_turn(api: Api) -> None:
    """The request before it has its own answer, then it has 400."""
    api.set_body_timeout(2 * LIMIT_S)
    log = api.host.logs["private"]
    log.gate.clear()
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        writer.write(_head(api, "POST /logs/private/add", "Content-Length: 1") + b"x")
        await log.entered.wait()
        writer.write(_head(api, "POST /logs/private/add") + b"5\r\nhello\r\n")
        await until(lambda: len(_connection(api)._messages) == 1)
        writer.write(b"ZZZ\r\n")
        await asyncio.sleep(0.05)
        log.gate.set()
        got = await until_closed(reader)
    first, second = got.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 ")
    assert second.startswith(b"400 ")
    assert log.entries[1:] == [b"x"]


@pytest.mark.parametrize(
    ("target", "status"), [("POST /logs/private/add", 400), ("GET /healthz", 200)]
)
async def test_a_body_that_breaks_before_its_request_is_begun(
    api: Api, target: str, status: int
) -> None:
    """Two reads before the loop comes to the request; who wants no body answers as ever."""
    api.set_body_timeout(2 * LIMIT_S)
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, _):
        await until(lambda: len(api.listener.connections._table) == 1)
        connection = _connection(api)
        await until(lambda: connection.idle)
        connection.data_received(_head(api, target) + b"5\r\nhello\r\n")
        connection.data_received(b"ZZZ\r\n")
        connection.data_received(b"more of it")
        got = await until_closed(reader)
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nConnection: close\r\n" in got
    assert got.count(b"HTTP/1.1 ") == 1
