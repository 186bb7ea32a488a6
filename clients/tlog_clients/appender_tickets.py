"""Tickets: what became of an entry that an Appender took, for callers who want to know.

Whoever drops a ticket, or a future, costs nothing: the book holds them weakly, and strongly only
the futures that are to call somebody back.
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary, ref

from tlog_clients.appender_errors import AppenderClosedError
from tlog_clients.appender_lock import AppenderFuture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tlog_clients.appender_lock import AppenderLock
    from tlog_clients.log_client import Trust
    from tlog_proofs import TlogError

Value = TypeVar("Value")
Waiting = dict[int, set[ref[Future[Value]]]]
"""The futures that wait, by number; the sets lose those that nobody holds any more."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Where an entry stands.

    state: "published"; without a key "committed" when the wait for publication ended first.
    may_be_duplicate: it may also stand elsewhere, because a try before is older than the log
    remembers ids. trust: what became of the signed head that covers it; None without a key.
    inclusion_verified: whether it was found in that head's tree, for which the token must allow
    reading.
    """

    index: int
    leaf_hash: bytes
    state: str
    may_be_duplicate: bool = False
    trust: Trust | None = None
    inclusion_verified: bool = False


class Ticket:
    """One entry that was taken; `number` counts the entries of its spool, in their order."""

    __slots__ = ("__weakref__", "_book", "number", "outcome")

    def __init__(self, number: int, book: TicketBook) -> None:
        """Made by the book."""
        self.number = number
        self.outcome: Committed | TlogError | None = None  # guarded by the book's lock
        self._book = book

    def durable(self) -> Future[None]:
        """A future that is done when the entry is in the spool and outlives the process."""
        return self._book.wait_durable(self)

    def committed(self) -> Future[Committed]:
        """A future that has the entry's place in the log when it stands there.

        It raises EntrySetAsideError, or AppenderClosedError when the appender is closed before.
        asyncio.wrap_future makes it awaitable.
        """
        return self._book.wait_committed(self)


class TicketBook:
    """All tickets that somebody still holds, and the futures that wait; `lock` guards it."""

    def __init__(self, lock: AppenderLock, durable_to: Callable[[], int]) -> None:
        """Bind the lock, and what tells the number after the last durable one under it."""
        self._lock = lock
        self._durable_to = durable_to
        self._tickets: WeakValueDictionary[int, Ticket] = WeakValueDictionary()
        self._durable: Waiting[None] = {}
        self._committed: Waiting[Committed] = {}
        self._kept: set[Future[Any]] = set()
        self._pid = os.getpid()
        self._closed: TlogError | None = None

    def issue(self, number: int) -> Ticket:
        """Return the ticket of a new entry; called with the lock held."""
        ticket = self._tickets[number] = Ticket(number, self)
        return ticket

    def wait_durable(self, ticket: Ticket) -> Future[None]:
        """Return a future, as Ticket.durable says."""
        future: Future[None] = AppenderFuture(self._kept)
        if self._is_forked(future):
            return future
        with self._lock:
            is_durable = ticket.number < self._durable_to()
            if not is_durable and self._closed is None:
                _wait(self._durable, ticket.number, future)
                return future
        _finish(future, None if is_durable else self._closed)
        return future

    def wait_committed(self, ticket: Ticket) -> Future[Committed]:
        """Return a future, as Ticket.committed says."""
        future: Future[Committed] = AppenderFuture(self._kept)
        if self._is_forked(future):
            return future
        with self._lock:
            if ticket.outcome is None:
                _wait(self._committed, ticket.number, future)
                return future
        _finish(future, ticket.outcome)
        return future

    def settle_durable(self, start: int, end: int) -> None:
        """Tell those who wait that the numbers [start, end) are durable."""
        with self._lock:
            waiting = _take(self._durable, range(start, end))
        self._tell(waiting, lambda _: None)

    def settle(self, first: int, outcomes: Sequence[Committed | TlogError]) -> None:
        """Tell those who wait what became of the numbers from `first` on."""
        numbers = range(first, first + len(outcomes))
        with self._lock:
            if self._tickets:
                for number, outcome in zip(numbers, outcomes, strict=True):
                    ticket = self._tickets.get(number)
                    if ticket is not None:
                        ticket.outcome = outcome
            waiting = _take(self._committed, numbers)
        self._tell(waiting, lambda number: outcomes[number - first])

    def close(self, reason: TlogError) -> None:
        """End every wait, and all that come, with a reason."""
        with self._lock:
            self._closed = reason
            for held in self._tickets.valuerefs():
                ticket = held()
                if ticket is not None:
                    ticket.outcome = ticket.outcome or reason
            durable = _take(self._durable, list(self._durable))
            committed = _take(self._committed, list(self._committed))
        self._tell(durable, lambda _: reason)
        self._tell(committed, lambda _: reason)

    def _tell(
        self,
        waiting: Sequence[tuple[int, Future[Value]]],
        outcome_of: Callable[[int], Value | TlogError],
    ) -> None:
        for number, future in waiting:
            _finish(future, outcome_of(number))
            self._kept.discard(future)

    def _is_forked(self, future: Future[Value]) -> bool:
        """Whether no thread is left to set it: it has the error then."""
        is_forked = os.getpid() != self._pid
        if is_forked:
            _finish(future, AppenderClosedError("the process that took the entry was forked"))
        return is_forked


def _wait(waiting: Waiting[Value], number: int, future: Future[Value]) -> None:
    futures = waiting.setdefault(number, set())
    futures.add(ref(future, futures.discard))


def _take(waiting: Waiting[Value], numbers: Sequence[int]) -> list[tuple[int, Future[Value]]]:
    if not waiting:
        return []
    taken = ((number, held()) for number in numbers for held in list(waiting.pop(number, ())))
    return [(number, future) for number, future in taken if future is not None]


def _finish(future: Future[Value], outcome: Value | TlogError) -> None:
    """Set a future, unless its owner gave it up; its callbacks run without the lock."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
