"""The lock of a data directory: our own flock, taken before LevelDB's.

LevelDB locks with fcntl, which the kernel drops as soon as the process closes any descriptor of
that file; two writers would be a fork. flock belongs to the open file and is not lost that way.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from tlog.errors import DataDirectoryError, LockHeldError

_ATTEMPTS = 10


class DirectoryLock:
    """`DIR/lock`, held from construction to `release`."""

    def __init__(self, data_dir: Path, *, make: bool = True) -> None:
        """Take the lock of an existing directory, without waiting; make: its file, if need be.

        Raises:
            LockHeldError: another process holds it.
            DataDirectoryError: the directory or the file cannot be opened.
        """
        self._path = data_dir / "lock"
        for _ in range(_ATTEMPTS):
            self._descriptor = _take(self._path, make=make)
            if self.is_in_place():
                return
            self.release()  # the file was replaced before it was locked: the new one counts
        message = f"{self._path} is replaced again and again"
        raise DataDirectoryError(message)

    def is_in_place(self) -> bool:
        """Whether the locked file is the one that the next process would lock (blocks).

        Who removes `DIR/lock` lets a second process in, which finds nobody at the new file.
        """
        try:
            there = self._path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # it cannot be told, and is looked at again
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def _take(path: Path, *, make: bool) -> int:
    """A descriptor of the file with the lock on it; make: if it is not there."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        message = f"opening the lock of {path.parent}: {error.strerror}"
        raise DataDirectoryError(message) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        message = f"{path.parent} is held by another process"
        raise LockHeldError(message) from error
    return descriptor
