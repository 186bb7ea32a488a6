"""Answers that clients do not take: bounded memory, for a bounded time."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from tests.api.conftest import Api
from tests.api.wire import LIMIT_S, until
from tlog.api import connection, connections, large_response, response_budget
from tlog_proofs import format_entry_bundle

MIB = 1024 * 1024
BUNDLE = b"GET /logs/public/tile/entries/000 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(autouse=True)
def _exact_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)


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
    budget = api.app.service.response_budget
    budget._max_bytes = 4 * 256 * 65_537
    async with asyncio.timeout(LIMIT_S):
        deaf = [await _listen_not(api) for _ in range(2)]
        await until(lambda: budget.used_bytes == 2 * len(bundle))
        # What is not in the kernel's buffers lies in the server once, not in the transports too.
        held = sum(
            one._transport.get_write_buffer_size()  # type: ignore[attr-defined]
            for one in api.listener.connections._table._open
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
        await until(lambda: budget.used_bytes == 0)
        async with api.http.get("/logs/public/tile/entries/000") as response:
            assert await response.read() == bundle
        await until(lambda: budget.used_bytes == 0)
        for one in deaf:
            one.close()


async def test_a_client_that_listens_slowly_is_cut_off_too(
    api: Api, bundle: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large answer has its time: a trickle that never stops does not hold it for ever."""
    monkeypatch.setattr(large_response, "GRACE_S", 0.5)
    monkeypatch.setattr(large_response, "MIN_RATE", 1 << 40)
    budget = api.app.service.response_budget
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
        await until(lambda: budget.used_bytes == len(bundle))
        await until(lambda: budget.used_bytes == 0)
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
        await until(lambda: len(api.listener.connections._table) == 0)
        deaf.close()


async def test_the_end_does_not_wait_for_the_deaf(api: Api, bundle: bytes) -> None:
    """A listener closes although a client takes nothing, and what it held is free."""
    budget = api.app.service.response_budget
    async with asyncio.timeout(LIMIT_S):
        deaf = await _listen_not(api)
        await until(lambda: budget.used_bytes == len(bundle))
        await api.listener.close()
        await until(lambda: budget.used_bytes == 0)
        await until(lambda: len(api.listener.connections._table) == 0)
        deaf.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_large_answer_holds_nothing_once_it_is_sent(
    api: Api, bundle: bytes, method: str, encoding: str
) -> None:
    """Neither the budget nor the connection, which stays, keeps what was sent."""
    budget = api.app.service.response_budget
    headers = {"Accept-Encoding": encoding}
    path = "/logs/public/tile/entries/000"
    async with asyncio.timeout(LIMIT_S):
        for _ in range(2):
            async with api.http.request(method, path, headers=headers) as response:
                assert response.status == 200
                assert await response.read() == (bundle if method == "GET" else b"")
            await until(lambda: budget.used_bytes == 0)
        missing = "/logs/public/tile/entries/009"
        async with api.http.request(method, missing, headers=headers) as response:
            assert response.status == 404
    assert budget.used_bytes == 0
    assert len(api.listener.connections._table) == 1
