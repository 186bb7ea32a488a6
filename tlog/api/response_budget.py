"""One bound on the bytes of large answers that are read or under way to clients."""

from __future__ import annotations

import asyncio
from collections import deque

from tlog.api.errors import OverloadedError

WAIT_S = 5.0  # for others to be done, before a request is refused


class ResponseBudget:
    """Bytes of large answers that may be held at once; used on the event loop only."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.used_bytes = 0

    async def take(self, count: int) -> ResponseShare:
        """Take count bytes, after those who waited before; OverloadedError after WAIT_S."""
        count = min(count, self._max_bytes)
        if self._waiting or not self._fits(count):
            await self._wait(count)
        else:
            self.used_bytes += count
        return ResponseShare(self, count)

    def give_back(self, count: int) -> None:
        """Release bytes, to those who wait."""
        self.used_bytes -= count
        while self._waiting:
            wanted, granted = self._waiting[0]
            if granted.done():
                self._waiting.popleft()
            elif self._fits(wanted):
                self._waiting.popleft()
                self.used_bytes += wanted
                granted.set_result(None)
            else:
                return

    async def _wait(self, count: int) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, granted))
        try:
            async with asyncio.timeout(WAIT_S):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():
                self.give_back(count)
            else:
                granted.cancel()
                self.give_back(0)  # who waited behind may fit
            if isinstance(error, TimeoutError):
                message = f"{self.used_bytes} bytes of answers are under way to other clients"
                raise OverloadedError(message) from error
            raise

    def _fits(self, count: int) -> bool:
        return self.used_bytes + count <= self._max_bytes


class ResponseShare:
    """What one answer holds of the budget, until `release`."""

    def __init__(self, budget: ResponseBudget, count: int) -> None:
        self._budget = budget
        self._count = count

    def shrink(self, count: int) -> None:
        """Keep count bytes: the answer is no larger."""
        if count < self._count:
            self._budget.give_back(self._count - count)
            self._count = count

    def release(self) -> None:
        """Give everything back; a second call does nothing."""
        self.shrink(0)
