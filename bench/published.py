"""From the sending of an entry to a checkpoint that covers it, on an otherwise idle server."""

from __future__ import annotations

import asyncio
import os
import time

from bench.client import OCTETS, Bodies, Connection, request_head
from bench.generators import ENTRY_BYTES
from bench.machine import Latency, latency
from bench.process import BenchError
from bench.server import LOG_PATH

IDLE_S = 0.12  # longer than the server's own interval of publication: it is idle again
POLL_S = 0.001
CREATED = 201


async def measure_published(
    address: str, token: str, seconds: float, *, asked_for: bool
) -> Latency:
    """Append one entry after the other for so long; how long each took to be published.

    asked_for: with `wait=published`, until its answer; otherwise the served checkpoint is
    asked for every millisecond until it covers the entry.
    """
    connection = await Connection.open(address)
    query = "?wait=published" if asked_for else ""
    head = request_head(
        "POST", f"{LOG_PATH}/entries{query}", token, length=ENTRY_BYTES, kind=OCTETS
    )
    bodies = Bodies(ENTRY_BYTES, None)
    durations = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        # Not in step with the interval of publication.
        await asyncio.sleep(IDLE_S * (1 + os.urandom(1)[0] / 256))
        size = await _published_size(connection, token)
        start = time.perf_counter()
        status, answer = await connection.ask(head + bodies.next())
        if status != CREATED:
            message = f"an append on an idle server was answered {status}: {answer!r}"
            raise BenchError(message)
        # What is waited for is in another process.
        while not asked_for and await _published_size(connection, token) <= size:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        durations.append(time.perf_counter() - start)
    connection.close()
    return latency(durations)


async def _published_size(connection: Connection, token: str) -> int:
    _, note = await connection.ask(request_head("GET", f"{LOG_PATH}/checkpoint", token))
    return int(note.split(b"\n")[1])
