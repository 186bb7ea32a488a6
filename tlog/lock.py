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


class DirectoryLock:
    """`DIR/lock`, held from construction to `release`."""

    def __init__(self, data_dir: Path) -> None:
        """Take the lock of an existing directory, without waiting.

        Raises:
            LockHeldError: another process holds it.
            DataDirectoryError: the directory or the file cannot be opened.
        """
        try:
            self._descriptor = os.open(
                data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except OSError as error:
            message = f"opening the lock of {data_dir}: {error.strerror}"
            raise DataDirectoryError(message) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            message = f"{data_dir} is held by another process"
            raise LockHeldError(message) from error

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
