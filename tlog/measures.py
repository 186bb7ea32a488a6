"""What the server counts of itself: plain numbers, cheap to add to, which tlog.metrics shows.

Labels are the server's own words (routes, names of problems and logs), so that their number is
bounded; nothing that a client sent is one.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from pathlib import Path

DURATIONS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCHES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0)
# Of a publication, in their order.
STEPS = ("read-back", "sign", "head", "receipt", "checkpoint")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class Distribution:
    """How many values there were up to each bound, and their sum; one thread adds at a time."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = DURATIONS_S) -> None:
        """Bounds rise; above the last one there is no other."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, counts: list[int], total: float) -> None:
        """Count what another one of the same bounds has counted."""
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, counts, strict=True)]
        self.total += total


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What one process uses of the machine."""

    resident_bytes: int
    cpu_s: float
    descriptors: int


def read_process_facts() -> ProcessFacts:
    """Those of this process (proc(5)); reads a few lines of /proc, which never waits."""
    own = Path("/proc/self")
    # What follows the name, which may hold anything, begins with field 3.
    stat = (own / "stat").read_text().rpartition(")")[2].split()
    return ProcessFacts(
        resident_bytes=int(stat[21]) * _PAGE_BYTES,
        cpu_s=(int(stat[11]) + int(stat[12])) / _TICKS,
        descriptors=sum(1 for _ in (own / "fd").iterdir()) - 1,  # without the one that lists
    )


@dataclass(frozen=True, slots=True)
class HttpReport:
    """What a process counted since its last report, and what it holds now."""

    requests: list[tuple[str, str, int, int]]  # route, method, class of status, count
    durations: list[tuple[str, list[int], float]]  # route, counts, total
    problems: dict[str, int]
    appends: list[tuple[str, str, int]]  # log, result, count
    failed_handshakes: int
    held: HttpHeld
    process: ProcessFacts


@dataclass(frozen=True, slots=True)
class HttpHeld:
    """What requests hold in one process at one moment."""

    connections: int
    bodies: int
    response_bytes: int
    arriving_bytes: int  # of entries that are in no queue yet; a host counts its own in its queue


class HttpMeasures:
    """The requests of one process, and of others that report to it; the loop owns it."""

    def __init__(self) -> None:
        self.requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self.durations: defaultdict[str, Distribution] = defaultdict(Distribution)
        self.problems: defaultdict[str, int] = defaultdict(int)
        self.appends: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.failed_handshakes = 0  # of TLS
        self.bodies = 0  # being read at this moment
        self._connections: list[Sized] = []
        self._budgets: list[Callable[[], int]] = []
        self._arriving: list[Callable[[], int]] = []

    def watch_connections(self, connections: Sized) -> None:
        """Count open connections too."""
        self._connections.append(connections)

    def watch_budget(self, used_bytes: Callable[[], int]) -> None:
        """Count what large answers hold too."""
        self._budgets.append(used_bytes)

    def watch_arriving(self, used_bytes: Callable[[], int]) -> None:
        """Count entries too that arrive in this process, for the queue of another one."""
        self._arriving.append(used_bytes)

    def answered(self, route: str, method: str, status: int, duration_s: float) -> None:
        """A request has its answer."""
        self.requests[route, method, status // 100] += 1
        self.durations[route].observe(duration_s)

    @property
    def held(self) -> HttpHeld:
        """What requests hold now, in this process."""
        return HttpHeld(
            sum(map(len, self._connections)),
            self.bodies,
            sum(used() for used in self._budgets),
            sum(used() for used in self._arriving),
        )

    def take(self) -> HttpReport:
        """What was counted since the last call; it counts from nothing again."""
        report = HttpReport(
            [(*labels, count) for labels, count in self.requests.items()],
            [(route, each.counts, each.total) for route, each in self.durations.items()],
            dict(self.problems),
            [(*labels, count) for labels, count in self.appends.items()],
            self.failed_handshakes,
            self.held,
            read_process_facts(),
        )
        for counted in (self.requests, self.durations, self.problems, self.appends):
            counted.clear()
        self.failed_handshakes = 0
        return report

    def add(self, report: HttpReport) -> None:
        """Count what another process counted."""
        for route, method, status_class, count in report.requests:
            self.requests[route, method, status_class] += count
        for route, counts, total in report.durations:
            self.durations[route].add(counts, total)
        for name, count in report.problems.items():
            self.problems[name] += count
        for log, result, count in report.appends:
            self.appends[log, result] += count
        self.failed_handshakes += report.failed_handshakes


@dataclass(slots=True)
class LogMeasures:
    """The work on one log; each field is added to by the one thread that does that work."""

    commits: int = 0
    failed_commits: int = 0
    entries: int = 0
    entry_bytes: int = 0
    batch_entries: Distribution = field(default_factory=lambda: Distribution(BATCHES))
    commit_s: Distribution = field(default_factory=Distribution)  # until it is durable
    index_s: Distribution = field(default_factory=Distribution)
    lag_s: Distribution = field(default_factory=Distribution)  # from commit to publication
    steps_s: dict[str, Distribution] = field(
        default_factory=lambda: {step: Distribution() for step in STEPS}
    )


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What a database of a store uses, and the work of its compactions since it was opened."""

    files: tuple[int, ...]  # tables at each level
    memory_bytes: int  # of what is not in a table yet, and of cached blocks
    compaction_s: int
    compaction_read_bytes: int
    compaction_written_bytes: int


@dataclass(slots=True)
class ServerMeasures:
    """What a host counts: its own requests, those of its workers, and their lives."""

    http: HttpMeasures = field(default_factory=HttpMeasures)
    workers: dict[str, HttpReport] = field(default_factory=dict)  # the last report of each
    worker_restarts: int = 0
    certificate_expires: int | None = None  # POSIX seconds; None without TLS

    def reported(self, worker: str, report: HttpReport) -> None:
        """A worker sent its report."""
        self.http.add(report)
        self.workers[worker] = report

    def forget(self, worker: str) -> None:
        """A worker ended: it holds nothing any more."""
        self.workers.pop(worker, None)
