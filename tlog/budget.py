"""One bound on the bytes that wait for a commit, shared by all logs of a server."""

from __future__ import annotations

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
