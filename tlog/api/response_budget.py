"""One bound on the bytes of large answers that are read or under way, half of it for an address."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from tlog.api.errors import OverloadedError

WAIT_S = 5.0  # for others to be done, before a request is refused


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    count: int
    address: str
    granted: asyncio.Future[None]


class ResponseBudget:
    """Bytes of large answers that may be held at once; used on the event loop only."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: list[_Wish] = []
        self._held: Counter[str] = Counter()
        self.used_bytes = 0

    async def take(self, count: int, address: str) -> ResponseShare:
        """Take count bytes, after those who waited before; OverloadedError after WAIT_S.

        More than an address may hold counts as all of it.
        """
        count = min(count, self._max_bytes // 2)
        wish = _Wish(count, address, asyncio.get_running_loop().create_future())
        self._waiting.append(wish)
        self._grant()
        if not wish.granted.done():
            await self._wait(wish)
        return ResponseShare(self, count, address)

    def give_back(self, count: int, address: str) -> None:
        """Release bytes, to those who wait."""
        self.used_bytes -= count
        self._held[address] -= count
        if not self._held[address]:
            del self._held[address]
        self._grant()

    async def _wait(self, wish: _Wish) -> None:
        try:
            async with asyncio.timeout(WAIT_S):
                await wish.granted
        except BaseException as error:
            if wish in self._waiting:
                self._waiting.remove(wish)
                self._grant()  # who waited behind may fit
            else:
                self.give_back(wish.count, wish.address)
            if isinstance(error, TimeoutError):
                message = f"{self.used_bytes} bytes of answers are under way already"
                raise OverloadedError(message) from error
            raise

    def _grant(self) -> None:
        """Grant wishes in their order; an address that holds its half lets others pass."""
        kept: list[_Wish] = []
        full: set[str] = set()
        for number, wish in enumerate(self._waiting):
            if self.used_bytes + wish.count > self._max_bytes:
                kept += self._waiting[number:]
                break
            if self._held[wish.address] + wish.count > self._max_bytes // 2:
                full.add(wish.address)
            if wish.address in full:
                kept.append(wish)
                continue
            self.used_bytes += wish.count
            self._held[wish.address] += wish.count
            if not wish.granted.done():
                wish.granted.set_result(None)
        self._waiting = kept


class ResponseShare:
    """What one answer holds of the budget, until `release`."""

    def __init__(self, budget: ResponseBudget, count: int, address: str) -> None:
        self._budget = budget
        self._count = count
        self._address = address

    def shrink(self, count: int) -> None:
        """Keep count bytes: the answer is no larger."""
        if count < self._count:
            self._budget.give_back(self._count - count, self._address)
            self._count = count

    def release(self) -> None:
        """Give everything back; a second call does nothing."""
        self.shrink(0)
