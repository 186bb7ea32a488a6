"""From the sending of an entry to a checkpoint that covers it, of an idle and of a busy server."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.client import OCTETS, Bodies, Connection, request_head
from bench.generators import ENTRY_BYTES, Target
from bench.machine import Latency, latency
from bench.measure import Bench
from bench.process import BenchError, Child
from bench.report import Round
from bench.server import LOG_PATH, DataDirectory
from bench.singles import FEW, LONE
from bench.tessera import ADD_PATH, BEST, CHECKPOINT_PATH, build_tessera, start_tessera

MEASUREMENTS = 5  # as long as so many others: most of it is waiting for the server to be idle
IDLE_S = 0.12  # longer than the interval of publication of ours and theirs: idle again
POLL_S = 0.001
PATIENCE_S = 30.0
OK = 200
ACCEPTED = (OK, 201)


@dataclass(frozen=True, slots=True)
class Log:
    """Where a log takes an entry, and shows its checkpoint; an empty token is not sent.

    wait: an append that is answered only once it is published; without it the answer is the
    entry's index, and the checkpoint is asked for until it covers that.
    """

    add: str
    checkpoint: str
    token: str = ""
    wait: bool = False


def publication(bench: Bench) -> None:
    """An append alone, then one beside 32 busy connections; the same of Tessera."""
    data = DataDirectory.create(bench.directory / "published")
    added, checkpoint = f"{LOG_PATH}/add", f"{LOG_PATH}/checkpoint"
    waiting = Log(f"{LOG_PATH}/entries?wait=published", checkpoint, data.token, wait=True)
    polling = Log(added, checkpoint, data.token)
    with data.serve() as server:
        _measure(bench, "waited", "append -> published, wait=published", server, waiting)
        _measure(bench, "polled", "append -> published, polled", server, polling)
        busy = f"append -> published beside {FEW} connections"
        _measure_busy(bench, "busy", busy, server, polling)
    if reason := build_tessera():
        bench.report.notes.append(f"Tessera's publication ({reason})")
        return
    theirs = Log(ADD_PATH, CHECKPOINT_PATH)
    with start_tessera(bench.directory / "tessera-lone", BEST[LONE]) as server:
        _measure(bench, "tessera", "  Tessera at its best, polled", server, theirs)
    with start_tessera(bench.directory / "tessera-few", BEST[FEW]) as server:
        busy = f"  Tessera at its best beside {FEW} connections"
        _measure_busy(bench, "tessera-busy", busy, server, theirs)


def _measure(bench: Bench, key: str, words: str, server: Child, log: Log) -> None:
    row = bench.row(f"published/{key}", words)
    with bench.surroundings.around(server.pid) as conditions:
        found = asyncio.run(measure_published(server.address, log, MEASUREMENTS * bench.seconds))
    row.rounds.append(Round(0, found, conditions[0]))


def _measure_busy(bench: Bench, key: str, words: str, server: Child, log: Log) -> None:
    """The rate is that of the load beside which it was measured."""
    row = bench.row(f"published/{key}", words)
    seconds = MEASUREMENTS * bench.seconds
    target = Target(server.address, log.add, log.token)
    with bench.surroundings.around(server.pid) as conditions, ThreadPoolExecutor(1) as beside:
        load = beside.submit(bench.generator.singles, target, FEW, seconds)
        found = asyncio.run(measure_published(server.address, log, seconds))
        rate = load.result().rate
    row.rounds.append(Round(rate, found, conditions[0]))


async def measure_published(address: str, log: Log, seconds: float) -> Latency:
    """Append one entry after the other for so long; how long each took to be published.

    Raises:
        BenchError: an entry is refused, or not published within PATIENCE_S.
    """
    connection = await Connection.open(address)
    head = request_head("POST", log.add, log.token, length=ENTRY_BYTES, kind=OCTETS)
    bodies = Bodies(ENTRY_BYTES, None)
    durations: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not durations:
        # Not in step with the interval of publication.
        await asyncio.sleep(IDLE_S * (1 + os.urandom(1)[0] / 256))
        start = time.perf_counter()
        answer = await _append(connection, head + bodies.next())
        if not log.wait:
            await _until_published(connection, log, int(answer))
        durations.append(time.perf_counter() - start)
    connection.close()
    return latency(durations)


async def _append(connection: Connection, request: bytes) -> bytes:
    status, answer = await connection.ask(request)
    if status not in ACCEPTED:
        message = f"an append was answered {status}: {answer!r}"
        raise BenchError(message)
    return answer


async def _until_published(connection: Connection, log: Log, index: int) -> None:
    request = request_head("GET", log.checkpoint, log.token)
    last = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < last:
        status, note = await connection.ask(request)
        if status == OK and int(note.split(b"\n")[1]) > index:  # none before the first is signed
            return
        await asyncio.sleep(POLL_S)
    message = f"entry {index} was not published within {PATIENCE_S:.0f} s"
    raise BenchError(message)
