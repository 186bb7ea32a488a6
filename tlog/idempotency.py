"""One id, one entry: what was sent before is answered with its first index, never logged again.

An id is claimed on the event loop before anything is looked up, so that two clients which send it
at once meet here; a claim ends when its entry is durable and indexed, or was refused.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import structlog

from tlog.budget import QueueBudget, Reservation
from tlog.errors import IdConflictError, QueueFullError, StartingError, StoreError
from tlog.ids import EntryId, IdKeys, WeekKey, bytes_mac, week_of
from tlog.sequencer import Sequencer
from tlog.store.base import Store
from tlog.store.commit_record import IdRow
from tlog.submissions import ENTRY_OVERHEAD_BYTES
from tlog_proofs import leaf_hash

Answer = TypeVar("Answer")
_logger = structlog.get_logger("tlog.idempotency")


class Placed(NamedTuple):
    """Where each entry of a request stands, in the request's order.

    first_new: the lowest index that this request added; None when all stood there before.
    """

    indexes: Sequence[int]
    leaf_hashes: Sequence[bytes]
    first_new: int | None

    @property
    def size(self) -> int:
        """The tree size that covers all of them."""
        return max(self.indexes) + 1


@dataclass(frozen=True, slots=True)
class _Request:
    """A request under way: its entries, the first position of each id, where they will stand."""

    entries: Sequence[bytes]
    firsts: dict[EntryId, int]
    placed: asyncio.Future[Placed]


class Idempotency:
    """Appends entries with ids; owned by the event loop."""

    def __init__(
        self,
        *,
        store: Store,
        sequencer: Sequencer,
        id_keys: IdKeys,
        budget: QueueBudget,
        readers: Executor,
        now_s: Callable[[], int],
    ) -> None:
        """Stand in front of the sequencer; now_s tells the time of the next batch (seconds)."""
        self._store = store
        self._sequencer = sequencer
        self._id_keys = id_keys
        self._budget = budget
        self._readers = readers
        self._now_s = now_s
        self._claims: dict[EntryId, _Request] = {}  # by each id that was new when it came
        self._tasks: set[asyncio.Task[Any]] = set()

    async def append(self, entries: Sequence[bytes], ids: Sequence[EntryId | None]) -> Placed:
        """Make durable those entries whose ids are new, all or none, and place all of them.

        ids is parallel to entries; None marks an entry without id, which is always new. One id
        twice in a request is one entry. Cancelling the wait changes nothing.

        Raises:
            IdConflictError: an id stands or is under way with other bytes; nothing was appended.
            SubmissionError: as Sequencer.append.
        """
        self._sequencer.check_accepting()
        return await self._finish(self._append(entries, ids))

    async def _finish(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run work to its end whether or not the caller still waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        finally:
            del task  # it holds its error, whose traceback holds this frame and the entries

    async def _append(self, entries: Sequence[bytes], ids: Sequence[EntryId | None]) -> Placed:
        with Reservation(self._budget) as reservation:
            # Entries that are looked up wait as much as those in the queue do.
            reservation.grow(sum(map(len, entries)) + ENTRY_OVERHEAD_BYTES * len(entries))
            firsts = _first_of_each(entries, ids)
            others = self._others(entries, firsts)
            mine = {i: at for i, at in firsts.items() if i not in others} if others else firsts
            request = _Request(entries, firsts, asyncio.get_running_loop().create_future())
            self._claims.update(dict.fromkeys(mine, request))
            try:
                known = await self._look_up(entries, mine)
                for entry_id in others:
                    known[entry_id] = await _stands(others[entry_id], entry_id)
                # The sequencer reserves for itself, and no await lies between.
                reservation.release()
                placed = await self._place(entries, ids, firsts, known)
            except Exception as error:
                self._unclaim(request, mine, error)
                raise
            else:
                self._unclaim(request, mine, placed)
            finally:
                del request, others  # they hold errors, whose tracebacks hold this frame
            return placed

    async def _place(
        self,
        entries: Sequence[bytes],
        ids: Sequence[EntryId | None],
        firsts: dict[EntryId, int],
        known: dict[EntryId, int],
    ) -> Placed:
        """Append the entries whose ids are new, each once, and place all."""
        if not known and len(firsts) == len(ids):
            appended = await self._sequencer.append(entries, ids)
            first_new = appended.first_index
            return Placed(range(first_new, appended.size), appended.leaf_hashes, first_new)
        new = [
            at
            for at, entry_id in enumerate(ids)
            if entry_id is None or (firsts[entry_id] == at and entry_id not in known)
        ]
        hashes = [b""] * len(entries)
        indexes = [0] * len(entries)
        lowest = None
        if new:
            appended = await self._sequencer.append(
                [entries[at] for at in new], [ids[at] for at in new]
            )
            lowest = appended.first_index
            for offset, at in enumerate(new):
                indexes[at] = lowest + offset
                hashes[at] = appended.leaf_hashes[offset]
        for at, entry_id in enumerate(ids):
            if entry_id is not None:
                first = known.get(entry_id)
                indexes[at] = indexes[firsts[entry_id]] if first is None else first
            hashes[at] = hashes[at] or leaf_hash(entries[at])
        return Placed(tuple(indexes), tuple(hashes), lowest)

    def _others(
        self, entries: Sequence[bytes], firsts: dict[EntryId, int]
    ) -> dict[EntryId, _Request]:
        """The ids that other requests have under way, with the same bytes."""
        others = {}
        for entry_id in firsts.keys() & self._claims.keys():
            other = self._claims[entry_id]
            if other.entries[other.firsts[entry_id]] != entries[firsts[entry_id]]:
                raise _conflict(entry_id)
            others[entry_id] = other
        return others

    def _unclaim(
        self, request: _Request, mine: dict[EntryId, int], outcome: Placed | Exception
    ) -> None:
        """End claims and tell who waits for them where they stand, or why they came to nothing."""
        for entry_id in mine:
            del self._claims[entry_id]
        if isinstance(outcome, Placed):
            request.placed.set_result(outcome)
            return
        if isinstance(outcome, IdConflictError):
            # Another id of that request was wrong: this one may well be sent again.
            outcome = QueueFullError("another request with this id was refused: try again", 1)
        request.placed.set_exception(outcome)
        request.placed.exception()  # perhaps nobody waits for it

    async def _look_up(
        self, entries: Sequence[bytes], mine: dict[EntryId, int]
    ) -> dict[EntryId, int]:
        """The indexes of the ids that stand in the log, within their window."""
        week = week_of(self._now_s())
        try:
            await self._id_keys.expire(week)
        except StoreError as error:
            # It is not looked under any more; the next look-up tries again to destroy it.
            _logger.warning("an id key could not be destroyed", reason=str(error))
        loop = asyncio.get_running_loop()
        known: dict[EntryId, int] = {}
        self._sequencer.check_accepting()  # with a whole index: it may have been lost meanwhile
        build = self._sequencer.index_builds
        for key in self._id_keys.window(week):
            asked = [entry_id for entry_id in mine if entry_id not in known]
            try:
                rows = await loop.run_in_executor(self._readers, self._find, key, asked)
            except StoreError as error:
                self._sequencer.suspect_index()
                message = "the log's index is damaged and is being built again"
                raise StartingError(message) from error
            for entry_id, row in zip(asked, rows, strict=True):
                if row is not None:
                    sent = bytes_mac(key.key, entries[mine[entry_id]])
                    if not hmac.compare_digest(row.bytes_mac, sent):
                        raise _conflict(entry_id)
                    known[entry_id] = row.index
        if not self._sequencer.indexed or self._sequencer.index_builds != build:
            # What was not found may have been missing from a half-built index only.
            message = "the log's index is being built again"
            raise StartingError(message)
        return known

    def _find(self, key: WeekKey, ids: Sequence[EntryId]) -> list[IdRow | None]:
        """Rows of ids under one key; runs in a reader thread."""
        return self._store.find_ids([entry_id.mac(key.key) for entry_id in ids], key.first_index)


async def _stands(other: _Request, entry_id: EntryId) -> int:
    """Where the entry of another request stands; raises what came of that request."""
    try:
        placed = await asyncio.shield(other.placed)
        return placed.indexes[other.firsts[entry_id]]
    finally:
        del other  # it holds the error, whose traceback holds this frame


def _first_of_each(entries: Sequence[bytes], ids: Sequence[EntryId | None]) -> dict[EntryId, int]:
    """For each id its first position in the request; IdConflictError for one with two bodies."""
    firsts: dict[EntryId, int] = {}
    for at, entry_id in enumerate(ids):
        if entry_id is not None:
            first = firsts.setdefault(entry_id, at)
            if first != at and entries[first] != entries[at]:
                raise _conflict(entry_id)
    return firsts


def _conflict(entry_id: EntryId) -> IdConflictError:
    del entry_id  # a client's own text has no place in messages that are logged
    return IdConflictError("an id was sent before, with other bytes")
