"""A lock, and futures, that an exception of a signal handler never leaves locked.

`with` over threading.Condition runs Python code between taking the lock and entering the block, and
Python runs signal handlers there: Ctrl-C would leave it locked, and every other thread waiting.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")


class AppenderLock(threading.Condition):
    """A Condition over a re-entrant lock, whose `with` is that of the lock, written in C."""

    def __init__(self) -> None:
        """Make it, unlocked."""
        self._mutex = threading.RLock()
        super().__init__(self._mutex)

    @property
    def __enter__(self) -> Callable[[], bool]:
        """The lock's own."""
        return self._mutex.__enter__

    @property
    def __exit__(self) -> Callable[..., None]:  # noqa: PLE0302, PYI036 - what `with` then calls
        """The lock's own."""
        return self._mutex.__exit__

    def is_mine(self) -> bool:
        """Whether this thread holds it: of a call that a signal handler makes within another."""
        return bool(self._is_owned())  # type: ignore[attr-defined]


class AppenderFuture(Future[Value]):
    """A Future under such a lock, so that Ctrl-C at result() hinders nobody from setting it.

    keep: holds the future while somebody may only wait to be called back.
    """

    def __init__(self, keep: set[Future[Any]]) -> None:
        """Make it, with what it is kept in."""
        super().__init__()
        self._condition = AppenderLock()
        self._keep = keep

    def add_done_callback(self, fn: Callable[[Future[Value]], object]) -> None:
        """Call fn when it is done, as Future.add_done_callback."""
        if not self.done():
            self._keep.add(self)
        super().add_done_callback(fn)
        if self.done():
            self._keep.discard(self)

    def cancel(self) -> bool:
        """Give up waiting, as Future.cancel."""
        self._keep.discard(self)
        return super().cancel()
