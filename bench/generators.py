"""Running a load generator in its own process: Go's where Go is, else Python's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

from bench.go import CACHE, build
from bench.machine import Latency
from bench.process import ROOT, BenchError

SOURCES = Path(__file__).parent / "loadgen"
PROGRAM = CACHE / "loadgen"
ENTRY_BYTES = 600
FOREVER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go; an empty token is not sent. GETs name their own paths."""

    address: str
    path: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one run of a generator found: requests a second, their latency, bytes of an answer."""

    requests: int
    rate: float
    latency: Latency
    body_bytes: float = 0.0


@dataclass(frozen=True, slots=True)
class Batches:
    """So many entries a request on so many connections; ids: each entry with a new id."""

    entries: int
    connections: int
    ids: bool = False


@dataclass(frozen=True, slots=True)
class Gets:
    """The paths in a file, one a line, over so many connections; once: each of them once."""

    paths: Path
    connections: int
    once: bool = False


class Generator:
    """Keeps connections busy with single entries, with batches or with GETs."""

    def __init__(self) -> None:
        """Build the Go generator; where that fails, `reason` says why Python's is used."""
        self.reason = build(SOURCES, PROGRAM)

    @property
    def name(self) -> str:
        """Which one makes the single appends and the GETs."""
        return "loadgen (Go)" if not self.reason else f"bench.load (Python: {self.reason})"

    def singles(self, target: Target, connections: int, seconds: float) -> Sent:
        """One entry a request."""
        return _send(_command(self._program(), target, connections, seconds), target)

    def batches(self, target: Target, load: Batches, seconds: float) -> Sent:
        """Batches, always from Python: a hundred requests a second are few."""
        ids = ["--ids"] if load.ids else []
        command = [*_python(), f"--batch={load.entries}", *ids]
        return _send(_command(command, target, load.connections, seconds), target)

    def gets(self, target: Target, load: Gets, seconds: float) -> Sent:
        """GETs, in the order of the file over all connections, for so long at most."""
        once = ["--once"] if load.once else []
        command = [*self._program(), f"--paths={load.paths.resolve()}", *once]
        return _send(_command(command, target, load.connections, seconds), target)

    @contextmanager
    def batches_behind(self, target: Target, batch: int) -> Iterator[None]:
        """Keep one connection busy with batches during a block, whatever becomes of the server."""
        command = _command([*_python(), f"--batch={batch}"], target, 1, FOREVER_S)
        with subprocess.Popen(
            command, stdout=DEVNULL, stderr=DEVNULL, cwd=ROOT, env=_environment(target)
        ) as running:
            try:
                yield
            finally:
                running.kill()

    def _program(self) -> list[str]:
        return _python() if self.reason else [str(PROGRAM)]


def _python() -> list[str]:
    return [sys.executable, "-m", "bench.load"]


def _command(command: Sequence[str], target: Target, connections: int, seconds: float) -> list[str]:
    return [
        *command,
        f"--address={target.address}",
        f"--path={target.path}",
        f"--connections={connections}",
        f"--seconds={seconds}",
        f"--size={ENTRY_BYTES}",
    ]


def _environment(target: Target) -> dict[str, str]:
    return {**os.environ, "BENCH_TOKEN": target.token}


def _send(command: Sequence[str], target: Target) -> Sent:
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=_environment(target),
        text=True,
    )
    if done.returncode != 0:
        message = f"the load generator failed: {done.stderr.strip()[-2000:]}"
        raise BenchError(message)
    return parse_told(done.stdout)


def parse_told(line: str) -> Sent:
    """What a generator printed; BenchError when a request failed, or none was answered."""
    told = json.loads(line)
    if told["errors"] or not told["ok"]:
        message = f"{told['errors']} of the requests failed, the first with: {told['first_error']}"
        raise BenchError(message)
    latency = Latency(told["p50_ms"], told["p99_ms"])
    return Sent(told["ok"], told["rate"], latency, told["bytes"] / told["ok"])
