"""Small files that a client keeps between runs: bounded, private, replaced whole.

The lock between processes is a flock on another file, because the file itself is replaced.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tlog_clients.errors import StateFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_TIMEOUT_S = 10.0
_LOCK_POLL_S = 0.02
_FILE_MODE = 0o600
_DIRECTORY_MODE = 0o700


class StateFile:
    """One file of mode 0600 and at most `max_bytes`; its directory is made when it is written."""

    def __init__(
        self, path: str | os.PathLike[str], max_bytes: int, lock: Path | None = None
    ) -> None:
        """Name the file, and the file of its lock, by default PATH.lock."""
        # A symbolic link keeps pointing at the file: the file it names is replaced.
        self.path = Path(os.path.realpath(path))
        self._max_bytes = max_bytes
        self._lock = lock or self.path.with_name(self.path.name + ".lock")

    def error(self, detail: str) -> StateFileError:
        """Make the error that names this file."""
        return StateFileError(str(self.path), detail)

    def read(self) -> bytes | None:
        """Return the contents; None when there is no file.

        Raises:
            StateFileError: it cannot be read, is no regular file or too long.
        """
        try:
            return self._read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.error(f"cannot be read ({error.strerror})") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock between processes, within which the file may be replaced or removed.

        Raises:
            StateFileError: another process keeps it, or something within cannot be written.
        """
        try:
            self.path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self._lock, flags, _FILE_MODE)
            try:
                self._wait_for_lock(descriptor)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self.error(f"cannot be written ({error.strerror})") from error

    def replace(self, data: bytes, *, durable: bool = True) -> None:
        """Replace the file: after a crash at any point it is whole, the old one or the new one.

        Only while the lock is held. If not `durable`, that holds for a killed process, and after a
        power cut the file may be anything.

        Raises:
            StateFileError: data is over the bound.
            OSError: it cannot be written.
        """
        if len(data) > self._max_bytes:
            raise self.error(f"full: expected at most {self._max_bytes} bytes; use another file")
        # One name is enough: whoever writes holds the lock, and a leftover of a crash is stale.
        temporary = self.path.with_name(self.path.name + ".tmp")
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, _FILE_MODE), "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(self.path)
        if durable:
            self._sync_directory()

    def _sync_directory(self) -> None:
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _read(self) -> bytes:
        # O_NONBLOCK: a pipe in the file's place must not hang the client.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise self.error("expected a regular file")
            data = file.read(self._max_bytes + 1)
        if len(data) > self._max_bytes:
            raise self.error(f"expected at most {self._max_bytes} bytes")
        return data

    def _wait_for_lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise self.error("another process keeps it locked") from None
                time.sleep(_LOCK_POLL_S)
            else:
                return
