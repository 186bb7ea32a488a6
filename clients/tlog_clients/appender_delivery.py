"""The delivery of an Appender: the spool's oldest entries to the log, one batch after another."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from tlog_clients.appender_errors import (
    AppenderError,
    EntrySetAsideError,
    SpoolError,
    SpoolWriteError,
)
from tlog_clients.appender_stats import DeliveryState
from tlog_clients.appender_tickets import Committed
from tlog_clients.appender_verdict import (
    MAX_LIES,
    Verdict,
    judge,
    missing_proof,
    pause_s,
    took_nothing,
)
from tlog_clients.log_client import BatchResult, Trust
from tlog_clients.submission import MAX_BATCH_ENTRIES
from tlog_proofs import TlogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tlog_clients.appender_lock import AppenderLock
    from tlog_clients.appender_options import AppenderOptions
    from tlog_clients.appender_sender import Sender
    from tlog_clients.appender_tickets import TicketBook
    from tlog_clients.spool import Batch
    from tlog_clients.spool_thread import SpoolThread
    from tlog_clients.submission import SubmittedBatch

ID_WINDOW_S = 7 * 24 * 3600
"""For so long a log remembers an id at least."""

Argument = TypeVar("Argument")
_CLOCK_SLACK_S = 3600
_LOG = logging.getLogger("tlog_clients.appender")


class Delivery:
    """Sends until it is told to stop; `changed` guards what it tells."""

    def __init__(
        self,
        spool: SpoolThread,
        tickets: TicketBook,
        changed: AppenderLock,
        options: AppenderOptions,
        token_mark: str,
    ) -> None:
        """Bind what it takes from and reports to; token_mark tells the token from others."""
        self._spool = spool
        self._tickets = tickets
        self._changed = changed
        self._options = options
        self._token_mark = token_mark
        self._wake = asyncio.Event()
        self._resume = asyncio.Event()
        # Owned by the loop's task:
        self._limit = MAX_BATCH_ENTRIES
        self._failed_in_a_row = self._lies_in_a_row = 0
        # Guarded by changed:
        self.state = DeliveryState.DELIVERING
        self.reason = ""
        self.stopped_by: TlogError | None = None
        self.delivered_to, _ = spool.spooled_to
        self.committed = self.trusted = self.included = self.batches = self.failures = 0
        self.may_be_duplicate = self.set_aside = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._sets_aside = False
        self._has_one_suspect = False
        self._is_over = False
        self._has_ended = False

    async def run(self, sender: Sender) -> None:
        """Deliver until stop() cancels this."""
        with self._changed:
            if self._is_over:
                return
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task()
        try:
            while True:
                # Cleared before looking: what comes after the look sets it again.
                self._wake.clear()
                try:
                    await self._deliver_next(sender)
                except SpoolError as error:
                    self._spool.fail(error)
                    await self._stop_until_resumed(str(error), error, one=False)
                except Exception as error:  # noqa: BLE001 - told to the owner, who may resume
                    await self._stop_until_resumed(f"internal error: {error!r}", None, one=False)
        finally:
            with self._changed:
                self._loop = None

    def wake(self) -> None:
        """Say that there is something to send; any thread may."""
        with self._changed:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wake.set)

    def resume(self, *, set_aside: bool) -> bool:
        """Go on now, whatever it waits for; False when no one entry is known to set aside.

        Raises:
            AppenderError: an error ended the thread, which nothing can begin again.
        """
        with self._changed:
            if self._has_ended:
                raise AppenderError(f"expected a new appender on the spool, got {self.reason}")
            if set_aside and not self._has_one_suspect:
                return False
            self._sets_aside = set_aside
            self.state, self.reason = DeliveryState.DELIVERING, ""
            self.stopped_by = None
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._resume.set)
        return True

    def stop(self) -> None:
        """End run(); a batch under way stays noted as sent."""
        with self._changed:
            self._is_over = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)

    def fail(self, reason: str, error: TlogError | None = None) -> None:
        """Say that nothing is delivered any more, and why."""
        with self._changed:
            self.stopped_by = error
        self._tell(DeliveryState.STOPPED, reason)
        self._call(self._options.on_stopped, reason)

    async def _deliver_next(self, sender: Sender) -> None:
        batch = await self._begin()
        if batch is None:
            self._tell(DeliveryState.DELIVERING, "")
            await self._wake.wait()
        else:
            await self._send(sender, batch)

    def end(self, reason: str) -> None:
        """Say that run() has ended, and why; nothing, where stop() was called: it had to end."""
        with self._changed:
            self._has_ended = True
            if self._is_over:
                return
        self.fail(reason)

    async def _begin(self) -> Batch | None:
        arguments = (self.delivered_to, self._limit, self._token_mark)
        while True:
            try:
                return await asyncio.wrap_future(
                    self._spool.ask(lambda spool: spool.begin_batch(*arguments))
                )
            except SpoolWriteError as error:
                await self._pause(error)

    async def _send(self, sender: Sender, batch: Batch) -> None:
        is_fresh = batch.tried_s is None
        try:
            sent = await sender.send(batch.entries, batch.ids, is_fresh=is_fresh)
        except TlogError as error:
            with self._changed:
                self.failures += 1
            if took_nothing(error) and (is_fresh or batch.tried_by != self._token_mark):
                await self._unmark(batch)
            await self._after_failure(batch, error)
            return
        missing = missing_proof(sent)
        if missing:
            with self._changed:
                self.failures += 1
            await self._pause(AppenderError(missing))
        else:
            self._after_success(batch, sent)

    def _after_success(self, batch: Batch, sent: BatchResult | SubmittedBatch) -> None:
        doubtful = self._doubtful(batch, sent)
        trust, included = None, False
        if isinstance(sent, BatchResult):
            trust, included = sent.trust, sent.inclusion_verified
        outcomes = [
            Committed(index, leaf_hash, sent.state, index in doubtful, trust, included)
            for index, leaf_hash in zip(sent.indexes, sent.leaf_hashes, strict=True)
        ]
        self._limit = min(MAX_BATCH_ENTRIES, 2 * self._limit)
        self._failed_in_a_row = self._lies_in_a_row = 0
        with self._changed:
            self.delivered_to = batch.end
            self.committed += len(outcomes)
            self.trusted += len(outcomes) if trust is Trust.TRUSTED else 0
            self.included += len(outcomes) if included else 0
            self.batches += 1
            self.may_be_duplicate += len(doubtful)
            self.state, self.reason = DeliveryState.DELIVERING, ""
            self._changed.notify_all()
        self._tickets.settle(batch.first, outcomes)
        if doubtful:
            self._call(self._options.on_possible_duplicates, sorted(doubtful))

    def _doubtful(self, batch: Batch, sent: BatchResult | SubmittedBatch) -> frozenset[int]:
        """The indexes of entries that were added now and may stand already.

        A try before of which nothing is known may have added them, and the log knows their ids only
        for so long, and only those of the same token.
        """
        if batch.tried_s is None:
            return frozenset()
        age_s = time.time() - batch.tried_s
        if (
            batch.tried_by == self._token_mark
            and -_CLOCK_SLACK_S <= age_s < ID_WINDOW_S - _CLOCK_SLACK_S
        ):
            return frozenset()
        if sent.first_index is None:
            # All stood before, or, where publication is pending, nobody says.
            return frozenset() if sent.state == "published" else frozenset(sent.indexes)
        return frozenset(index for index in sent.indexes if index >= sent.first_index)

    async def _after_failure(self, batch: Batch, error: TlogError) -> None:
        verdict = judge(error)
        self._lies_in_a_row = self._lies_in_a_row + 1 if verdict is Verdict.FEW else 0
        if verdict is Verdict.AGAIN or 0 < self._lies_in_a_row <= MAX_LIES:
            await self._pause(error)
        elif verdict is Verdict.SMALLER and len(batch.entries) > 1:
            self._limit = len(batch.entries) // 2
        else:
            one = verdict is Verdict.SMALLER
            which = f"entry {batch.first} (id {batch.ids[0]}) was refused: " if one else ""
            if await self._stop_until_resumed(f"{which}{error}", error, one=one):
                await self._set_aside(batch, str(error))

    async def _pause(self, error: TlogError) -> None:
        self._failed_in_a_row += 1
        self._tell(DeliveryState.WAITING, str(error))
        self._resume.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s(error, self._failed_in_a_row, self._options)):
                await self._resume.wait()

    async def _stop_until_resumed(self, reason: str, error: TlogError | None, *, one: bool) -> bool:
        """Wait for resume(); return whether the one entry is to be set aside."""
        self._resume.clear()
        with self._changed:
            self._has_one_suspect = one
            self._sets_aside = False
        self.fail(reason, error)
        await self._resume.wait()
        self._lies_in_a_row = 0
        with self._changed:
            self._has_one_suspect = False
            return self._sets_aside

    async def _unmark(self, batch: Batch) -> None:
        # Noted as sent it stays on a full disk: only more careful than needed.
        with suppress(SpoolWriteError):
            await asyncio.wrap_future(self._spool.ask(lambda spool: spool.unmark(batch)))

    async def _set_aside(self, batch: Batch, reason: str) -> None:
        try:
            # It is the oldest: those before it were forgotten when the batch was begun.
            await asyncio.wrap_future(self._spool.ask(lambda spool: spool.set_aside(reason)))
        except SpoolWriteError as error:
            await self._pause(error)
            return
        with self._changed:
            self.delivered_to = batch.first + 1
            self.set_aside += 1
            self._changed.notify_all()
        outcome = EntrySetAsideError(f"entry {batch.first} was set aside: {reason}")
        self._tickets.settle(batch.first, [outcome])

    def _tell(self, state: DeliveryState, reason: str) -> None:
        with self._changed:
            self.state, self.reason = state, reason
            self._changed.notify_all()

    def _call(self, callback: Callable[[Argument], None] | None, argument: Argument) -> None:
        if callback is None:
            return
        try:
            callback(argument)
        except Exception:  # noqa: BLE001 - a caller's mistake must not end the delivery
            _LOG.exception("a callback of the appender failed")
