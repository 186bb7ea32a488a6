"""Running a load generator in its own process: Go's where Go is, else Python's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

from bench.machine import Latency
from bench.process import ROOT, BenchError

SOURCES = Path(__file__).parent / "appendload"
PROGRAM = ROOT / ".cache" / "bench" / "appendload"
ENTRY_BYTES = 600
FOREVER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go; an empty token is not sent."""

    address: str
    path: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """What one run of a generator found: requests a second, and their latency."""

    requests: int
    rate: float
    latency: Latency


@dataclass(frozen=True, slots=True)
class Batches:
    """So many entries a request on so many connections; ids: each entry with a new id."""

    entries: int
    connections: int
    ids: bool = False


class Generator:
    """Keeps connections busy with single entries or with batches."""

    def __init__(self) -> None:
        """Build the Go generator; where that fails, `reason` says why Python's is used."""
        self.reason = _build()

    @property
    def name(self) -> str:
        """Which one makes the single appends."""
        return "appendload (Go)" if not self.reason else f"bench.load (Python: {self.reason})"

    def singles(self, target: Target, connections: int, seconds: float) -> Sent:
        """One entry a request."""
        if self.reason:
            return _send(_python(), target, connections, seconds)
        return _send([str(PROGRAM)], target, connections, seconds)

    def batches(self, target: Target, load: Batches, seconds: float) -> Sent:
        """Batches, always from Python: a hundred requests a second are few."""
        ids = ["--ids"] if load.ids else []
        command = [*_python(), f"--batch={load.entries}", *ids]
        return _send(command, target, load.connections, seconds)

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


def _send(command: Sequence[str], target: Target, connections: int, seconds: float) -> Sent:
    done = subprocess.run(
        _command(command, target, connections, seconds),
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=_environment(target),
        text=True,
    )
    if done.returncode != 0:
        message = f"the load generator failed: {done.stderr.strip()[-2000:]}"
        raise BenchError(message)
    told = json.loads(done.stdout)
    if told["errors"] or not told["ok"]:
        message = f"{told['errors']} of the requests failed, the first with: {told['first_error']}"
        raise BenchError(message)
    return Sent(told["ok"], told["rate"], Latency(told["p50_ms"], told["p99_ms"]))


def _build() -> str:
    """Build the Go program into the cache; the reason why not, or an empty string."""
    go = shutil.which("go")
    if go is None:
        return "Go is not installed"
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [go, "build", "-o", str(PROGRAM), "."],
        capture_output=True,
        check=False,
        cwd=SOURCES,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-buildvcs=false"},
        text=True,
    )
    return "" if done.returncode == 0 else f"Go failed: {done.stderr.strip()[-200:]}"
