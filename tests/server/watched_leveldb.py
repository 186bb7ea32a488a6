"""plyvel.DB as the store uses it, with a note of every option of every call."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import plyvel

_REAL = plyvel.DB


@dataclass
class Watch:
    """What was done to all databases, in order of time."""

    opened: list[dict[str, Any]] = field(default_factory=list)
    reads: list[dict[str, Any]] = field(default_factory=list)
    writes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # path, options
    open_iterators: int = 0
    writing: set[str] = field(default_factory=set)  # paths with a batch under way
    overlaps: int = 0  # batches begun while another one of the same database was under way
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, name: bytes, **options: Any) -> WatchedDB:  # noqa: ANN401 - plyvel's own
        """In place of plyvel.DB."""
        path = os.fsdecode(name)
        self.opened.append({"path": path, **options})
        return WatchedDB(self, path, _REAL(name, **options))


class WatchedDB:
    """A database that notes what is asked of it."""

    def __init__(self, watch: Watch, path: str, database: plyvel.DB) -> None:
        self._watch = watch
        self._path = path
        self._database = database

    def get(self, key: bytes, **options: bool) -> bytes | None:
        self._watch.reads.append(options)
        value: bytes | None = self._database.get(key, **options)
        return value

    def iterator(self, **options: Any) -> WatchedIterator:  # noqa: ANN401 - plyvel's own
        self._watch.reads.append(options)
        return WatchedIterator(self._watch, self._database.iterator(**options))

    def write_batch(self, **options: bool) -> WatchedBatch:
        self._watch.writes.append((self._path, options))
        return WatchedBatch(self._watch, self._path, self._database.write_batch(**options))

    def close(self) -> None:
        self._database.close()


class WatchedIterator:
    """An iterator of which is noted whether it was closed."""

    def __init__(self, watch: Watch, iterator: Any) -> None:  # noqa: ANN401 - plyvel's own
        self._watch = watch
        self._iterator = iterator
        watch.open_iterators += 1

    def __enter__(self) -> Self:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(self._iterator)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._watch.open_iterators -= 1
        self._iterator.close()


class WatchedBatch:
    """A write batch of which is noted whether it is alone."""

    def __init__(self, watch: Watch, path: str, batch: Any) -> None:  # noqa: ANN401 - plyvel's own
        self._watch = watch
        self._path = path
        self._batch = batch

    def __enter__(self) -> Any:  # noqa: ANN401 - plyvel's own
        with self._watch.lock:
            self._watch.overlaps += self._path in self._watch.writing
            self._watch.writing.add(self._path)
        return self._batch.__enter__()

    def __exit__(self, *details: object) -> None:
        try:
            self._batch.__exit__(*details)
        finally:
            with self._watch.lock:
                self._watch.writing.discard(self._path)
