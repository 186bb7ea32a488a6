"""Where a measurement may write, and how it tells who waits that it goes on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.fill import BATCH
from bench.process import BenchError
from bench.report import OUT

PROGRESS_EVERY = 1_000_000


def say(words: str) -> None:
    """Tell who waits; stdout is for the table."""
    print(words, file=sys.stderr, flush=True)


def say_progress(size: int) -> None:
    """One line a million entries."""
    if size % PROGRESS_EVERY < BATCH:
        say(f"  {size / 1e6:.0f} M entries")


@contextmanager
def work_directory(needed_bytes: int) -> Iterator[Path]:
    """A temporary directory on the disk to measure; BenchError when that has too little room."""
    parent = Path(os.environ.get("BENCH_DIR") or OUT)
    parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(parent).free
    if free < needed_bytes:
        message = f"{parent} has {free / 1e9:.1f} GB free, {needed_bytes / 1e9:.1f} are needed"
        raise BenchError(message)
    with TemporaryDirectory(prefix="data-", dir=parent) as name:
        yield Path(name)
