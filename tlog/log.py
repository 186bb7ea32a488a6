"""One open log: its sequencer, publisher and reader behind the calls that the API makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from tlog.budget import Reservation
from tlog.checkpoints import CheckpointStore, Published
from tlog.control import LogRow
from tlog.disk import is_full
from tlog.errors import (
    DiskFullError,
    NotFoundError,
    ReadOnlyError,
    StoppingError,
    StoreError,
    UnreadableError,
    UsageError,
    WrongKindError,
)
from tlog.facts import LogFacts
from tlog.idempotency import Placed
from tlog.ids import EntryId, WeekKey
from tlog.log_parts import LogParts, SharedParts, make_parts
from tlog.measures import DatabaseFacts, LogMeasures
from tlog.reader import LogReader
from tlog.startup import OpenedLog
from tlog.thinning import Thinner
from tlog.tree import RightEdge
from tlog_proofs import EMPTY_ROOT, KIND_OPAQUE, EntryBundle, Tile

Answer = TypeVar("Answer")
_logger = structlog.get_logger("tlog.log")


class Log:
    """An open log; all fields are owned by the event loop."""

    def __init__(
        self, row: LogRow, opened: OpenedLog, id_keys: Sequence[WeekKey], shared: SharedParts
    ) -> None:
        """Take over what start-up opened; `start` begins the work."""
        self.row = row
        self.measures = LogMeasures()
        self._shared = shared
        self._opened = opened
        self._refusal = None if opened.refusal is None else _advised(opened.refusal)
        self._stopping = False
        self._started = False
        self._tasks: list[asyncio.Task[None]] = []  # publisher, sequencer
        self._thinning: asyncio.Task[None] | None = None
        # While one batch is committed, the one before is indexed, and another published.
        self._threads = ThreadPoolExecutor(3, thread_name_prefix=f"log-{row.name}")
        self._parts: LogParts | None = None  # none in a log that start-up refused
        self._reader: LogReader | None = None
        if opened.store is not None and opened.edge is not None:
            opened_edge = opened.edge
            self._reader = LogReader(
                row.name, opened.store, lambda: self._edge(opened_edge), shared.cache
            )
        if self._refusal is not None:
            self._say(self._refusal)
            return
        self._parts = make_parts(
            row.name, opened, id_keys, shared, self._threads, self.measures, self._break
        )

    @property
    def facts(self) -> LogFacts:
        """The log as it stands."""
        published = self._published
        return LogFacts(
            name=self.row.name,
            origin=self.row.origin,
            kind=self.row.kind,
            public=self.row.public,
            vkey=self.row.vkey,
            size=published.size if published else 0,
            root=published.root if published else EMPTY_ROOT,
            state=self.state,
            reason=self.reason,
        )

    @property
    def state(self) -> str:
        """`ready`, `starting`, `read-only`, `stopping`, or `stopped`: opened, not started."""
        if self._stopping:
            return "stopping"
        if self.reason is not None or self._parts is None:
            return "read-only"
        if not self._started:
            return "stopped"
        return "ready" if self._parts.sequencer.indexed else "starting"

    @property
    def reason(self) -> str | None:
        """Why the log is read-only, as one sentence, or None."""
        if self._refusal is not None or self._parts is None:
            return self._refusal
        return self._parts.sequencer.refusal

    @property
    def committed_size(self) -> int:
        """The size up to which the log is durable; 0 when it cannot be read."""
        if self._parts is not None:
            return self._parts.sequencer.edge.size
        return self._opened.edge.size if self._opened.edge is not None else 0

    @property
    def queue_age_s(self) -> float:
        """How long the oldest entry that is not committed yet has waited in the queue."""
        return self._parts.sequencer.queue_age_s if self._parts is not None else 0.0

    @property
    def published(self) -> Published:
        """The checkpoint that is served; UnreadableError when none can be read."""
        published = self._published
        if published is None:
            message = f"no checkpoint can be read: {self._refusal}"
            raise UnreadableError(message)
        return published

    async def start(self) -> None:
        """Begin to publish, bring the index up to date, then take appends. Returns at once."""
        self._started = True
        parts, checkpoints = self._parts, self._opened.checkpoints
        if parts is None or checkpoints is None:
            return
        self._tasks = [self._spawn(parts.publisher.run()), self._spawn(parts.sequencer.run())]
        thinner = Thinner(self.row.name, checkpoints, self._shared.readers)
        self._thinning = self._spawn(thinner.run())

    async def read_facts(self) -> LogFacts:
        """The log as it stands."""
        return self.facts

    async def read_database_facts(self) -> Mapping[str, DatabaseFacts]:
        """What its databases use, by place; StoreError when one cannot be asked."""
        store = self._opened.store
        if store is None:
            return {}
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._shared.readers, store.database_facts)

    async def read_published(self) -> Published:
        """The checkpoint that is served; UnreadableError when none can be read."""
        return self.published

    async def check_accepting(self) -> None:
        """Raise the SubmissionError that an append of raw entries would get now, if any."""
        self._open_parts().sequencer.check_accepting()
        self._shared.disk.check()

    def reserve(self) -> Reservation:
        """A part of the queue's budget for entries that are still arriving."""
        return Reservation(self._shared.budget)

    async def append(self, entries: Sequence[bytes], ids: Sequence[EntryId | None] = ()) -> Placed:
        """Make raw entries durable, all or none, in one batch; those whose ids are known stand.

        ids is parallel to entries, or empty: entries without ids are always new.

        Raises:
            SubmissionError: one of its kinds says why not.
        """
        parts = self._open_parts()
        self._shared.disk.take(sum(map(len, entries)))
        if any(ids):
            return await parts.idempotency.append(entries, ids)
        appended = await parts.sequencer.append(entries)
        first = appended.first_index
        return Placed(range(first, appended.size), appended.leaf_hashes, first)

    def _open_parts(self) -> LogParts:
        """What appends go through, unless the log takes none for good."""
        if self.row.kind != KIND_OPAQUE:
            message = f"the log takes no raw entries: it is of kind {self.row.kind}"
            raise WrongKindError(message)
        if self._stopping:
            message = "the server is shutting down"
            raise StoppingError(message)
        if self._refusal is not None and is_full(self._refusal):
            raise DiskFullError(self._refusal)
        if self._parts is None:
            raise ReadOnlyError(self.reason or "the log is read-only")
        return self._parts

    async def wait_published(self, size: int, timeout_s: float) -> Published | None:
        """The first checkpoint served that covers size; None on time-out or at shut-down."""
        if self._parts is None:
            return None
        return await self._parts.publisher.wait(size, timeout_s)

    async def read_tile(self, tile: Tile) -> bytes:
        """The tile's bytes; NotPublishedError beyond the published size."""
        reader = self._reader
        if reader is not None and reader.holds_tile(tile):
            return reader.tile(tile, self.published.size)
        return await self._read(lambda reader, size: reader.tile(tile, size))

    async def read_bundle(self, bundle: EntryBundle) -> bytes:
        """The bundle's bytes; NotPublishedError beyond the published size."""
        return await self._read(lambda reader, size: reader.bundle(bundle, size))

    async def read_entry(self, index: int) -> bytes:
        """The entry's bytes; NotPublishedError beyond the published size."""
        return await self._read(lambda reader, size: reader.entry(index, size))

    async def inclusion(self, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
        """Leaf hash and inclusion proof (32-byte hashes) in the tree of size.

        Raises:
            OutOfRangeError: index >= size. NotPublishedError: size beyond the published one.
        """
        reader, served = self._reader, self.published.size
        if reader is not None and index < size <= served and reader.holds(index, size):
            return reader.inclusion(index, size, served)
        return await self._read(lambda reader, served: reader.inclusion(index, size, served))

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The consistency proof between two sizes; errors as inclusion."""
        return await self._read(lambda reader, served: reader.consistency(old, new, served))

    async def find_leaf(self, leaf_hash: bytes) -> int:
        """An index at which the leaf hash stands; NotFoundError when there is none."""
        try:
            return await self._read(lambda reader, size: reader.find(leaf_hash, size))
        except StoreError:
            if self._parts is not None:
                self._parts.sequencer.suspect_index()
            raise

    async def checkpoint_at(self, size: int) -> bytes:
        """The note of the stored published checkpoint of exactly that size, or NotFoundError."""
        published = await self._stored(lambda checkpoints: checkpoints.at(size))
        if published is None or published.size > self.published.size:
            message = f"there is no checkpoint of size {size}"
            raise NotFoundError(message)
        return published.note

    async def checkpoint_not_after(self, time_ms: int) -> bytes:
        """The note of the newest stored checkpoint published by a POSIX time, or NotFoundError."""
        published = await self._stored(lambda checkpoints: checkpoints.not_after(time_ms))
        if published is None:
            message = "no checkpoint was published by that time"
            raise NotFoundError(message)
        if published.size > self.published.size:
            return self.published.note  # that one is being published
        return published.note

    def confirm_clock(self) -> None:
        """An operator vouches for the clock.

        Raises:
            UsageError: the log is not running: what is confirmed holds until the server ends.
            NotFoundError: the clock is not why it is read-only.
        """
        if not self._started:
            message = "a clock is confirmed in the running server: start it first"
            raise UsageError(message)
        if self._parts is None:
            message = f"{self.row.name} is read-only for another reason: {self._refusal}"
            raise NotFoundError(message)
        self._parts.sequencer.confirm_clock()

    def begin_stop(self) -> None:
        """Take no more appends and release who waits for a publication."""
        self._stopping = True
        if self._parts is not None:
            self._parts.publisher.release_waiters()

    async def stop(self) -> None:
        """Commit what is queued and publish it; `close` comes next."""
        self.begin_stop()
        if self._parts is not None and self._tasks:
            publishing, sequencing = self._tasks
            self._parts.sequencer.stop()
            await asyncio.gather(sequencing, return_exceptions=True)
            self._parts.publisher.stop()
            await asyncio.gather(publishing, return_exceptions=True)
        if self._thinning is not None:
            self._thinning.cancel()
            await asyncio.gather(self._thinning, return_exceptions=True)

    def close(self) -> None:
        """Close the files, when nobody reads any more (blocks)."""
        self._threads.shutdown(wait=True)
        if self._opened.store is not None:
            self._opened.store.close()
        if self._opened.checkpoints is not None:
            self._opened.checkpoints.close()

    def halt(self) -> None:
        """Sign nothing more, whatever is under way: the time for shut-down is over."""
        if self._parts is not None:
            self._parts.writer.halted = True

    @property
    def _published(self) -> Published | None:
        return self._opened.published if self._parts is None else self._parts.publisher.published

    def _edge(self, opened: RightEdge) -> RightEdge:
        """The committed right edge: the one that was opened, or what the sequencer made of it."""
        return opened if self._parts is None else self._parts.sequencer.edge

    async def _stored(
        self, read: Callable[[CheckpointStore], Published | None]
    ) -> Published | None:
        """Run a blocking read of the stored checkpoints in a reader thread."""
        checkpoints = self._opened.checkpoints
        if checkpoints is None:
            message = f"the stored checkpoints cannot be opened: {self._refusal}"
            raise UnreadableError(message)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._shared.readers, read, checkpoints)

    async def _read(self, read: Callable[[LogReader, int], Answer]) -> Answer:
        """Run a blocking read in a reader thread, with the size that is published now."""
        if self._reader is None:
            message = f"the log's databases cannot be opened: {self._refusal}"
            raise UnreadableError(message)
        size = self.published.size
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._shared.readers, read, self._reader, size)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that ended by a bug makes the log read-only: nothing may go on half alive."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _logger.error("a task of the log ended", log=self.row.name, exc_info=error)
            self._break(f"an internal error ({type(error).__name__}): restart the server")

    def _break(self, reason: str) -> None:
        """Fail-stop: nothing is appended or signed any more, until a restart."""
        if self._refusal is None:
            self._refusal = _advised(reason)
            self._say(self._refusal)
        if self._parts is not None:
            self._parts.sequencer.fail(self._refusal)
            self._parts.publisher.fail()
        self.halt()

    def _say(self, reason: str) -> None:
        _logger.error("log is read-only", log=self.row.name, reason=reason)


def _advised(reason: str) -> str:
    """Why a log is read-only, with what has to be done first where the disk is full."""
    if not is_full(reason):
        return reason
    restarts = "restart the server" in reason
    return (
        f"{reason}; free space on the disk{' first' if restarts else ', then restart the server'}"
    )
