"""The stored rows of a log's LevelDB databases, read one database at a time, for `tlog fsck`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import plyvel

from tlog.store.base import Row
from tlog.store.files import open_database, wrapping

WRITE_BUFFER_BYTES = 4 * 1024 * 1024
CACHE_BYTES = 1024 * 1024  # every row is read once
OPEN_FILES = 64


class LevelDBRows:
    """The StoredRows of one log's directory.

    Opening a database makes LevelDB replay its write-ahead log into a table, as every opening
    does; nothing else is written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def databases(self) -> tuple[str, ...]:
        """See StoredRows."""
        with wrapping(f"reading {self._directory.name}"):
            found = [name for name in ("index", "log") if (self._directory / name).is_dir()]
            bodies = self._directory / "bodies"
            if bodies.is_dir():
                found += [f"bodies/{path.name}" for path in bodies.iterdir()]
        return tuple(sorted(found))

    def is_begun(self, database: str) -> bool:
        """See StoredRows."""
        directory = self._directory / database
        return (directory / "CURRENT").exists() or any(directory.glob("*.ldb"))

    def rows(self, database: str) -> Generator[Row]:
        """See StoredRows."""
        with (
            self._opened(database) as opened,
            opened.iterator(verify_checksums=True, fill_cache=False) as rows,
        ):
            yield from rows

    def values(self, database: str, keys: Iterable[bytes]) -> Generator[bytes | None]:
        """See StoredRows."""
        with self._opened(database) as opened:
            for key in keys:
                yield opened.get(key, verify_checksums=True)

    @contextmanager
    def _opened(self, database: str) -> Iterator[plyvel.DB]:
        opened = open_database(
            self._directory / database,
            write_buffer=WRITE_BUFFER_BYTES,
            cache=CACHE_BYTES,
            open_files=OPEN_FILES,
        )
        try:
            with wrapping(f"reading {database}"):
                yield opened
        finally:
            opened.close()
