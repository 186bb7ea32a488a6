"""Opening LevelDB databases the one safe way, and making directory entries durable."""

from __future__ import annotations

import os
from pathlib import Path

import plyvel

from tlog.errors import StoreError

# All databases of a process share LevelDB's own limit of 1,000 mapped tables.
MAX_OPEN_FILES = 64


def open_database(path: Path, *, write_buffer: int, cache: int, create: bool = False) -> plyvel.DB:
    """Open a database; write_buffer and cache in bytes.

    Raises:
        StoreError: it is not there (unless create), is damaged, or another process has it.
    """
    if not create and not (path / "CURRENT").exists():
        # LevelDB would leave a directory behind even where it refuses to create a database.
        message = f"{path.parent.name}/{path.name} is missing or has lost its CURRENT file"
        raise StoreError(message)
    try:
        return plyvel.DB(
            os.fspath(path),
            create_if_missing=create,
            error_if_exists=create,
            paranoid_checks=True,
            write_buffer_size=write_buffer,
            lru_cache_size=cache,
            max_open_files=MAX_OPEN_FILES,
            bloom_filter_bits=10,
        )
    except (plyvel.Error, OSError) as error:
        message = f"opening {path.parent.name}/{path.name}: {error}"
        raise StoreError(message) from error


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable (fsync of the directory; OSError as it comes)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
