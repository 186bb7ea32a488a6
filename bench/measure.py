"""What every section measures with: a round of a load, with the conditions that it had."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.generators import ENTRY_BYTES, Batches, Generator, Gets, Sent, Target
from bench.machine import Conditions, Surroundings
from bench.process import Child, cpu_seconds, disk_bytes, written_bytes
from bench.raw_leveldb import write_raw
from bench.report import Figure, Report, Round, Row
from bench.server import LOG_PATH, DataDirectory

ROUNDS = 3  # of paired measurements
BATCH_CONNECTIONS = 4
MB = 10**6
SETTLE_S = 1.0  # compactions begin behind a load


@dataclass(frozen=True, slots=True)
class Bench:
    """What a section works with: its name, an empty directory; seconds: of one measurement."""

    section: str
    directory: Path
    seconds: float
    generator: Generator
    surroundings: Surroundings
    report: Report

    def row(self, key: str, name: str) -> Row:
        """A new row at the end of the table."""
        row = Row(key, name, self.section)
        self.report.rows.append(row)
        return row

    def figure(self, key: str, name: str, value: float) -> None:
        """A new figure."""
        self.report.figures.append(Figure(key, name, value))

    def singles(self, row: Row, server: Child, target: Target, connections: int) -> Sent:
        """One round of single appends."""
        with self._load(row, server) as sent:
            sent.append(self.generator.singles(target, connections, self.seconds))
        return sent[0]

    def batches(
        self, row: Row, server: Child, token: str, batch: int, *, ids: bool = False
    ) -> Sent:
        """One round of batches; the rate counts entries."""
        target = Target(server.address, f"{LOG_PATH}/entries", token)
        with self._load(row, server, batch) as sent:
            load = Batches(batch, BATCH_CONNECTIONS, ids)
            sent.append(self.generator.batches(target, load, self.seconds))
        return sent[0]

    def gets(self, row: Row, server: Child, token: str, load: Gets) -> Sent:
        """One round of GETs."""
        with self._load(row, server) as sent:
            target = Target(server.address, "", token)
            sent.append(self.generator.gets(target, load, self.seconds))
        return sent[0]

    def raw(self, row: Row, *, batch: int) -> None:
        """One round of LevelDB alone."""
        with self.surroundings.around() as conditions:
            found = write_raw(
                self.directory, batch=batch, entry_bytes=ENTRY_BYTES, seconds=self.seconds / 2
            )
        row.rounds.append(Round(found.rate, found.latency, conditions[0]))

    @contextmanager
    def _load(self, row: Row, server: Child, things: int = 1) -> Iterator[list[Sent]]:
        """Yield a list for what was sent, each request with so many things; then add the round."""
        sent: list[Sent] = []
        with self.surroundings.around(server.pid) as conditions:
            used = cpu_seconds(server.pid)
            yield sent
            used = cpu_seconds(server.pid) - used
        _add(row, sent[0], conditions[0], things, used)

    @contextmanager
    def written(
        self, key: str, words: str, server: Child, data: DataDirectory
    ) -> Iterator[list[int]]:
        """Yield a list for numbers of entries; figures for each of them once the block is over.

        Only what this server writes during the block counts: nothing else may append to it.
        """
        written, used = written_bytes(server.pid), disk_bytes(data.path)
        entries: list[int] = []
        yield entries
        time.sleep(SETTLE_S)
        written, used = written_bytes(server.pid) - written, disk_bytes(data.path) - used
        count = sum(entries)
        self.figure(f"{key}/written", f"{words}: bytes written per entry", written / count)
        self.figure(f"{key}/disk", f"{words}: bytes on disk per entry", used / count)


def _add(row: Row, sent: Sent, conditions: Conditions, things: int, cpu_s: float) -> None:
    per_1000 = cpu_s / (sent.requests * things) * 1000
    row.rounds.append(Round(sent.rate * things, sent.latency, conditions, per_1000))
