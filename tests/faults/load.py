"""Clients that append without pause and write down every acknowledgement and every head."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

Work = Callable[[aiohttp.ClientSession], Coroutine[Any, Any, None]]


@dataclass
class Journal:
    """What clients were told: kept by the test, which outlives every server."""

    acked: dict[int, bytes] = field(default_factory=dict)
    heads: list[bytes] = field(default_factory=list)
    sent: int = 0

    def next_entry(self) -> bytes:
        """An entry that was never sent before."""
        self.sent += 1
        return b"entry number %d" % self.sent

    def ack(self, index: int, entry: bytes) -> None:
        """Note an acknowledgement; no index may be given twice."""
        assert index not in self.acked, f"index {index} was acknowledged twice"
        self.acked[index] = entry


class Load:
    """Appenders and a head watcher against one log of one server address."""

    def __init__(self, log_url: str, token: str, journal: Journal) -> None:
        self._url = log_url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._journal = journal
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def start(self, singles: int) -> None:
        """Begin with so many single connections, one batch writer and one watcher."""
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=20),
        )
        works: Sequence[Work] = [self._append] * singles + [self._append_batch, self._watch]
        self._tasks = [asyncio.create_task(self._repeat(work, self._session)) for work in works]

    async def stop(self) -> None:
        """End all clients, whatever they wait for; a failed check of theirs is raised."""
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        for outcome in ended:
            if isinstance(outcome, AssertionError):
                raise outcome

    async def _repeat(
        self,
        work: Work,
        session: aiohttp.ClientSession,
    ) -> None:
        while True:
            try:
                await work(session)
            except (aiohttp.ClientError, TimeoutError):
                # The server is gone: what was under way has an unknown outcome.
                await asyncio.sleep(0.01)

    async def _append(self, session: aiohttp.ClientSession) -> None:
        entry = self._journal.next_entry()
        async with session.post(f"{self._url}/add", data=entry) as answer:
            body = await answer.read()
            if answer.status == 200:
                self._journal.ack(int(body), entry)

    async def _append_batch(self, session: aiohttp.ClientSession) -> None:
        entries = [self._journal.next_entry() for _ in range(100)]
        lines = b"".join(
            json.dumps({"entry": base64.b64encode(entry).decode()}).encode() + b"\n"
            for entry in entries
        )
        headers = {"Content-Type": "application/x-ndjson"}
        async with session.post(f"{self._url}/entries", data=lines, headers=headers) as answer:
            if answer.status == 201:
                told = json.loads(await answer.read())["entries"]
                for entry, row in zip(entries, told, strict=True):
                    self._journal.ack(row["index"], entry)

    async def _watch(self, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{self._url}/checkpoint") as answer:
            note = await answer.read()
            if answer.status == 200:
                self._journal.heads.append(note)
        await asyncio.sleep(0.005)


async def read_entries(log_url: str, token: str) -> list[bytes]:
    """All entries up to the served checkpoint, one by one as the bundles give them."""
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def fetch(path: str) -> bytes:
            async with session.get(f"{log_url}/{path}") as answer:
                answer.raise_for_status()
                return await answer.read()

        size = int((await fetch("checkpoint")).split(b"\n")[1])
        entries: list[bytes] = []
        while len(entries) < size:
            number, width = len(entries) // 256, min(256, size - len(entries))
            path = f"{number % 1000:03d}"
            while number := number // 1000:
                path = f"x{number % 1000:03d}/{path}"
            data = await fetch(f"tile/entries/{path}" + (f".p/{width}" if width < 256 else ""))
            while data:
                length = int.from_bytes(data[:2], "big")
                entries.append(data[2 : 2 + length])
                data = data[2 + length :]
        assert len(entries) == size
        return entries
