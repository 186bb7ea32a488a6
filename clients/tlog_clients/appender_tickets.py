"""Tickets: what became of an entry that an Appender took, for callers who want to know.

Whoever drops a ticket costs nothing: the book holds tickets weakly, and strongly only what
somebody waits for.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from tlog_proofs import TlogError

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Committed:
    """Where an entry stands.

    state: "published", or "committed" when the wait for publication ended first. may_be_duplicate:
    it may also stand elsewhere, because a try before is older than the log remembers ids.
    """

    index: int
    leaf_hash: bytes
    state: str
    may_be_duplicate: bool = False


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

    def __init__(self, lock: threading.Condition, durable_to: Callable[[], int]) -> None:
        """Bind the lock, and what tells the number after the last durable one under it."""
        self._lock = lock
        self._durable_to = durable_to
        self._tickets: WeakValueDictionary[int, Ticket] = WeakValueDictionary()
        self._durable: dict[int, list[Future[None]]] = {}
        self._committed: dict[int, list[Future[Committed]]] = {}
        self._closed: TlogError | None = None

    def issue(self, number: int) -> Ticket:
        """Return the ticket of a new entry; called with the lock held."""
        ticket = self._tickets[number] = Ticket(number, self)
        return ticket

    def wait_durable(self, ticket: Ticket) -> Future[None]:
        """Return a future, as Ticket.durable says."""
        future: Future[None] = Future()
        with self._lock:
            is_durable = ticket.number < self._durable_to()
            if not is_durable and self._closed is None:
                self._durable.setdefault(ticket.number, []).append(future)
                return future
        _finish(future, None if is_durable else self._closed)
        return future

    def wait_committed(self, ticket: Ticket) -> Future[Committed]:
        """Return a future, as Ticket.committed says."""
        future: Future[Committed] = Future()
        with self._lock:
            if ticket.outcome is None:
                self._committed.setdefault(ticket.number, []).append(future)
                return future
        _finish(future, ticket.outcome)
        return future

    def settle_durable(self, start: int, end: int) -> None:
        """Tell those who wait that the numbers [start, end) are durable."""
        with self._lock:
            waiting = _take(self._durable, range(start, end))
        for _, future in waiting:
            _finish(future, None)

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
        for number, future in waiting:
            _finish(future, outcomes[number - first])

    def close(self, reason: TlogError) -> None:
        """End every wait, and all that come, with a reason."""
        with self._lock:
            self._closed = reason
            for ticket in list(self._tickets.values()):
                ticket.outcome = ticket.outcome or reason
            durable = _take(self._durable, list(self._durable))
            committed = _take(self._committed, list(self._committed))
        for _, future in durable:
            _finish(future, reason)
        for _, place in committed:
            _finish(place, reason)


def _take(
    waiting: dict[int, list[Future[Value]]], numbers: Sequence[int]
) -> list[tuple[int, Future[Value]]]:
    if not waiting:
        return []
    return [(number, future) for number in numbers for future in waiting.pop(number, ())]


def _finish(future: Future[Value], outcome: Value | TlogError) -> None:
    """Set a future, unless its owner gave it up; its callbacks run without the lock."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
