"""Batches, ours in both process modes beside LevelDB alone, and on a log that is large already."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable

from bench.fill import fill
from bench.measure import BATCH_CONNECTIONS, MB, ROUNDS, Bench
from bench.process import anonymous_bytes
from bench.server import DataDirectory

SMALL_BATCH, BATCH = 100, 1000
STARTS = 3


def batches(bench: Bench) -> None:
    """Batches of 100 and of 1,000 entries, and raw synced LevelDB batches of the same entries."""
    data = DataDirectory.create(bench.directory / "default")
    shared = DataDirectory.create(bench.directory / "workers")
    with data.serve() as server, shared.serve(workers=2) as workers:
        for size in (SMALL_BATCH, BATCH):
            words = f"batches of {size:,}"
            ours = bench.row(f"batch/{size}", f"{words}, {BATCH_CONNECTIONS} connections")
            theirs = bench.row(f"workers/batch/{size}", f"{words}, --workers 2")
            raw = bench.row(f"raw/{size}", f"  raw synced LevelDB batch of {size:,}")
            with bench.written(f"batch/{size}", words, server, data) as entries:
                for _ in range(ROUNDS):
                    entries.append(bench.batches(ours, server, data.token, size).requests * size)
                    bench.batches(theirs, workers, shared.token, size)
                    bench.raw(raw, batch=size)


def large_log(bench: Bench, entries: int, progress: Callable[[int], None]) -> None:
    """Batches on a log that has many entries already, and ids of this week."""
    data = DataDirectory.create(bench.directory / "large")
    millions = f"{entries / 1e6:g} M entries"
    bench.figure(
        "large/filled", f"filling {millions} directly, s", fill(data, entries, progress, ids=True)
    )
    os.sync()  # its pages are not written beside what is measured
    bench.figure("large/start", f"start at {millions}, s", start_time(data, STARTS))
    with data.serve() as server:
        plain = bench.row("large/batch", f"batches of {BATCH:,} at {millions}")
        ids = bench.row("large/ids", f"batches of {BATCH:,} at {millions}, new ids")
        for _ in range(ROUNDS):
            bench.batches(plain, server, data.token, BATCH)
            bench.batches(ids, server, data.token, BATCH, ids=True)
        bench.figure("large/rss", f"RssAnon at {millions}, MB", anonymous_bytes(server.pid) / MB)


def start_time(data: DataDirectory, starts: int) -> float:
    """Median of seconds from a process's start to its `ready:` line, stopped cleanly before."""
    times = []
    for _ in range(starts):
        with data.serve() as server:
            times.append(server.seconds_to_ready)
    return statistics.median(times)
