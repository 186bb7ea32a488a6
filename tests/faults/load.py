"""Clients that append without pause and write down every acknowledgement and every head.

`python -m tests.faults.load DIR TOKEN SINGLES LOG...` runs them in a process of its own, which
outlives every server: each line of its standard input is the URL of a server to load from now on,
an empty line ends the load; each is answered by a line. The journals are DIR/LOG.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.faults.server_process import ROOT

Work = Callable[[aiohttp.ClientSession], Coroutine[Any, Any, None]]


class Journal:
    """Writes down what clients of one log are told, a line each."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._name = path.name
        self._sent = 0
        self._unanswered: dict[int, list[list[bytes]]] = {}  # by how many are sent together

    @contextmanager
    def entries(self, count: int) -> Iterator[tuple[list[bytes], Callable[[list[int]], None]]]:
        """So many entries to send, and what to call with their indexes when they are acknowledged.

        Each is sent under itself as its id. Without an acknowledgement they are sent again.
        """
        waiting = self._unanswered.setdefault(count, [])
        entries = waiting.pop() if waiting else [self._new_entry() for _ in range(count)]
        acked = False

        def ack(indexes: list[int]) -> None:
            nonlocal acked
            acked = True
            for index, entry in zip(indexes, entries, strict=True):
                line = json.dumps({"index": index, "entry": entry.decode()})
                self._file.write(f"{line}\n")

        try:
            yield entries, ack
        finally:
            if not acked:
                waiting.append(entries)

    def _new_entry(self) -> bytes:
        self._sent += 1
        return f"entry number {self._sent} of {self._name}".encode()

    def head(self, note: bytes) -> None:
        """Note a head that was served."""
        self._file.write(json.dumps({"head": note.decode()}) + "\n")


@dataclass
class Told:
    """What the clients of one log were told so far, read from their journal."""

    path: Path
    acked: dict[int, bytes] = field(default_factory=dict)
    heads: list[bytes] = field(default_factory=list)
    _read: int = 0

    def read(self) -> None:
        """Read what was added since; no index may have been given twice."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            match json.loads(line):
                case {"index": int(index), "entry": str(entry)}:
                    assert index not in self.acked, f"index {index} was acknowledged twice"
                    self.acked[index] = entry.encode()
                case {"head": str(note)}:
                    self.heads.append(note.encode())


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
        with self._journal.entries(1) as ([entry], ack):
            headers = {
                "Content-Type": "application/octet-stream",
                "Idempotency-Key": entry.decode(),
            }
            async with session.post(f"{self._url}/entries", data=entry, headers=headers) as answer:
                if answer.status in (200, 201):
                    ack([json.loads(await answer.read())["index"]])

    async def _append_batch(self, session: aiohttp.ClientSession) -> None:
        with self._journal.entries(100) as (entries, ack):
            lines = b"".join(
                json.dumps(
                    {"entry": base64.b64encode(entry).decode(), "id": entry.decode()}
                ).encode()
                + b"\n"
                for entry in entries
            )
            headers = {"Content-Type": "application/x-ndjson"}
            async with session.post(f"{self._url}/entries", data=lines, headers=headers) as answer:
                if answer.status in (200, 201):
                    told = json.loads(await answer.read())["entries"]
                    ack([row["index"] for row in told])

    async def _watch(self, session: aiohttp.ClientSession) -> None:
        async with session.get(f"{self._url}/checkpoint") as answer:
            note = await answer.read()
            if answer.status == 200:
                self._journal.head(note)
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


class LoadProcess:
    """The clients in a process of their own."""

    def __init__(self, journals: Path, token: str, singles: int, *logs: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.load", journals, token, str(singles), *logs],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=20)

    async def start(self, url: str) -> None:
        """Load this server from now on."""
        await asyncio.to_thread(self._tell, url)

    async def stop(self) -> None:
        """End the load; every acknowledgement is in the journals."""
        await asyncio.to_thread(self._tell, "")

    def _tell(self, line: str) -> None:
        if self._process.stdin is None or self._process.stdout is None:
            raise TypeError
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer == f"{line}\n", f"the load ended: {answer}"


async def main(journals: str, token: str, singles: str, *logs: str) -> None:
    """Follow the lines of standard input until it ends."""
    written = {name: Journal(Path(journals) / name) for name in logs}
    loads: list[Load] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        for load in loads:
            await load.stop()
        loads = []
        if url := line.strip():
            loads = [Load(f"{url}/logs/{name}", token, written[name]) for name in logs]
            for load in loads:
                await load.start(int(singles))
        sys.stdout.write(line)
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
