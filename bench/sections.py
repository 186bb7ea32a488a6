"""What is measured, section by section; each adds its rows to the report."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.fill import fill
from bench.generators import ENTRY_BYTES, Batches, Generator, Sent, Target
from bench.machine import Conditions, Surroundings, sha256_per_second
from bench.process import Child, anonymous_bytes, cpu_seconds, disk_bytes, written_bytes
from bench.published import measure_published
from bench.raw_leveldb import write_raw
from bench.report import Ratio, Report, Round, Row, paired_ratio
from bench.server import LOG_PATH, DataDirectory, start_bare

BATCH = 1000
BATCH_CONNECTIONS = 4
ROUNDS = 3  # of paired measurements
IDLE_ROUNDS = 2  # as long as so many others: most of it is waiting for the server to be idle
FEW, MANY = 32, 256
MIB = 2**20
SETTLE_S = 1.0  # compactions begin behind a load


@dataclass(frozen=True, slots=True)
class Bench:
    """What every section works with; seconds: of one measurement."""

    directory: Path
    seconds: float
    generator: Generator
    surroundings: Surroundings
    report: Report

    def row(self, name: str) -> Row:
        """A new row at the end of the table."""
        row = Row(name)
        self.report.rows.append(row)
        return row

    def singles(self, row: Row, server: Child, path: str, token: str, connections: int) -> Sent:
        """One round of single appends."""
        target = Target(server.address, path, token)
        with self.surroundings.around(server.pid) as conditions:
            used = cpu_seconds(server.pid)
            sent = self.generator.singles(target, connections, self.seconds)
            used = cpu_seconds(server.pid) - used
        _add(row, sent, conditions[0], 1, used)
        return sent

    def batches(self, row: Row, server: Child, token: str, *, ids: bool = False) -> Sent:
        """One round of batches; the rate counts entries."""
        target = Target(server.address, f"{LOG_PATH}/entries", token)
        with self.surroundings.around(server.pid) as conditions:
            used = cpu_seconds(server.pid)
            load = Batches(BATCH, BATCH_CONNECTIONS, ids)
            sent = self.generator.batches(target, load, self.seconds)
            used = cpu_seconds(server.pid) - used
        _add(row, sent, conditions[0], BATCH, used)
        return sent

    def raw(self, row: Row, *, batch: int) -> None:
        """One round of LevelDB alone."""
        with self.surroundings.around() as conditions:
            found = write_raw(
                self.directory, batch=batch, entry_bytes=ENTRY_BYTES, seconds=self.seconds / 2
            )
        row.rounds.append(Round(found.rate, found.latency, conditions[0]))


def _add(row: Row, sent: Sent, conditions: Conditions, entries: int, cpu_s: float) -> None:
    per_1000 = cpu_s / (sent.requests * entries) * 1000
    row.rounds.append(Round(sent.rate * entries, sent.latency, conditions, per_1000))


def single_appends(bench: Bench) -> None:
    """Appends of one entry each, beside a handler that does nothing and a raw synced put."""
    data = DataDirectory.create(bench.directory / "singles")
    with data.serve() as server, start_bare(bench.directory) as bare:
        lone = bench.row("append, 1 connection")
        put = bench.row("  raw synced LevelDB put, 1 thread")
        for _ in range(ROUNDS):
            bench.singles(lone, server, f"{LOG_PATH}/add", data.token, 1)
            bench.raw(put, batch=1)
        bench.singles(
            bench.row(f"append, {FEW} connections"), server, f"{LOG_PATH}/add", data.token, FEW
        )
        many = bench.row(f"append, {MANY} connections")
        nothing = bench.row(f"  bare aiohttp POST handler, {MANY} connections")
        with _written(bench, server, data, "single appends") as entries:
            for _ in range(ROUNDS):
                sent = bench.singles(many, server, f"{LOG_PATH}/add", data.token, MANY)
                entries.append(sent.requests)
                bench.singles(nothing, bare, "/add", "", MANY)
    put_ms = statistics.median(one.latency.p50_ms for one in put.rounds if one.latency)
    bench.report.ratios += [
        Ratio(f"a lone connection, where a synced put takes {put_ms:.2f} ms", lone.rate, 800, "/s"),
        Ratio(f"{MANY} connections / bare handler", paired_ratio(many, nothing), 0.5),
    ]


def publication(bench: Bench) -> None:
    """From an append to the checkpoint that covers it, on an idle server."""
    data = DataDirectory.create(bench.directory / "published")
    with data.serve() as server:
        for asked_for, words in ((True, "wait=published"), (False, "checkpoint polled")):
            row = bench.row(f"append -> published, idle, {words}")
            with bench.surroundings.around(server.pid) as conditions:
                found = asyncio.run(
                    measure_published(
                        server.address,
                        data.token,
                        IDLE_ROUNDS * bench.seconds,
                        asked_for=asked_for,
                    )
                )
            row.rounds.append(Round(0, found, conditions[0]))


def batches(bench: Bench) -> None:
    """Batches of 1,000 entries, beside raw synced LevelDB batches of the same entries."""
    data = DataDirectory.create(bench.directory / "batches")
    with data.serve() as server:
        ours = bench.row(f"batches of {BATCH:,}, {BATCH_CONNECTIONS} connections")
        raw = bench.row(f"  raw synced LevelDB batch of {BATCH:,}")
        with _written(bench, server, data, "batches") as entries:
            for _ in range(ROUNDS):
                entries.append(bench.batches(ours, server, data.token).requests * BATCH)
                bench.raw(raw, batch=BATCH)
    ratio = paired_ratio(ours, raw)
    bench.report.ratios.append(Ratio(f"batches of {BATCH:,} / raw LevelDB batch", ratio, 0.25))


def large_log(bench: Bench, entries: int, progress: Callable[[int], None]) -> None:
    """Batches on a log that has many entries already, and ids of this week."""
    data = DataDirectory.create(bench.directory / "large")
    seconds = fill(data, entries, progress, ids=True)
    bench.report.figures[f"filling a log with {entries:,} entries directly, s"] = seconds
    with data.serve() as server:
        plain = bench.row(f"batches of {BATCH:,} at {entries / 1e6:g} M entries")
        ids = bench.row(f"batches of {BATCH:,} at {entries / 1e6:g} M, new ids")
        for _ in range(ROUNDS):
            bench.batches(plain, server, data.token)
            bench.batches(ids, server, data.token, ids=True)
        bench.report.figures[f"RssAnon at {entries / 1e6:g} M entries, MiB"] = (
            anonymous_bytes(server.pid) / MIB
        )


def hashing(bench: Bench) -> None:
    """SHA-256 of entries, one thread."""
    with bench.surroundings.around() as conditions:
        rate = sha256_per_second(ENTRY_BYTES)
    bench.row(f"  SHA-256 of {ENTRY_BYTES} bytes, 1 thread").rounds.append(
        Round(rate, None, conditions[0])
    )


@contextmanager
def _written(bench: Bench, server: Child, data: DataDirectory, words: str) -> Iterator[list[int]]:
    """Yield a list for numbers of entries; figures per byte of them once the block is over."""
    written, used = written_bytes(server.pid), disk_bytes(data.path)
    entries: list[int] = []
    yield entries
    time.sleep(SETTLE_S)
    user_bytes = sum(entries) * ENTRY_BYTES
    figures = bench.report.figures
    figures[f"{words}: bytes written / user bytes"] = (
        written_bytes(server.pid) - written
    ) / user_bytes
    figures[f"{words}: bytes on disk / user bytes"] = (disk_bytes(data.path) - used) / user_bytes
    figures[f"{words}: RssAnon at the end, MiB"] = anonymous_bytes(server.pid) / MIB
