"""Appending in the background: never waiting, kept on disk, delivered in order and once.

    with Appender(url, trust=vkey, token=token, spool="audit.spool") as appender:
        appender.append(b"an entry")

One thread writes entries to the spool, many a commit; another sends them to the log, up to 1,000 a
request, each with the id that it was given in the spool, and forgets them when the log has them.
docs/appender.md says what happens when the log is away, refuses, or lies, and when a process dies.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tlog_clients.appender_delivery import Delivery
from tlog_clients.appender_errors import (
    AppenderClosedError,
    AppenderError,
    BufferFullError,
    SpoolWriteError,
)
from tlog_clients.appender_lock import AppenderLock
from tlog_clients.appender_options import AppenderOptions
from tlog_clients.appender_sender import make_sender, token_mark
from tlog_clients.appender_stats import AppenderStats, DeliveryState
from tlog_clients.appender_tickets import Committed, Ticket, TicketBook
from tlog_clients.fetch import HttpFetcher
from tlog_clients.file_threads import FileThreads
from tlog_clients.head_file import HeadFile
from tlog_clients.log_trust import LogTrust
from tlog_clients.retry import Retries, RetryPolicy
from tlog_clients.spool import Spool
from tlog_clients.spool_thread import SpoolThread
from tlog_clients.submission import EntryTooLargeError
from tlog_proofs import MAX_ENTRY_BYTES

if TYPE_CHECKING:
    from tlog_clients.log_trust import TrustSource
    from tlog_proofs import TlogError

_READ_AGAIN_FOR_S = 5.0
_FILE_THREADS = 2  # for the trusted head


class Appender:
    """Takes entries at once, from any thread or coroutine, and delivers them in the background."""

    def __init__(
        self,
        url: str,
        *,
        trust: TrustSource | LogTrust | None,
        spool: str | os.PathLike[str],
        token: str | None = None,
        options: AppenderOptions | None = None,
    ) -> None:
        """Open the spool, and begin to deliver what is in it.

        Args:
            url: the log's address, http(s)://HOST/logs/NAME.
            trust: whom to believe, as LogTrust.of, by which every answer is verified; None: the
                server's word that it committed the bytes that were sent.
            spool: the spool's file, made when it is absent; for one appender at a time.
            token: sent as Authorization: Bearer; needs the scope append.
            options: bounds, pauses, and whom to tell.

        Raises:
            SpoolLockedError: another appender has the spool open.
            SpoolDamagedError, SpoolError: the spool cannot be used, or is another log's.
            MalformedError, UnknownKeyError: url, trust or token is malformed or does not fit.
            OSError: a policy file cannot be read.
        """
        self._options = options or AppenderOptions()
        self._http = HttpFetcher(
            url,
            token=token,
            timeout_s=self._options.timeout_s,
            retries=Retries(RetryPolicy(_READ_AGAIN_FOR_S)),
            ssl=self._options.ssl,
        )
        self._trust = None if trust is None else LogTrust.of(trust)
        log = self._http.url if self._trust is None else self._trust.origin
        opened = Spool(spool, log)
        self._path = opened.path
        self._set_aside_before = opened.count_set_aside()
        self._first = opened.state.next
        self._pid = os.getpid()
        # Guards what the threads share; notified at every change.
        self._changed = AppenderLock()
        self._is_closed = False
        self._refused = 0
        self._spool = SpoolThread(
            opened,
            self._changed,
            self._on_durable,
            max_queue_bytes=self._options.max_queue_bytes,
            max_spool_bytes=self._options.max_spool_bytes,
        )
        self._tickets = TicketBook(self._changed, lambda: self._spool.durable_to)
        mark = token_mark(token)
        self._delivery = Delivery(self._spool, self._tickets, self._changed, self._options, mark)
        self._thread = threading.Thread(target=self._deliver, name="tlog-appender", daemon=True)
        self._spool.start()
        self._thread.start()
        atexit.register(self._at_exit)

    @property
    def stopped_by(self) -> TlogError | None:
        """What stopped the delivery: of a fork, ForkDetectedError has both signed heads."""
        return self._delivery.stopped_by

    def append(self, entry: bytes) -> Ticket:
        """Take an entry, without waiting for the disk or the log.

        Args:
            entry: 0 to 65,535 bytes.

        Raises:
            BufferFullError: no room; the entry was not taken.
            EntryTooLargeError: over 65,535 bytes; it was not taken.
            SpoolError: the spool cannot be written or is damaged; it was not taken.
            AppenderClosedError: the appender is closed, or this process was forked.
        """
        size = memoryview(entry).nbytes  # of a memoryview, len() counts items
        if size > MAX_ENTRY_BYTES:
            raise EntryTooLargeError(
                f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, got {size}"
            )
        self._check_process()
        with self._changed:
            if self._is_closed:
                raise AppenderClosedError("the appender is closed")
            try:
                number = self._spool.put(bytes(entry))
            except BufferFullError:
                self._refused += 1
                raise
            return self._tickets.issue(number)

    async def durable(self, ticket: Ticket) -> None:
        """Wait until the entry is in the spool and outlives the process; as Ticket.durable."""
        await asyncio.wrap_future(ticket.durable())

    async def committed(self, ticket: Ticket) -> Committed:
        """Wait until the entry stands in the log; as Ticket.committed."""
        return await asyncio.wrap_future(ticket.committed())

    def flush(self, timeout_s: float | None = None) -> int:
        """Wait until what was appended before stands in the log.

        Returns:
            how many entries are left: 0, unless the time was over, or the delivery has stopped.

        Raises:
            AppenderClosedError: this process was forked.
        """
        self._check_process()
        with self._changed:
            end = self._spool.next_number
            self._changed.wait_for(lambda: self._is_settled(end), timeout_s)
            return max(0, end - self._delivery.delivered_to)

    def resume(self, *, set_aside: bool = False) -> None:
        """Go on at once after the delivery stopped, or while it waits.

        Args:
            set_aside: whether to move the one entry that was refused into the spool's table
                set_aside first; its ticket then raises EntrySetAsideError.

        Raises:
            AppenderError: the delivery did not stop because of one entry.
            AppenderClosedError: this process was forked.
        """
        self._check_process()
        if not self._delivery.resume(set_aside=set_aside):
            raise AppenderError("expected a delivery stopped by one entry, to set that aside")

    def stats(self) -> AppenderStats:
        """Return counts and what is held now.

        Raises:
            AppenderClosedError: this process was forked.
        """
        self._check_process()
        with self._changed:
            spool, delivery = self._spool, self._delivery
            left = spool.durable_to - delivery.delivered_to
            oldest_ms = spool.oldest_ms if left else None
            return AppenderStats(
                state=DeliveryState.CLOSED if self._is_closed else delivery.state,
                reason=str(spool.failure or delivery.reason),
                appended=spool.next_number - self._first,
                refused=self._refused,
                committed=delivery.committed,
                trusted=delivery.trusted,
                included=delivery.included,
                batches=delivery.batches,
                failures=delivery.failures,
                may_be_duplicate=delivery.may_be_duplicate,
                set_aside=self._set_aside_before + delivery.set_aside,
                queued=spool.queued,
                queued_bytes=spool.queued_bytes,
                spooled=left,
                spooled_bytes=spool.spooled_bytes if left else 0,
                oldest_age_s=0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000),
            )

    def close(self, timeout_s: float | None = 10.0) -> int:
        """Take no more entries, wait for the delivery of those taken, and close the spool.

        Args:
            timeout_s: how long to wait; 0 not at all, None for ever. What was taken is written to
                the spool in any case.

        Returns:
            how many entries are left in the spool, for the next appender on it.

        Raises:
            SpoolWriteError: entries that were taken could not be written, and are lost.
            AppenderClosedError: this process was forked.
            AppenderError: called by a signal handler within another call of the appender, whose
                lock it holds; let the handler raise, and close after that.
        """
        self._check_process()
        if self._changed.is_mine():
            raise AppenderError("expected close() outside another call of the appender")
        with self._changed:
            if not self._is_closed:
                self._is_closed = True
                end = self._spool.next_number
                self._changed.wait_for(lambda: self._is_settled(end), timeout_s)
        self._delivery.stop()
        self._thread.join()
        self._spool.ask(lambda spool: spool.forget(self._delivery.delivered_to))
        self._spool.close()
        atexit.unregister(self._at_exit)
        self._tickets.close(AppenderClosedError("closed before the log had the entry"))
        with self._changed:
            if self._spool.queued:
                message = f"{self._spool.queued} entries could not be written and are lost"
                raise SpoolWriteError(str(self._path), message) from self._spool.failure
            return self._spool.durable_to - self._delivery.delivered_to

    def __enter__(self) -> Self:
        """Return the appender."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it, with the default timeout."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the appender."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it, with the default timeout, without blocking the loop."""
        await asyncio.to_thread(self.close)

    def _is_settled(self, end: int) -> bool:
        """Whether what stands before `end` is delivered, or will not be without help."""
        failure = self._spool.failure
        if failure is not None and not isinstance(failure, SpoolWriteError):
            return True
        is_stopped = self._delivery.state is DeliveryState.STOPPED
        return self._delivery.delivered_to >= end or (is_stopped and self._spool.durable_to >= end)

    def _on_durable(self, start: int, end: int) -> None:
        self._delivery.wake()
        self._tickets.settle_durable(start, end)

    def _deliver(self) -> None:
        try:
            with suppress(asyncio.CancelledError):
                asyncio.run(self._send_all())
        except Exception as error:  # noqa: BLE001 - told to the owner; the spool has everything
            self._delivery.end(f"internal error: {error!r}")

    async def _send_all(self) -> None:
        asyncio.get_running_loop().set_default_executor(FileThreads(_FILE_THREADS))
        async with self._http as http:
            file = self._path.with_name(self._path.name + ".heads")
            heads = self._options.heads or HeadFile(file)
            await self._delivery.run(make_sender(http, self._trust, heads))

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise AppenderClosedError(
                "expected the process that made the appender: make it after the fork"
            )

    def _at_exit(self) -> None:
        if os.getpid() == self._pid:
            self.close(0)
