"""What Linux says of a running process, of the machine's cores and of a directory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent
STOP_TIMEOUT_S = 15.0
BLOCK_BYTES = 512  # of st_blocks, on every file system

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """One sentence: why nothing can be measured."""


def with_children(pid: int) -> list[int]:
    """A process and all that descend from it: a server with its workers."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            parents[int(path.parent.name)] = int(_stat_fields(path.read_text())[1])
    found = [pid]
    for known in found:  # grows while it is walked
        found += [child for child, parent in parents.items() if parent == known]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and its children have used, all their threads."""
    texts = [Path(f"/proc/{one}/stat").read_text() for one in with_children(pid)]
    return sum(ticks_of(text) for text in texts) / _TICKS_PER_S


def ticks_of(stat: str) -> int:
    """User and system time in a line of /proc/PID/stat, whose second field may hold anything."""
    fields = _stat_fields(stat)
    return int(fields[11]) + int(fields[12])


def _stat_fields(stat: str) -> list[str]:
    """From the third on: the state, the parent..."""
    return stat.rpartition(")")[2].split()


def own_cpu_seconds() -> float:
    """User and system time of this process and of the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def busy_seconds() -> float:
    """User, nice, system and interrupt time of all cores since the machine's start."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(fields[column]) for column in (1, 2, 3, 6, 7)) / _TICKS_PER_S


def written_bytes(pid: int) -> int:
    """Bytes that a process had the kernel write to a disk, as pages became dirty."""
    return _number(f"/proc/{pid}/io", "write_bytes")


def read_bytes(pid: int) -> int:
    """Bytes that the kernel read from a disk for a process; none for what was in its cache."""
    return _number(f"/proc/{pid}/io", "read_bytes")


def empty_page_cache(directory: Path) -> None:
    """Ask the kernel to forget the contents of the files under a directory (posix_fadvise).

    It keeps the pages that a process has touched in its mapping of a file: of LevelDB's tables
    those that were looked at since their opening. read_bytes tells how much came from the disk.
    """
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):  # a table that LevelDB has just replaced
            if path.is_file():
                _forget(path)


def _forget(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # a dirty page is not dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def anonymous_bytes(pid: int) -> int:
    """RssAnon: memory that is a process's own and its children's, without mapped tables."""
    return 1024 * sum(_number(f"/proc/{one}/status", "RssAnon") for one in with_children(pid))


def disk_bytes(directory: Path) -> int:
    """Bytes that the files under a directory take on disk."""
    used = 0
    for path in directory.rglob("*"):
        try:
            used += path.lstat().st_blocks * BLOCK_BYTES
        except FileNotFoundError:
            continue  # a table that LevelDB has just replaced
    return used


def _number(path: str, name: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    message = f"{path} has no line {name}"
    raise BenchError(message)


class Child:
    """A program of ours that prints one line when it can be used, and then runs until `end`."""

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        """Start it and wait for the line; stderr is appended to the file `errors`.

        Raises:
            BenchError: it ended, or said something else, and why.
        """
        started = time.perf_counter()
        with errors.open("a") as stderr:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT
            )
        line = self._process.stdout.readline() if self._process.stdout else ""
        self.seconds_to_ready = time.perf_counter() - started
        if not line.startswith("ready: "):
            self.end()
            message = f"`{' '.join(command)}` said {line!r}; {errors.read_text()[-2000:]}"
            raise BenchError(message)
        self.url = line.removeprefix("ready: ").strip()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def address(self) -> str:
        """HOST:PORT where it listens."""
        return self.url.removeprefix("http://")

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        self._process.kill()
        self._wait()

    def end(self) -> None:
        """End it with SIGTERM, or with SIGKILL when that does not help. A second call is void."""
        self._process.terminate()
        try:
            self._wait()
        except subprocess.TimeoutExpired:
            self.kill()

    def _wait(self) -> None:
        self._process.wait(STOP_TIMEOUT_S)
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        """Whatever happens, the program does not outlive the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
