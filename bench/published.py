"""From the sending of an entry to a checkpoint that covers it, on an otherwise idle server."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass

from bench.client import OCTETS, Bodies, Connection, request_head
from bench.generators import ENTRY_BYTES
from bench.machine import Latency, latency
from bench.process import BenchError

IDLE_S = 0.12  # longer than the interval of publication of ours and theirs: idle again
POLL_S = 0.001
OK = 200
ACCEPTED = (OK, 201)


@dataclass(frozen=True, slots=True)
class Log:
    """Where a log takes entries and shows its checkpoint; an empty token is not sent.

    query: of an append that is answered only once it is published; without one, the checkpoint
    is asked for until it covers the entry.
    """

    add: str
    checkpoint: str
    token: str = ""
    query: str = ""


async def measure_published(address: str, log: Log, seconds: float) -> Latency:
    """Append one entry after the other for so long; how long each took to be published."""
    connection = await Connection.open(address)
    head = request_head("POST", log.add + log.query, log.token, length=ENTRY_BYTES, kind=OCTETS)
    bodies = Bodies(ENTRY_BYTES, None)
    await _append(connection, head + bodies.next())  # so that there is a checkpoint
    durations: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not durations:
        # Not in step with the interval of publication.
        await asyncio.sleep(IDLE_S * (1 + os.urandom(1)[0] / 256))
        size = await _published_size(connection, log)
        start = time.perf_counter()
        await _append(connection, head + bodies.next())
        # What is waited for is in another process.
        while not log.query and await _published_size(connection, log) <= size:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        durations.append(time.perf_counter() - start)
    connection.close()
    return latency(durations)


async def _append(connection: Connection, request: bytes) -> None:
    status, answer = await connection.ask(request)
    if status not in ACCEPTED:
        message = f"an append on an idle server was answered {status}: {answer!r}"
        raise BenchError(message)


async def _published_size(connection: Connection, log: Log) -> int:
    """0 as long as there is no checkpoint."""
    status, note = await connection.ask(request_head("GET", log.checkpoint, log.token))
    return int(note.split(b"\n")[1]) if status == OK else 0
