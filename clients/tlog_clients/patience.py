"""How long following waits: until it is told to end, or nothing new came for too long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar

Stop = Callable[[], bool]
"""Says whether following is to end, as threading.Event.is_set does."""

_ASK_S = 0.2
_ANSWER_S = 1.0  # that an answer may take when the time is over
_Result = TypeVar("_Result")


class Patience:
    """The clock of one follower."""

    def __init__(self, stop: Stop | None, timeout_s: float | None) -> None:
        """Begin to wait for news."""
        self._stop = stop
        self._timeout_s = timeout_s
        self._news_s = time.monotonic()
        self._asked_s = self._news_s

    def ask(self) -> None:
        """Note that the server is asked for news now."""
        self._asked_s = time.monotonic()

    def note_news(self) -> None:
        """Note that there are news, or that the caller is done with them."""
        self._news_s = time.monotonic()

    def is_told_to_end(self) -> bool:
        """Whether `stop` says so."""
        return self._stop is not None and self._stop()

    def is_without_news(self) -> bool:
        """Whether there are none for timeout_s; asked when the server has just said so."""
        return self._timeout_s is not None and time.monotonic() - self._news_s >= self._timeout_s

    async def pause(self, poll_s: float) -> None:
        """Wait until it is poll_s seconds since the last question, or all is over."""
        until_s = self._asked_s + poll_s
        if self._timeout_s is not None:
            until_s = min(until_s, self._news_s + self._timeout_s)
        await self.unless_over(asyncio.sleep(max(0.0, until_s - time.monotonic())))

    async def unless_over(self, work: Coroutine[object, object, _Result]) -> _Result | None:
        """Return what `work` gives; None, and it is cancelled, where it takes too long.

        Raises: whatever work or stop raises.
        """
        if self._stop is None and not self._timeout_s:
            return await work
        task = asyncio.create_task(work)
        try:
            while not task.done():
                if self._is_over():
                    return None
                await asyncio.wait([task], timeout=_ASK_S)
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _is_over(self) -> bool:
        if self.is_told_to_end():
            return True
        # 0 is to end at the newest entry: that must be known first.
        return bool(self._timeout_s) and (
            self.is_without_news() and time.monotonic() >= self._asked_s + _ANSWER_S
        )
