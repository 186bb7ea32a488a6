"""Log: all of one log in one object, for programs without an event loop, or beside one."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self

from tlog_clients.async_log import DEFAULT_POLL_S, AsyncLog, numbered
from tlog_clients.entry_batches import join_results, note_before, split_batches
from tlog_clients.fetch import DEFAULT_TIMEOUT_S
from tlog_clients.log_trust import LogTrust, TrustSource
from tlog_clients.loop_thread import LoopThread
from tlog_clients.retry import DEFAULT_RETRY_FOR_S
from tlog_clients.submission import EntryTooLargeError
from tlog_proofs import TlogProof

if TYPE_CHECKING:
    from ssl import SSLContext
    from types import TracebackType

    from tlog_clients.entry_proof import EntryProof
    from tlog_clients.entry_range import Stretch
    from tlog_clients.log_client import AppendResult, BatchResult
    from tlog_clients.log_places import CachePlace, StatePlace
    from tlog_clients.patience import Stop
    from tlog_proofs import SignedCheckpoint


class Log:
    """Appends to, reads and follows one log, and verifies every answer; any thread may call it.

    The network is served by a thread that begins with the first call, so that it does not matter
    whether the caller runs an event loop (which it blocks; AsyncLog does not). Closed by close(),
    at the end of a `with` block, with the last reference to it, or when the program ends. A process
    that forks after the first call makes a new Log in the child: this one says so there.
    """

    def __init__(  # noqa: PLR0913 - as AsyncLog
        self,
        url: str,
        *,
        trust: TrustSource | LogTrust,
        origin: str | None = None,
        token: str | None = None,
        state: StatePlace = True,
        cache: CachePlace = True,
        retry_for_s: float = DEFAULT_RETRY_FOR_S,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        ssl: SSLContext | None = None,
    ) -> None:
        """Check the settings, which are those of AsyncLog; nothing is asked of the server yet."""
        self._log = AsyncLog(
            url,
            trust=trust,
            origin=origin,
            token=token,
            state=state,
            cache=cache,
            retry_for_s=retry_for_s,
            timeout_s=timeout_s,
            ssl=ssl,
        )
        self._open: set[AsyncGenerator[Stretch, None]] = set()
        self._thread = LoopThread(self._log.__aenter__, partial(_close, self._log, self._open))
        # Also called when the interpreter ends.
        self._finalizer = weakref.finalize(self, self._thread.end)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close every connection; calls of other threads that still wait end with RuntimeError."""
        self._thread.close()

    @property
    def url(self) -> str:
        """The log's address, without trailing slash."""
        return self._log.url

    @property
    def trust(self) -> LogTrust:
        """Whom this object believes about the log."""
        return self._log.trust

    def append(
        self,
        entry: bytes,
        *,
        id: str | None = None,  # noqa: A002 - the word of the interface
    ) -> AppendResult:
        """Append one entry, wait until it is published, and verify it; as AsyncLog.append."""
        return self._thread.run(lambda: self._log.append(entry, id=id))

    def append_many(
        self, entries: Iterable[bytes], *, ids: Iterable[str] | None = None
    ) -> BatchResult:
        """Append entries in order; as AsyncLog.append_many. They are read in the calling thread."""
        joined: BatchResult | None = None
        try:
            for batch, batch_ids in split_batches(entries, ids):
                result = self._append_batch(batch, batch_ids, is_fresh=ids is None)
                joined = join_results(joined, result)
        except Exception as error:
            note_before(error, joined)
            raise
        if joined is None:
            raise EntryTooLargeError("expected at least one entry, got none")
        return joined

    def _append_batch(self, entries: list[bytes], ids: list[str], *, is_fresh: bool) -> BatchResult:
        return self._thread.run(lambda: self._log.append_batch(entries, ids, is_fresh=is_fresh))

    def read(self, index: int) -> bytes:
        """Return the bytes of an entry, as they stand in the signed tree; as AsyncLog.read."""
        return self._thread.run(lambda: self._log.read(index))

    def read_range(self, start: int, end: int | None = None) -> Iterator[bytes]:
        """Yield the entries [start, end), all from start on without `end`; as in AsyncLog."""
        for _, entries in self._iterate(self._log.stretches(start, end)):
            yield from entries

    def prove(self, index: int) -> EntryProof:
        """Return a proof that the entry at index stands in the log; as AsyncLog.prove."""
        return self._thread.run(lambda: self._log.prove(index))

    def verify(self, proof: EntryProof | TlogProof | bytes, entry: bytes) -> SignedCheckpoint:
        """Verify offline that the log has the entry at the proof's index; as verify_entry."""
        return self._log.verify(proof, entry)

    def head(self) -> SignedCheckpoint:
        """Return the newest verified head, consistent with all before; as AsyncLog.head."""
        return self._thread.run(self._log.head)

    def follow(
        self,
        start: int = 0,
        *,
        poll_s: float = DEFAULT_POLL_S,
        timeout_s: float | None = None,
        stop: Stop | None = None,
    ) -> Iterator[tuple[int, bytes]]:
        """Yield (index, entry) of everything published from `start` on; as AsyncLog.follow.

        `stop` is asked from another thread too.
        """
        following = self._log.follow_stretches(start, poll_s=poll_s, timeout_s=timeout_s, stop=stop)
        for stretch in self._iterate(following):
            for index, entry in numbered(stretch):
                if stop is not None and stop():
                    return
                yield index, entry

    def _iterate(self, stretches: AsyncGenerator[Stretch, None]) -> Iterator[Stretch]:
        async def step() -> Stretch | None:
            return await anext(stretches, None)

        self._open.add(stretches)
        try:
            while (stretch := self._thread.run(step)) is not None:
                yield stretch
        finally:
            self._open.discard(stretches)
            if not self._thread.is_closed():  # then it ended with the loop
                with suppress(RuntimeError):
                    self._thread.run(stretches.aclose)


async def _close(log: AsyncLog, iterators: set[AsyncGenerator[Stretch, None]]) -> None:
    # The loop itself would close a generator and those within it at the same time, which fails.
    for iterator in tuple(iterators):
        await iterator.aclose()
    await log.__aexit__(None, None, None)
