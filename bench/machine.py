"""The machine: what it is, and its limits in the very minutes of a measurement."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.process import busy_seconds, cpu_seconds, own_cpu_seconds

PROBE_SYNCS = 200  # at most
PROBE_S = 0.2  # at most, of a disk that is slow: there are a hundred probes in a run
PROBE_BYTES = 4096
HASH_REPEATS = 1_000  # between two looks at the clock


@dataclass(frozen=True, slots=True)
class Latency:
    """Median and 99th percentile, in milliseconds."""

    p50_ms: float
    p99_ms: float


def latency(seconds: Sequence[float]) -> Latency:
    """Percentiles of durations in seconds; at least one."""
    ordered = sorted(seconds)
    return Latency(*(1000 * ordered[int((len(ordered) - 1) * part)] for part in (0.5, 0.99)))


@dataclass(frozen=True, slots=True)
class Conditions:
    """What else was true while something was measured.

    fdatasync of 4 KiB appended to a file, before and after; others_cores: how many cores were
    busy on average with what is not ours.
    """

    before: Latency
    after: Latency
    others_cores: float


@dataclass(frozen=True, slots=True)
class Syncs:
    """Syncs a second, and how long one took."""

    rate: float
    latency: Latency


class Surroundings:
    """Watches the disk and the cores around each measurement; keeps every sync's duration."""

    def __init__(self, directory: Path) -> None:
        """Probe the disk that holds `directory`."""
        self._path = directory / "fdatasync-probe"
        self._syncs: list[float] = []

    @property
    def fdatasync(self) -> Latency:
        """Over all probes so far."""
        return latency(self._syncs)

    def probe(self) -> Latency:
        """Time up to PROBE_SYNCS appends, each with its fdatasync."""
        durations = self._sync_for(PROBE_S, PROBE_SYNCS)
        self._syncs += durations
        return latency(durations)

    def measure_syncs(self, seconds: float) -> Syncs:
        """As many as can be done in so long, one after the other."""
        durations = self._sync_for(seconds)
        return Syncs(len(durations) / sum(durations), latency(durations))

    def _sync_for(self, seconds: float, most: float = math.inf) -> list[float]:
        """How long each took; one at least."""
        durations: list[float] = []
        with self._file() as descriptor:
            end = time.perf_counter() + seconds
            while not durations or (len(durations) < most and time.perf_counter() < end):
                durations.append(_timed_sync(descriptor))
        return durations

    @contextmanager
    def _file(self) -> Iterator[int]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        descriptor = os.open(self._path, flags, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def around(self, *pids: int) -> Iterator[list[Conditions]]:
        """Yield a list that holds the conditions once the block is over.

        pids: processes of ours that work during the block and do not end in it.
        """
        found: list[Conditions] = []
        before = self.probe()
        start, busy, ours = time.perf_counter(), busy_seconds(), _our_seconds(pids)
        yield found
        busy, ours = busy_seconds() - busy, _our_seconds(pids) - ours
        others = max(0.0, (busy - ours) / (time.perf_counter() - start))
        found.append(Conditions(before, self.probe(), others))


def _our_seconds(pids: Sequence[int]) -> float:
    return own_cpu_seconds() + sum(map(cpu_seconds, pids))


def _timed_sync(descriptor: int) -> float:
    start = time.perf_counter()
    os.write(descriptor, bytes(PROBE_BYTES))
    os.fdatasync(descriptor)
    return time.perf_counter() - start


def sha256_per_second(size: int, seconds: float) -> float:
    """SHA-256 digests a second, of messages of `size` bytes, one thread."""
    message = os.urandom(size)
    count = 0
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds or not count:
        for _ in range(HASH_REPEATS):
            hashlib.sha256(message).digest()
        count += HASH_REPEATS
    return count / passed


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands in the head of a report."""

    started: str
    cores: int
    processor: str
    memory_gib: float
    kernel: str
    python: str
    packages: dict[str, str]
    load_average: float


def facts() -> Facts:
    """Of this machine, now."""
    packages = ("aiohttp", "plyvel", "uvloop", "cryptography")
    return Facts(
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        cores=os.cpu_count() or 0,
        processor=_processor(),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        kernel=platform.release(),
        python=platform.python_version(),
        packages={name: version(name) for name in packages},
        load_average=os.getloadavg()[0],
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
