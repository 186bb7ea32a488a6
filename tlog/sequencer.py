"""The sequencer: the one writer of a log, with group commit and no timer.

While one batch becomes durable the next one gathers; a lone append goes at once. An append that
was queued is committed whether or not its client still waits. Any storage error stops the log
for good (fail-stop): what it left behind is for start-up to find out. The index of a batch is
written while the next one is committed; when it fails it is built again before any more commits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from tlog.budget import QueueBudget
from tlog.clock import LogTime, steady_s
from tlog.config import Config
from tlog.errors import (
    FatalLogError,
    OutcomeUnknownError,
    ReadOnlyError,
    StartingError,
    StoppingError,
    StoreError,
)
from tlog.ids import EntryId, IdKeys, WeekKey, week_of
from tlog.indexing import Indexing
from tlog.measures import LogMeasures
from tlog.store.base import Batch, Store
from tlog.store.commit_record import CommitRecord
from tlog.submissions import Appended, Submission, id_rows, make_submission
from tlog.tree import RightEdge
from tlog_proofs import leaf_hashes

CLOCK_POLL_S = 0.05


class Sequencer:
    """Takes appends in order and commits them in batches.

    All fields are owned by the event loop. No two batches are ever being committed together, nor
    being indexed; `writer` has a thread for each of the two.
    """

    def __init__(  # noqa: PLR0913 - the composition root names each part
        self,
        *,
        store: Store,
        edge: RightEdge,
        log_time: LogTime,
        budget: QueueBudget,
        config: Config,
        id_keys: IdKeys,
        writer: Executor,
        on_commit: Callable[[CommitRecord], None],
        on_fatal: Callable[[str], None],
        measures: LogMeasures | None = None,
    ) -> None:
        """Start from edge, the stored tree; `run` does the work until `stop`."""
        self._store = store
        self.edge = edge
        self._log_time = log_time
        self._budget = budget
        self._config = config
        self._id_keys = id_keys
        self._writer = writer
        self._on_commit = on_commit
        self._on_fatal = on_fatal
        self._measures = measures or LogMeasures()
        self._queue: deque[Submission] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._fatal: str | None = None
        self._indexing = Indexing(store, edge.size, writer, self._measures)
        self._finishing: asyncio.Task[None] | None = None  # the newest batch's index and answers

    @property
    def indexed(self) -> bool:
        """Whether the index lacks nothing but what is under way; else no entries are taken."""
        return not self._indexing.is_behind

    @property
    def index_builds(self) -> int:
        """How often the index fell behind and had to be built."""
        return self._indexing.builds

    def suspect_index(self) -> None:
        """A read found the index damaged: begin it anew before the next commit."""
        self._indexing.suspect()
        self._wake.set()

    @property
    def refusal(self) -> str | None:
        """Why the log takes no entries now, as one sentence, or None."""
        return self._fatal or self._log_time.problem()

    @property
    def queue_age_s(self) -> float:
        """How long the oldest entry that is not committed yet has waited in the queue."""
        return steady_s() - self._queue[0].queued_s if self._queue else 0.0

    def confirm_clock(self) -> None:
        """An operator vouches for the clock as it stands."""
        self._log_time.confirm()

    def fail(self, reason: str) -> None:
        """Stop for good: refuse new entries, answer those that wait (none of them was written)."""
        if self._fatal is None:
            self._fatal = reason
            self._refuse_queue(reason)
            self._wake.set()

    def check_accepting(self) -> None:
        """Raise the SubmissionError that an append would get now, if any."""
        if self._stopping:
            message = "the server is shutting down"
            raise StoppingError(message)
        refusal = self.refusal
        if refusal is not None:
            raise ReadOnlyError(refusal)
        if self._indexing.is_behind:
            message = "the log is starting: its index is being brought up to date"
            raise StartingError(message)

    async def append(
        self, entries: Sequence[bytes], ids: Sequence[EntryId | None] = ()
    ) -> Appended:
        """Queue entries, all or none in one batch, and wait until they are durable.

        Cancelling the wait does not take them back. ids is parallel to entries, or empty; that no
        id stands in the log or in the queue already is the caller's to know (tlog.idempotency).

        Raises:
            SubmissionError: not taken, or OutcomeUnknownError: taken, and the commit failed.
        """
        self.check_accepting()
        submission = make_submission(entries, ids, self._config)
        self._budget.take(submission.queued_bytes)
        self._queue.append(submission)
        self._wake.set()
        try:
            return await submission.done
        finally:
            del submission  # it holds its error, whose traceback holds this frame and the entries

    async def run(self) -> None:
        """Commit what is queued until `stop` was called and the queue is empty, or a failure."""
        try:
            while self._fatal is None:
                if self._indexing.is_behind and not self._stopping:
                    await self._build_index()
                elif self._queue:
                    await self._commit_next()
                elif self._stopping:
                    break
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            await self._finished()

    def stop(self) -> None:
        """Take nothing more; `run` returns when what is queued is durable."""
        self._stopping = True
        self._wake.set()

    async def _commit_next(self) -> None:
        """Make one batch of the queue's head durable and answer it."""
        t = await self._next_t()
        if t is None:
            return
        batch_of = self._take()
        try:
            key = await self._key_of(batch_of, t)
            loop = asyncio.get_running_loop()
            edge, batch = await loop.run_in_executor(
                self._writer, self._write, self.edge, batch_of, t, key
            )
        except StoreError as error:
            self._break(batch_of, f"a commit failed ({error}): restart the server")
            return
        except BaseException:
            # A bug or a cancelled task: the thread may still be writing, so nothing is known.
            self._break(batch_of, "a commit was interrupted: restart the server")
            raise
        self.edge = edge
        self._log_time.stamped(t)
        with_ids = self._answer_those_without_ids(batch, batch_of)
        try:
            await self._finished()
        except BaseException:
            # The index of the batch before ended in a bug; this one is durable all the same.
            for submission, appended in with_ids:
                self._answer(submission, appended)
            raise
        self._finishing = asyncio.create_task(self._finish(batch, with_ids))

    def _answer_those_without_ids(
        self, batch: Batch, batch_of: list[Submission]
    ) -> list[tuple[Submission, Appended]]:
        """Answer what is durable, unless its ids shall be found first: those are returned."""
        with_ids = []
        start = 0
        for submission in batch_of:
            end = start + len(submission.entries)
            hashes = tuple(batch.leaf_hashes[start:end])
            appended = Appended(batch.record.first_index + start, hashes)
            if any(submission.ids):
                with_ids.append((submission, appended))
            else:
                self._answer(submission, appended)
            start = end
        return with_ids

    async def _finish(self, batch: Batch, with_ids: list[tuple[Submission, Appended]]) -> None:
        """Index a batch that is durable, then let it be published, and answer who waits for that.

        So nothing is published that the index lacks, unless it failed and has to be built.
        """
        try:
            await self._indexing.enter(batch)
        except BaseException:
            waiting = [submission for submission, _ in with_ids]
            self._break(waiting, "the index of a commit was interrupted: restart the server")
            raise
        self._wake.set()  # for the index to be built, if it failed
        self._on_commit(batch.record)
        for submission, appended in with_ids:
            self._answer(submission, appended)

    async def _finished(self) -> None:
        """Wait until the batch before is indexed and answered."""
        if self._finishing is not None:
            await self._finishing
            self._finishing = None

    async def _next_t(self) -> int | None:
        """The t of the next batch; None when the queue was refused, by the clock or a failure."""
        while self._queue:
            try:
                t = self._log_time.next_t()
            except FatalLogError as error:
                self._refuse_queue(str(error))
                return None
            if t is not None:
                return t
            await asyncio.sleep(CLOCK_POLL_S)
        return None

    def _take(self) -> list[Submission]:
        """The submissions of the next batch, within the bounds of one commit."""
        taken = [self._queue.popleft()]
        count = len(taken[0].entries)
        size = taken[0].entry_bytes
        while self._queue:
            count += len(self._queue[0].entries)
            size += self._queue[0].entry_bytes
            if count > self._config.commit_entries or size > self._config.commit_bytes:
                break
            taken.append(self._queue.popleft())
        return taken

    async def _key_of(self, batch_of: list[Submission], t: int) -> WeekKey | None:
        """The key for the ids of a batch, durable; None for a batch without ids."""
        if any(any(submission.ids) for submission in batch_of):
            return await self._id_keys.of_week(week_of(t), self.edge.size)
        return None

    def _write(
        self, edge: RightEdge, batch_of: list[Submission], t: int, key: WeekKey | None
    ) -> tuple[RightEdge, Batch]:
        """Hash, extend and commit; runs in a writer thread."""
        entries = [entry for submission in batch_of for entry in submission.entries]
        hashes = leaf_hashes(entries)
        extended, tiles = edge.extend(hashes)
        record = CommitRecord(edge.size, extended.size, extended.root, t)
        if key is not None:
            ids = id_rows(batch_of, edge.size, key)
            record = replace(record, key_week=key.week, ids=ids)
        batch = Batch(record=record, leaves=entries, leaf_hashes=hashes, tiles=tiles)
        self._commit(batch)
        return extended, batch

    def _commit(self, batch: Batch) -> None:
        """Make a batch durable, and count it."""
        measures = self._measures
        start = steady_s()
        try:
            self._store.commit(batch)
        except BaseException:
            measures.failed_commits += 1
            raise
        measures.commit_s.observe(steady_s() - start)
        measures.commits += 1
        measures.entries += len(batch.leaves)
        measures.entry_bytes += sum(map(len, batch.leaves))
        measures.batch_entries.observe(len(batch.leaves))

    async def _build_index(self) -> None:
        """Build the index, or a part of it; an index that cannot be built stops the log."""
        await self._finished()
        try:
            await self._indexing.build(self.edge.size)
        except (StoreError, FatalLogError) as error:
            reason = f"the index cannot be built ({error}): restart the server"
            self.fail(reason)
            self._on_fatal(reason)

    def _break(self, batch_of: list[Submission], reason: str) -> None:
        """Fail-stop: the batch's outcome is open, what waits behind it was not written."""
        for submission in batch_of:
            self._answer(
                submission,
                OutcomeUnknownError("the commit failed: the entries may or may not stand"),
            )
        self.fail(reason)
        self._on_fatal(reason)

    def _refuse_queue(self, reason: str) -> None:
        while self._queue:
            self._answer(self._queue.popleft(), ReadOnlyError(reason))

    def _answer(self, submission: Submission, outcome: Appended | Exception) -> None:
        self._budget.give_back(submission.queued_bytes)
        if submission.done.cancelled():
            return
        if isinstance(outcome, Appended):
            submission.done.set_result(outcome)
        else:
            submission.done.set_exception(outcome)
            # A client that left must not turn a refusal into a warning about a lost exception.
            submission.done.exception()
