"""Uploads under way: refused before they are sent, and within the bound of what may be queued."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json

import pytest

from tests.api.conftest import Api
from tlog.api import bodies
from tlog.budget import QueueBudget
from tlog.errors import DiskReserveError, ReadOnlyError
from tlog.tokens import Scope

LIMIT_S = 20.0
OCTETS = "application/octet-stream"
NDJSON = "application/x-ndjson"
LINE = b'{"entry":"%s"}\n' % base64.b64encode(b"x" * 30_000)


async def _begin(
    api: Api, path: str, content_type: str, length: int, body: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request with the beginning of a body of so many bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    token = api.bearer(Scope.APPEND)["Authorization"]
    writer.write(
        f"POST /logs/private/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n".encode()
        + body
    )
    await writer.drain()
    return reader, writer


async def _until_reserved(budget: QueueBudget, count: int) -> None:
    while budget.used_bytes != count:  # noqa: ASYNC110 - what is waited for lies in the server
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "content_type"), [("add", OCTETS), ("entries", OCTETS), ("entries", NDJSON)]
)
@pytest.mark.parametrize(
    ("refusal", "status"), [(ReadOnlyError("no head"), 503), (DiskReserveError("no room"), 507)]
)
async def test_a_log_that_takes_nothing_reads_nothing(
    api: Api, path: str, content_type: str, refusal: Exception, status: int
) -> None:
    """The refusal comes although the body never does."""
    api.host.logs["private"].refusal = refusal
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await _begin(api, path, content_type, 60_000, b"")
        assert (await reader.readline()).split()[1] == b"%d" % status
        writer.close()


@pytest.mark.parametrize(
    ("path", "content_type", "beginning"),
    [
        ("add", OCTETS, b"x" * 40_000),
        ("entries", OCTETS, b"x" * 40_000),
        ("entries", NDJSON, LINE[:40_000]),
    ],
)
async def test_what_arrives_counts_as_queued(
    api: Api, path: str, content_type: str, beginning: bytes
) -> None:
    """Uploads that stall take from the queue's bytes, and give them back when they end."""
    log = api.host.logs["private"]
    log.budget = QueueBudget(70_000)
    async with asyncio.timeout(LIMIT_S):
        _, stalled = await _begin(api, path, content_type, 60_000, beginning)
        await _until_reserved(log.budget, len(beginning))
        reader, writer = await _begin(api, path, content_type, 60_000, beginning)
        assert (await reader.readline()).split()[1] == b"429"
        writer.close()
        assert log.budget.used_bytes == len(beginning)
        stalled.transport.abort()
        await _until_reserved(log.budget, 0)
        async with api.http.post(
            "/logs/private/entries",
            data=LINE,
            headers=api.bearer(Scope.APPEND) | {"Content-Type": NDJSON},
        ) as response:
            assert response.status == 201
    assert log.reserved_at_append == 0
    assert log.budget.used_bytes == 0


async def test_what_is_decompressed_is_what_counts(api: Api) -> None:
    """A few bytes of gzip do not pass for few bytes of a batch."""
    log = api.host.logs["private"]
    log.budget = QueueBudget(100_000)
    body = gzip.compress(LINE * 3)
    assert len(body) < 1000
    headers = api.bearer(Scope.APPEND) | {"Content-Type": NDJSON, "Content-Encoding": "gzip"}
    async with api.http.post("/logs/private/entries", data=body, headers=headers) as response:
        assert response.status == 429
        assert json.loads(await response.read())["type"].endswith("queue-full")
    assert log.budget.used_bytes == 0
    assert len(log.entries) == 1


async def test_a_body_has_an_end_however_fast_it_comes(api: Api) -> None:
    """A body above the minimum rate is still a 408 once its time is over."""
    api.set_body_timeout(0.3)
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await _begin(api, "add", OCTETS, 65_000, b"x")

        async def drip() -> None:
            while True:
                writer.write(b"x" * 100)
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert (await reader.readline()).split()[1] == b"408"
        dripping.cancel()
        writer.close()


async def test_a_slow_body_is_cut_off(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body slower than the minimum rate is a 408, and the connection ends."""
    monkeypatch.setattr(bodies, "GRACE_S", 0.1)
    token = api.bearer(Scope.APPEND)["Authorization"]
    async with asyncio.timeout(15):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(
            f"POST /logs/private/add HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
            "Content-Length: 1000\r\n\r\nhello".encode()
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answer
        writer.close()
    assert len(api.host.logs["private"].entries) == 1


@pytest.mark.parametrize("path", ["add", "entries"])
async def test_a_token_revoked_during_an_upload_appends_nothing(api: Api, path: str) -> None:
    """What counts is whether the token is valid when the body is whole."""
    token = api.bearer(Scope.APPEND)["Authorization"]
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(
            f"POST /logs/private/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
            "Content-Type: application/octet-stream\r\nContent-Length: 5\r\n\r\nhel".encode()
        )
        await _until_reserved(api.host.logs["private"].budget, 3)
        await api.host.revoke_token(token.split("_")[1])
        writer.write(b"lo")
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")
        writer.close()
    assert len(api.host.logs["private"].entries) == 1
