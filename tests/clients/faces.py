"""The two faces of the client behind one blocking interface, so that each test asks both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.cli.served_log import ServedLog
from tlog_clients.async_log import AsyncLog
from tlog_clients.entry_proof import EntryProof
from tlog_clients.log import Log
from tlog_clients.log_client import AppendResult, BatchResult
from tlog_proofs import SignedCheckpoint

_Item = TypeVar("_Item")


class BlockingAsyncLog:
    """An AsyncLog whose coroutines are run one at a time."""

    def __init__(self, url: str, **settings: Any) -> None:  # noqa: ANN401 - as AsyncLog
        self._log = AsyncLog(url, **settings)
        self._runner = asyncio.Runner()
        self._is_closed = False
        self._under_way: list[Generator[Any, None, None]] = []  # iterators that were given
        self._runner.run(self._log.__aenter__())
        self.verify = self._log.verify

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for iterator in self._under_way:
            iterator.close()
        self._runner.run(self._log.__aexit__(None, None, None))
        self._runner.close()
        self._is_closed = True

    def append(self, entry: bytes, *, id: str | None = None) -> AppendResult:  # noqa: A002
        return self._runner.run(self._log.append(entry, id=id))

    def append_many(
        self, entries: Iterable[bytes], *, ids: Iterable[str] | None = None
    ) -> BatchResult:
        return self._runner.run(self._log.append_many(entries, ids=ids))

    def read(self, index: int) -> bytes:
        return self._runner.run(self._log.read(index))

    def read_range(self, start: int, end: int | None = None) -> Iterator[bytes]:
        return self._iterate(self._log.read_range(start, end))

    def prove(self, index: int) -> EntryProof:
        return self._runner.run(self._log.prove(index))

    def head(self) -> SignedCheckpoint:
        return self._runner.run(self._log.head())

    def follow(self, start: int = 0, **options: Any) -> Iterator[tuple[int, bytes]]:  # noqa: ANN401
        return self._iterate(self._log.follow(start, **options))

    def _iterate(self, items: AsyncGenerator[_Item, None]) -> Iterator[_Item]:
        iterator = self._steps(items)
        self._under_way.append(iterator)
        return iterator

    def _steps(self, items: AsyncGenerator[_Item, None]) -> Generator[_Item, None, None]:
        async def step() -> tuple[_Item] | None:
            try:
                return (await anext(items),)
            except StopAsyncIteration:
                return None

        try:
            while (item := self._runner.run(step())) is not None:
                yield item[0]
        finally:
            if not self._is_closed:
                self._runner.run(items.aclose())


Face = Log | BlockingAsyncLog
FACES: dict[str, type[Log | BlockingAsyncLog]] = {"sync": Log, "async": BlockingAsyncLog}


class Opener:
    """Opens the log that is served, by one face, with its state and cache in a directory."""

    def __init__(self, face: str, served: ServedLog, directory: Path) -> None:
        self._face = FACES[face]
        self.served = served
        self.directory = directory

    def __call__(self, **settings: Any) -> Face:  # noqa: ANN401 - as Log
        chosen = {
            "trust": self.served.log.key.vkey,
            "state": self.directory / "heads.json",
            "cache": self.directory / "cache",
            **settings,
        }
        return self._face(self.served.url, **chosen)
