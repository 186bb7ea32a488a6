"""One bound on the bytes that wait for a commit, shared by all logs of a server."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tlog.errors import QueueFullError

RETRY_AFTER_S = 1


class QueueBudget:
    """Bytes of entries that may wait at once; used on the event loop only."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.used_bytes = 0

    def take(self, count: int) -> None:
        """Reserve count bytes, or raise QueueFullError."""
        if self.used_bytes + count > self._max_bytes:
            message = f"the queue is full: {self.used_bytes} of {self._max_bytes} bytes wait"
            raise QueueFullError(message, RETRY_AFTER_S)
        self.used_bytes += count

    def give_back(self, count: int) -> None:
        """Release what was taken."""
        self.used_bytes -= count


class Reservation:
    """A part of the budget for what arrives bit by bit; given back at the end of its block."""

    def __init__(self, budget: QueueBudget) -> None:
        self._budget = budget
        self._taken = 0

    def grow(self, count: int) -> None:
        """Reserve count bytes more, or raise QueueFullError."""
        self._budget.take(count)
        self._taken += count

    def release(self) -> None:
        """Give everything back; a second call does nothing."""
        self._budget.give_back(self._taken)
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
