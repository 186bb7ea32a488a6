"""The thread that owns a spool: it writes what callers put, many entries a commit.

Callers never wait for the disk: they put entries into a queue that is bounded in bytes. What needs
the spool, as the delivery, asks this thread.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from tlog_clients.appender_errors import (
    AppenderClosedError,
    BufferFullError,
    SpoolError,
    SpoolWriteError,
)
from tlog_clients.spool import ENTRY_OVERHEAD_BYTES, Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tlog_clients.appender_lock import AppenderLock

Result = TypeVar("Result")

MAX_COMMIT_ENTRIES = 1_000
MAX_COMMIT_BYTES = 4 * 1024 * 1024
_WRITE_AGAIN_S = 0.5


class SpoolThread:
    """Takes entries at once and makes them durable soon.

    `changed` guards every field, and is notified when one of the properties changed.
    """

    def __init__(
        self,
        spool: Spool,
        changed: AppenderLock,
        on_durable: Callable[[int, int], None],
        *,
        max_queue_bytes: int,
        max_spool_bytes: int,
    ) -> None:
        """Bind the spool, whose only user the thread becomes with start().

        Args:
            spool: open; closed by the thread when it ends.
            changed: guards what this object shares with its callers.
            on_durable: called, without the lock, with the numbers [start, end) made durable.
            max_queue_bytes: of entries that are not written yet.
            max_spool_bytes: of all entries, with ENTRY_OVERHEAD_BYTES each.
        """
        self._spool = spool
        self._changed = changed
        self._on_durable = on_durable
        self._max_queue_bytes = max_queue_bytes
        self._max_spool_bytes = max_spool_bytes
        self._thread = threading.Thread(target=self._run, name="tlog-spool", daemon=True)
        # Guarded by changed:
        self.durable_to = spool.state.next
        self.spooled_bytes = spool.state.count_bytes
        self.queued_bytes = 0
        self.failure: SpoolError | None = None
        # By number, from durable_to on without a gap. Each in a tuple of its own: equal entries are
        # told apart.
        self._queue: dict[int, tuple[bytes]] = {}
        self._requests: deque[Callable[[], None]] = deque()
        self._is_closing = False
        self._is_over = False

    @property
    def next_number(self) -> int:
        """The number that the next entry will have."""
        return self.durable_to + len(self._queue)

    @property
    def queued(self) -> int:
        """How many entries are not written yet."""
        return len(self._queue)

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest entry in the spool was written."""
        return self._spool.oldest_ms

    @property
    def spooled_to(self) -> tuple[int, int]:
        """The numbers [first, next) of the entries in the spool."""
        return self._spool.state.first, self._spool.state.next

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, entry: bytes) -> int:
        """Take an entry and return its number; called with `changed` held.

        A signal handler may run, and call this or raise, between any two steps.

        Raises:
            BufferFullError: the queue or the spool is full.
            SpoolError: the spool cannot be written; what was taken before is kept.
        """
        if self.failure is not None:
            raise type(self.failure)(self.failure.path, self.failure.detail)
        count_bytes = len(entry) + ENTRY_OVERHEAD_BYTES
        if self.queued_bytes + count_bytes > self._max_queue_bytes:
            raise BufferFullError(
                f"expected at most {self._max_queue_bytes} bytes not written to the spool yet"
            )
        if self.spooled_bytes + self.queued_bytes + count_bytes > self._max_spool_bytes:
            raise BufferFullError(
                f"expected at most {self._max_spool_bytes} bytes not delivered yet"
            )
        # The thread sees nothing of this before the lock is released: so the one step that takes
        # the entry can be the last.
        self._changed.notify_all()
        self.queued_bytes += count_bytes
        item = (entry,)
        number = self.next_number
        while self._queue.setdefault(number, item) is not item:
            number += 1  # a signal handler's entry came in between
        return number

    def ask(self, work: Callable[[Spool], Result]) -> Future[Result]:
        """Have the thread do something with the spool; any thread may ask.

        The future has what `work` returns or raises, or AppenderClosedError after the end.
        """
        future: Future[Result] = Future()

        def answer() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work(self._spool))
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                future.set_exception(error)

        with self._changed:
            if self._is_over:
                future.set_exception(AppenderClosedError("the appender is closed"))
            else:
                self._requests.append(answer)
                self._changed.notify_all()
        return future

    def fail(self, error: SpoolError) -> None:
        """Refuse entries from now on; after a SpoolWriteError, until one can be written again."""
        with self._changed:
            self.failure = error
            self._changed.notify_all()

    def close(self) -> None:
        """Write what is queued, unless it cannot be, close the spool, and wait for the end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._write_queue()
                self._answer_requests()
        except Exception as error:  # noqa: BLE001 - told to every caller from now on
            self.fail(SpoolError(str(self._spool.path), f"internal error: {error!r}"))
        finally:
            with self._changed:
                self._is_over = True
            self._answer_requests()
            try:
                self._spool.close()
            except SpoolError as error:
                self.fail(error)

    def _wait_for_work(self) -> bool:
        """Wait; False when there is nothing left to do."""
        with self._changed:
            while not self._requests:
                if self._queue and self.failure is None:
                    return True
                if self._is_closing:
                    return False
                # A spool that could not be written is tried again: space may have been made.
                if self._queue and isinstance(self.failure, SpoolWriteError):
                    self._changed.wait(_WRITE_AGAIN_S)
                    return True
                self._changed.wait()
            return True

    def _write_queue(self) -> None:
        with self._changed:
            if self.failure is not None and not isinstance(self.failure, SpoolWriteError):
                return
            end = min(self.next_number, self.durable_to + MAX_COMMIT_ENTRIES)
            entries = [self._queue[number][0] for number in range(self.durable_to, end)]
        count_bytes = 0
        for count, entry in enumerate(entries, 1):
            count_bytes += len(entry) + ENTRY_OVERHEAD_BYTES
            if count_bytes >= MAX_COMMIT_BYTES:
                del entries[count:]
        if not entries:
            return
        try:
            self._spool.write(entries)
        except SpoolError as error:
            self.fail(error)
            return
        with self._changed:
            start = self.durable_to
            for number in range(start, start + len(entries)):
                del self._queue[number]
            self.durable_to += len(entries)
            # An append that a signal handler ended may have counted what it did not take.
            self.queued_bytes = self.queued_bytes - count_bytes if self._queue else 0
            self.spooled_bytes = self._spool.state.count_bytes
            self.failure = None
            self._changed.notify_all()
        self._on_durable(start, start + len(entries))

    def _answer_requests(self) -> None:
        with self._changed:
            requests = list(self._requests)
            self._requests.clear()
        for answer in requests:
            answer()
        if requests:
            with self._changed:
                self.spooled_bytes = self._spool.state.count_bytes
                self._changed.notify_all()
