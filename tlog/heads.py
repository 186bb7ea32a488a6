"""The head store: the last signed checkpoint of each log, outside its databases.

It is what makes a rolled-back database visible: whatever is signed was first stored here by
compare-and-set, and a log that finds itself behind it refuses to sign.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tlog.errors import HeadConflictError, StoreError
from tlog.store.files import sync_directory

MAX_HEAD_BYTES = 64 * 1024


class HeadStore(Protocol):
    """Fetch and compare-and-set of one signed note an origin; every call does blocking I/O."""

    def fetch(self, origin: str) -> bytes | None:
        """The stored note, byte for byte, or None. StoreError if it cannot be read."""

    def compare_and_set(self, origin: str, old: bytes | None, new: bytes) -> None:
        """Replace old (None: nothing stored) by new, durably, or change nothing.

        Raises:
            HeadConflictError: another note is stored.
            StoreError: it could not be written; what is stored is unknown.
        """


class FileHeadStore:
    """Heads as files `hex(SHA-256(origin))` of one directory, which may lie on another disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def fetch(self, origin: str) -> bytes | None:
        """See HeadStore."""
        with self._locked():
            return self._read(origin)

    def compare_and_set(self, origin: str, old: bytes | None, new: bytes) -> None:
        """See HeadStore."""
        with self._locked():
            self._check(origin, old)
            try:
                self._replace(self._path(origin), new)
            except OSError as error:
                message = f"writing the head of {origin}: {error.strerror}"
                raise StoreError(message) from error

    def remove(self, origin: str, old: bytes) -> None:
        """Remove the head `old` of a log that was never completed, durably."""
        with self._locked():
            self._check(origin, old)
            try:
                self._path(origin).unlink()
                sync_directory(self._directory)
            except OSError as error:
                message = f"removing the head of {origin}: {error.strerror}"
                raise StoreError(message) from error

    def _check(self, origin: str, expected: bytes | None) -> None:
        if self._read(origin) != expected:
            message = f"the head store holds another head of {origin} than was stored last"
            raise HeadConflictError(message)

    def _path(self, origin: str) -> Path:
        return self._directory / hashlib.sha256(origin.encode()).hexdigest()

    def _read(self, origin: str) -> bytes | None:
        try:
            # A pipe in the head's place must not be waited for.
            descriptor = os.open(self._path(origin), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                head = file.read(MAX_HEAD_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            message = f"reading the head of {origin}: {error.strerror}"
            raise StoreError(message) from error
        if len(head) > MAX_HEAD_BYTES:
            message = f"the head of {origin} is over {MAX_HEAD_BYTES} bytes"
            raise StoreError(message)
        return head

    def _replace(self, path: Path, data: bytes) -> None:
        """Temp file, fsync, rename, fsync of the directory: old or new, never in between."""
        temporary = path.with_suffix(".tmp")
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_directory(path.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold `heads/lock`: two servers may share a directory of heads."""
        try:
            descriptor = os.open(
                self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            message = f"opening the head store: {error.strerror}"
            raise StoreError(message) from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError as error:
                message = f"locking the head store: {error.strerror}"
                raise StoreError(message) from error
            yield
        finally:
            os.close(descriptor)
