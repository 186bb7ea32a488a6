"""`tlog serve`, as an operator starts it, on a data directory with one log."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.process import ROOT, BenchError, Child

LOG = "bench"
ORIGIN = "bench.example/log"
LOG_PATH = f"/logs/{LOG}"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A data directory with one opaque log, and a token to append to it and read it."""

    path: Path
    token: str

    @classmethod
    def create(cls, path: Path) -> DataDirectory:
        """Make it, with the log's genesis in it."""
        _tlog("log", "create", LOG, "--data", str(path), "--origin", ORIGIN)
        scopes = ("--scope", "append", "--scope", "read")
        return cls(path, _tlog("token", "create", "--data", str(path), "--log", LOG, *scopes))

    def serve(self, *, workers: int = 1) -> Child:
        """Start the server with its default settings; only the disk reserve is off."""
        command = [sys.executable, "-m", "tlog", "serve", "--data", str(self.path)]
        if workers > 1:
            command += ["--workers", str(workers)]
        return Child(
            [*command, "--listen", "127.0.0.1:0", "--disk-reserve", "0"],
            errors=self.path.with_name(f"{self.path.name}.stderr"),
        )


def start_bare(directory: Path, *, low_level: bool = False) -> Child:
    """Start the bare handlers (bench.bare)."""
    options = ["--low-level"] if low_level else []
    return Child([sys.executable, "-m", "bench.bare", *options], errors=directory / "bare.stderr")


def _tlog(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tlog", *arguments],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
    )
    if done.returncode != 0:
        message = f"`tlog {' '.join(arguments)}` failed: {done.stderr.strip()}"
        raise BenchError(message)
    return done.stdout.strip()
