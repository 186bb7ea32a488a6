"""The load generator in Python: a closed loop of connections, one line of JSON at the end.

Its own process, so that server and generator share cores but no interpreter. The token
comes in the environment (BENCH_TOKEN), as it does for appendload, the generator in Go.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from dataclasses import dataclass, field

import uvloop

from bench.client import NDJSON, OCTETS, Bodies, Connection, request_head
from bench.machine import latency


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: entries of so many bytes, alone or `batch` to a request."""

    address: str
    path: str
    token: str
    connections: int
    seconds: float
    entry_bytes: int
    batch: int | None
    ids: bool


@dataclass(slots=True)
class Outcome:
    """What came back: durations in seconds of what was taken, and refusals."""

    durations: list[float] = field(default_factory=list)
    errors: int = 0
    first_error: str = ""


async def run(load: Load) -> dict[str, object]:
    """Keep all connections busy for load.seconds; rate counts requests."""
    outcome = Outcome()
    start = time.perf_counter()
    end = start + load.seconds
    await asyncio.gather(*(_keep_busy(load, end, outcome) for _ in range(load.connections)))
    elapsed = time.perf_counter() - start
    measured = latency(outcome.durations or [0.0])
    return {
        "ok": len(outcome.durations),
        "errors": outcome.errors,
        "first_error": outcome.first_error,
        "seconds": elapsed,
        "rate": len(outcome.durations) / elapsed,
        "p50_ms": measured.p50_ms,
        "p99_ms": measured.p99_ms,
    }


async def _keep_busy(load: Load, end: float, outcome: Outcome) -> None:
    bodies = Bodies(load.entry_bytes, load.batch, ids=load.ids)
    kind = OCTETS if load.batch is None else NDJSON
    connection = await Connection.open(load.address)
    while time.perf_counter() < end:
        body = bodies.next()
        head = request_head("POST", load.path, load.token, length=len(body), kind=kind)
        start = time.perf_counter()
        status, answer = await connection.ask(head + body)
        if status in (200, 201):
            outcome.durations.append(time.perf_counter() - start)
        else:
            outcome.errors += 1
            outcome.first_error = outcome.first_error or f"{status} {answer[:200]!r}"
    connection.close()


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True, help="HOST:PORT")
    parser.add_argument("--path", required=True)
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
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(load))))


if __name__ == "__main__":
    main()
