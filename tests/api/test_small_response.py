"""Small answers to clients whose connection does not stay, or that speak HTTP/1.0."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.conftest import Api
from tests.api.wire import LIMIT_S, connect, until_closed
from tlog.tokens import Scope

ALIVE = b'{"alive":true}'


def _split(answer: bytes) -> tuple[bytes, list[bytes], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.lower().split(b"\r\n")
    return status, headers, body


@pytest.mark.parametrize("path", ["/healthz", "/logs/private/add", "/nothing"])
async def test_who_wants_the_connection_closed_is_told_that_it_is(api: Api, path: str) -> None:
    """`Connection: close` is answered with the same, the whole body, and the end."""
    method = "POST" if path.endswith("add") else "GET"
    token = api.bearer(Scope.APPEND)["Authorization"]
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: {token}\r\nContent-Length: 0\r\n\r\n"
    )
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        writer.write(request.encode())
        status, headers, body = _split(await until_closed(reader))
    assert status.startswith(b"http/1.1 ")
    assert b"connection: close" in headers
    assert b"content-length: %d" % len(body) in headers


async def test_http_1_0_is_answered_in_its_own_words_and_closed(api: Api) -> None:
    """The version of the answer is that of the request; without a wish the connection ends."""
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        status, headers, body = _split(await until_closed(reader))
    assert status == b"http/1.0 200 ok"
    assert b"connection: keep-alive" not in headers
    assert body == ALIVE


async def test_http_1_0_is_told_that_the_connection_stays(api: Api) -> None:
    """Who wishes it is told so, as HTTP/1.0 must be, and asks again on the same connection."""
    request = b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    async with asyncio.timeout(LIMIT_S), connect(api) as (reader, writer):
        for _ in range(2):
            writer.write(request)
            status, headers, _ = _split(await reader.readuntil(b"\r\n\r\n"))
            assert status == b"http/1.0 200 ok"
            assert b"connection: keep-alive" in headers
            assert await reader.readexactly(len(ALIVE)) == ALIVE
