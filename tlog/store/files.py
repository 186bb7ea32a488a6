"""Opening LevelDB databases the one safe way, and making directory entries durable."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import error as StructError  # noqa: N812 - the library's own name is not CapWords

import plyvel

from tlog.errors import FatalLogError, StoreError

_DIRECTORIES = re.compile(r"(?<!\S)/(?:[^/\s]*/)+")


def open_database(
    path: Path, *, write_buffer: int, cache: int, open_files: int, create: bool = False
) -> plyvel.DB:
    """Open a database; write_buffer and cache in bytes, at most open_files tables are kept open.

    Raises:
        StoreError: it is not there (unless create), is damaged, or another process has it.
    """
    name = f"{path.parent.name}/{path.name}"
    with wrapping(f"opening {name}"):
        if not create and not (path / "CURRENT").exists():
            # LevelDB would leave a directory behind even where it refuses to create a database.
            message = f"{name} is missing or has lost its CURRENT file"
            raise StoreError(message)
        database = plyvel.DB(
            os.fsencode(path),
            create_if_missing=create,
            error_if_exists=create,
            paranoid_checks=True,
            write_buffer_size=write_buffer,
            lru_cache_size=cache,
            max_open_files=open_files,
            bloom_filter_bits=10,
        )
        # Opening renames a new CURRENT into place, and LevelDB does not sync the directory.
        sync_directory(path)
        return database


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable (fsync of the directory; OSError as it comes)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def wrapping(doing: str) -> Iterator[None]:
    """Turn LevelDB's and the file system's errors into StoreError: `doing` and what went wrong."""
    try:
        yield
    except (plyvel.Error, RuntimeError, StructError) as error:
        # Before OSError: plyvel's IOError is one too, without its own sentence.
        message = f"{doing}: {_text(error)}"
        raise StoreError(message) from error
    except OSError as error:
        message = f"{doing}: {error.strerror or error}"
        raise StoreError(message) from error


@contextmanager
def blaming_log() -> Iterator[None]:
    """Tell what cannot be read in `log/` from what is wrong with the index: no rebuilding helps."""
    try:
        yield
    except StoreError as error:
        message = f"log/ is damaged, `tlog fsck` says where: {error}"
        raise FatalLogError(message) from error


def _text(error: Exception) -> str:
    """What an error says; LevelDB's are bytes and name whole paths, of which the end is enough."""
    said = error.args[0] if error.args else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(error)
    return _DIRECTORIES.sub("", text)
