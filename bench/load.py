"""The load generator in Python: a closed loop of connections, one line of JSON at the end.

Its own process, so that server and generator share cores but no interpreter. The token
comes in the environment (BENCH_TOKEN), as it does for loadgen, the generator in Go, whose
options and line these are; batches are here alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import uvloop

from bench.client import NDJSON, OCTETS, Bodies, Connection, request_head
from bench.machine import latency


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: entries of so many bytes, alone or `batch` to a request; or GETs of paths.

    once: each of the paths once, else again and again.
    """

    address: str
    path: str
    token: str
    connections: int
    seconds: float
    entry_bytes: int
    batch: int | None
    ids: bool
    paths: tuple[str, ...] = ()
    once: bool = False


@dataclass(slots=True)
class Outcome:
    """What came back: durations in seconds of what was taken, and refusals."""

    durations: list[float] = field(default_factory=list)
    answer_bytes: int = 0
    errors: int = 0
    first_error: str = ""


async def run(load: Load) -> dict[str, object]:
    """Keep all connections busy for load.seconds; rate counts requests."""
    outcome = Outcome()
    start = time.perf_counter()
    end = start + load.seconds
    gets = _gets(load) if load.paths else None  # shared by all connections
    await asyncio.gather(
        *(_keep_busy(load, gets or _posts(load), end, outcome) for _ in range(load.connections))
    )
    elapsed = time.perf_counter() - start
    measured = latency(outcome.durations or [0.0])
    return {
        "ok": len(outcome.durations),
        "bytes": outcome.answer_bytes,
        "errors": outcome.errors,
        "first_error": outcome.first_error,
        "seconds": elapsed,
        "rate": len(outcome.durations) / elapsed,
        "p50_ms": measured.p50_ms,
        "p99_ms": measured.p99_ms,
    }


async def _keep_busy(load: Load, requests: Iterator[bytes], end: float, outcome: Outcome) -> None:
    connection = await Connection.open(load.address)
    while time.perf_counter() < end and (request := next(requests, None)):
        start = time.perf_counter()
        status, answer = await connection.ask(request)
        if status in (200, 201):
            outcome.durations.append(time.perf_counter() - start)
            outcome.answer_bytes += len(answer)
        else:
            outcome.errors += 1
            outcome.first_error = outcome.first_error or f"{status} {answer[:200]!r}"
    connection.close()


def _posts(load: Load) -> Iterator[bytes]:
    bodies = Bodies(load.entry_bytes, load.batch, ids=load.ids)
    kind = OCTETS if load.batch is None else NDJSON
    while True:
        body = bodies.next()
        head = request_head("POST", load.path, load.token, length=len(body), kind=kind)
        yield head + body


def _gets(load: Load) -> Iterator[bytes]:
    requests = [request_head("GET", path, load.token) for path in load.paths]
    return iter(requests) if load.once else cycle(requests)


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True, help="HOST:PORT")
    parser.add_argument("--path", default="/add", help="where entries are posted")
    parser.add_argument("--paths", type=Path, help="file of paths to get, in place of posting")
    parser.add_argument("--once", action="store_true", help="get each path once")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--size", type=int, default=600, help="bytes of an entry")
    parser.add_argument("--batch", type=int, help="entries a request, as NDJSON")
    parser.add_argument("--ids", action="store_true", help="each entry of a batch has a new id")
    given = parser.parse_args()
    load = Load(
        address=given.address,
        path=given.path,
        token=os.environ.get("BENCH_TOKEN", ""),
        connections=given.connections,
        seconds=given.seconds,
        entry_bytes=given.size,
        batch=given.batch,
        ids=given.ids,
        paths=tuple(given.paths.read_text().split()) if given.paths else (),
        once=given.once,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(load))))


if __name__ == "__main__":
    main()
