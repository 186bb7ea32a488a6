"""What commands read and print: bounded files, facts as text or JSON, progress on stderr."""

from __future__ import annotations

import asyncio
import errno
import io
import json
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from tlog_clients import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

STDIO = "-"
_PROGRESS_INTERVAL_S = 5.0
Value = TypeVar("Value")


def read_file(path: str, max_bytes: int) -> bytes:
    """Return what FILE, or stdin for "-", holds, up to one byte more than max_bytes.

    Raises:
        OSError: it cannot be read.
    """
    with open_stdin() if path == STDIO else Path(path).open("rb") as file:
        return file.read(max_bytes + 1)


def open_stdin() -> BinaryIO:
    """Open a stream of its own on stdin: closing it, or a thread that waits in it, does no harm.

    Raises:
        OSError: there is no stdin.
    """
    if sys.stdin is None:
        raise OSError(errno.EBADF, "stdin is closed")
    try:
        descriptor = sys.stdin.fileno()
    except io.UnsupportedOperation:  # no file, but what a program that calls the command put there
        return sys.stdin.buffer
    return open(descriptor, "rb", closefd=False)


async def run_in_thread(function: Callable[[], Value]) -> Value:
    """Return what a function gives that may wait for ever, as for somebody to type.

    When that is cancelled the thread is left behind; one of asyncio.to_thread would be waited for.
    """
    future: Future[Value] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            future.set_exception(error)

    future.set_running_or_notify_cancel()
    threading.Thread(target=run, name="input", daemon=True).start()
    return await asyncio.wrap_future(future)


def write_file(path: str, data: bytes) -> None:
    """Write data as FILE, or to stdout for "-".

    Raises:
        OSError: it cannot be written.
    """
    if path == STDIO:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        Path(path).write_bytes(data)


def print_facts(facts: Mapping[str, object], *, as_json: bool) -> None:
    """Print facts on stdout: as one line of JSON, or as one aligned line each, made printable."""
    if as_json:
        print_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {printable(str(value))}")


def print_json(facts: Mapping[str, object]) -> None:
    """Print facts on stdout as one line of JSON."""
    click.echo(json.dumps(facts))


def stdout_is_shown() -> bool:
    """Whether what goes to stdout is seen on a terminal."""
    return sys.stdout.isatty()


def warn(message: str) -> None:
    """Print a line on stderr that is worth knowing and ends nothing."""
    click.echo(f"tlog: {printable(message, max_chars=2000)}", err=True)


class Progress:
    """Shows how far long work has come, on stderr: a bar on a terminal, else a line now and then.

    With `quiet` nothing is shown.
    """

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        self._what = what
        self._quiet = quiet
        self._bar: RichProgress | None = None
        self._next_line_s = time.monotonic() + _PROGRESS_INTERVAL_S
        if not quiet and sys.stderr.isatty():
            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> Self:
        """Begin to show the bar."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int | None = None) -> None:
        """Say that `done` of `total` entries are through; total None when it is not known."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)
        elif not self._quiet and time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + _PROGRESS_INTERVAL_S
            of_total = "" if total is None else f" of {total}"
            warn(f"{self._what}: {done}{of_total} entries")
