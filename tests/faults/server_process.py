"""The real server as a child process on loopback, started, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Self

READY = "ready: "
ADMIN = "admin: "
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 15.0
ROOT = Path(__file__).parents[2]
DISK = ("--disk-reserve", "0")
# How many workers every server of the tests has, unless the test says it: 1 or more.
WORKERS = os.environ.get("SERVER_WORKERS", "1")


def tlog(*arguments: str) -> str:
    """Run the command line once and return what it prints."""
    finished = subprocess.run(
        [sys.executable, "-m", "tlog", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    if finished.returncode != 0:
        message = f"tlog {arguments[0]} ended with {finished.returncode}: {finished.stderr}"
        raise AssertionError(message)
    return finished.stdout.strip()


class ServerProcess:
    """`tlog serve` on a data directory and a free port of loopback."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self._data_dir = data_dir
        self._options = options
        self.module = "tlog"
        self._process: subprocess.Popen[str] | None = None
        self._errors = data_dir.with_name(f"{data_dir.name}.stderr")
        self.url = ""
        self.admin_url = ""

    def start(self) -> None:
        """Start it and wait for its `ready:` line."""
        with self._errors.open("a") as errors:
            self._process = self._spawn(errors)
        watchdog = threading.Timer(START_TIMEOUT_S, self._process.kill)
        watchdog.start()
        try:
            stdout = self._process.stdout
            line = stdout.readline() if stdout else ""
            if stdout and line.startswith(ADMIN):
                self.admin_url = line.removeprefix(ADMIN).strip()
                line = stdout.readline()
        finally:
            watchdog.cancel()
        if not line.startswith(READY):
            self.kill()
            message = f"expected a ready line, got {line!r}; stderr: {self.stderr}"
            raise AssertionError(message)
        self.url = line.removeprefix(READY).strip()

    @property
    def stderr(self) -> str:
        """What it has printed to stderr."""
        return self._errors.read_text()

    def __enter__(self) -> Self:
        """Started by `start`; whatever happens, no server outlives the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _spawn(self, errors: IO[str]) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", self.module, "serve", "--data", str(self._data_dir)]
        return subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0", "--workers", WORKERS, *DISK, *self._options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        )

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it with SIGTERM and return its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        self._process = None
        process.send_signal(number)
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_TIMEOUT_S)
            raise
        finally:
            if process.stdout:
                process.stdout.close()
