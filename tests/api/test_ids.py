"""Idempotency over HTTP, against a real log: status codes, places, conflicts, malformed ids."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession

from tests.api.documented import check, record
from tests.server.hosts import ORIGIN, open_host
from tlog.api.app import make_public_app
from tlog.api.connection_table import ConnectionLimits
from tlog.api.listener import Listener
from tlog.creation import NewLog
from tlog.host import Host
from tlog.tokens import Scope

OCTETS = {"Content-Type": "application/octet-stream"}
NDJSON = {"Content-Type": "application/x-ndjson"}


@dataclass
class Site:
    """A host with one log, behind HTTP."""

    host: Host
    client: ClientSession
    headers: dict[str, str]

    async def add(self, entry: bytes, entry_id: str | None = None) -> tuple[int, bytes]:
        """POST add."""
        headers = self.headers | ({"Idempotency-Key": entry_id} if entry_id else {})
        async with self.client.post("/logs/a/add", data=entry, headers=headers) as answer:
            return answer.status, await answer.read()

    async def entry(self, entry: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        """POST entries with one entry; header names with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._entries(entry, OCTETS | named)

    async def batch(self, *lines: tuple[bytes, str | None]) -> tuple[int, dict[str, Any]]:
        """POST entries with a batch."""
        body = b""
        for entry, entry_id in lines:
            line = {"entry": base64.b64encode(entry).decode()}
            body += json.dumps(line | ({"id": entry_id} if entry_id else {})).encode() + b"\n"
        return await self._entries(body, NDJSON)

    async def _entries(
        self, body: bytes, headers: dict[str, str], query: str = ""
    ) -> tuple[int, dict[str, Any]]:
        url = f"/logs/a/entries{query}"
        async with self.client.post(url, data=body, headers=self.headers | headers) as answer:
            return await read(answer)


async def read(answer: ClientResponse) -> tuple[int, dict[str, Any]]:
    """Status and JSON."""
    return answer.status, json.loads(await answer.read())


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A log `a`, and a token that may append and read."""
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", ORIGIN))
        token = await host.create_token(["a"], [Scope.APPEND, Scope.READ])
        bound = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        app = make_public_app(host)
        answers = record(app)
        listener = Listener(app, [bound], 1.0, ConnectionLimits(32, 32))
        await listener.start()
        try:
            async with ClientSession(url) as client:
                yield Site(host, client, {"Authorization": f"Bearer {token}"})
        finally:
            await listener.close()
        for answer in set(answers):
            check(answer)


async def test_add_with_an_id_again_answers_the_first_index(site: Site) -> None:
    """POST add: the index alone, the same as before, and 409 for other bytes."""
    assert await site.add(b"one", "a") == (200, b"1")
    assert await site.add(b"one", "a") == (200, b"1")
    assert await site.add(b"one") == (200, b"2")
    status, problem = await site.add(b"two", "a")
    assert status == 409
    assert json.loads(problem)["type"] == "urn:tlog:problem:id-conflict"
    assert site.host.log("a").published.size <= 3


async def test_one_entry_with_an_id_is_201_and_then_200(site: Site) -> None:
    """POST entries with Idempotency-Key."""
    status, first = await site.entry(b"one", Idempotency_Key="a")
    assert status == 201
    assert await site.entry(b"one", Idempotency_Key="a") == (200, first)
    assert (await site.entry(b"other", Idempotency_Key="a"))[0] == 409


async def test_a_batch_is_201_while_it_holds_anything_new(site: Site) -> None:
    """Each line has its index in order; first_index is the lowest new one or absent."""
    await site.add(b"one", "a")
    status, told = await site.batch((b"two", "b"), (b"one", "a"), (b"three", None), (b"two", "b"))
    assert status == 201
    assert told["first_index"] == 2
    assert told["count"] == 4
    assert [entry["index"] for entry in told["entries"]] == [2, 1, 3, 2]
    status, told = await site.batch((b"one", "a"), (b"two", "b"))
    assert status == 200
    assert "first_index" not in told
    assert [entry["index"] for entry in told["entries"]] == [1, 2]
    status, problem = await site.batch((b"four", "d"), (b"x", "e"), (b"y", "e"))
    assert (status, problem["type"]) == (409, "urn:tlog:problem:id-conflict")
    assert await site.add(b"next") == (200, b"4")


async def test_a_repeat_that_waits_gets_its_proof_too(site: Site) -> None:
    """wait=published on a known entry: 200 with the proof."""
    await site.add(b"one", "a")
    headers = OCTETS | {"Idempotency-Key": "a"}
    status, told = await site._entries(b"one", headers, "?wait=published")
    assert status == 200
    assert told["index"] == 1
    assert told["proof"].startswith("c2sp.org/tlog-proof@v1")


async def test_two_clients_at_once_get_one_index(site: Site) -> None:
    """Thirty requests with one id: one entry."""
    answers = await asyncio.gather(*(site.add(b"one", "a") for _ in range(30)))
    assert set(answers) == {(200, b"1")}
    assert await site.add(b"next") == (200, b"2")


@pytest.mark.parametrize("entry_id", ["x" * 256, "caf\u00e9", "tab\tbed"])
async def test_a_malformed_id_is_refused(site: Site, entry_id: str) -> None:
    """1 to 255 printable ASCII characters, in the header and in a batch."""
    status, problem = await site.batch((b"one", entry_id))
    assert (status, problem["type"]) == (400, "urn:tlog:problem:malformed")
    if entry_id.isascii():
        status, _ = await site.add(b"one", entry_id)
        assert status == 400
    assert await site.add(b"one", "x" * 255) == (200, b"1")


async def test_an_empty_id_and_an_id_for_a_whole_batch_are_refused(site: Site) -> None:
    """An id names one entry."""
    body = b'{"entry": "eA==", "id": ""}\n'
    assert (await site._entries(body, NDJSON))[0] == 400
    body = b'{"entry": "eA=="}\n'
    assert (await site._entries(body, NDJSON | {"Idempotency-Key": "a"}))[0] == 400
    body = b'{"entry": "eA==", "id": "a", "id": "b"}\n'
    assert (await site._entries(body, NDJSON))[0] == 400
    body = b'{"entry": "eA==", "id": 7}\n'
    assert (await site._entries(body, NDJSON))[0] == 400
    assert await site.add(b"x") == (200, b"1")
