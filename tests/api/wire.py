"""Connections below HTTP clients, for tests of what no client does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.api.conftest import Api

LIMIT_S = 20.0
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connect(api: Api, source: str = "127.0.0.1") -> AsyncIterator[Connection]:
    """A connection from an address of loopback."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", api.port, local_addr=(source, 0), limit=1024
    )
    try:
        yield reader, writer
    finally:
        writer.close()


async def ask(api: Api, request: bytes, source: str = "127.0.0.1") -> bytes:
    """The first line of the answer on a new connection; empty if it was closed without one."""
    async with connect(api, source) as (reader, writer):
        try:
            writer.write(request)
            return (await reader.readline()).strip()
        except ConnectionError:
            return b""


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """What came before the other side closed or reset the connection."""
    got = b""
    try:
        while chunk := await reader.read(65_536):
            got += chunk
    except ConnectionError:
        pass
    return got


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    while not condition():  # noqa: ASYNC110 - what is waited for lies in the server
        await asyncio.sleep(0.01)
