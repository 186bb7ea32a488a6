"""Fetching parts in order, some ahead of the one in use, in bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from tlog_clients.tile_fetch import MAX_CONCURRENT_FETCHES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

_AHEAD_BYTES = 24 * 1024 * 1024  # of what is fetched ahead of what is in use
_Part = TypeVar("_Part")


async def fetch_ahead(
    indexes: Iterable[int],
    fetch: Callable[[int], Coroutine[object, object, _Part]],
    size_of: Callable[[_Part], int],
) -> AsyncGenerator[_Part, None]:
    """Yield fetch(index) for each index, in order; ahead as far as the size of the last allows.

    Close the generator (contextlib.aclosing): what is under way is then cancelled and waited for.

    Args:
        indexes: what to fetch.
        fetch: gives a part; its first failure ends the generator.
        size_of: the bytes of a part in memory.
    """
    waiting = iter(indexes)
    pending: deque[asyncio.Task[_Part]] = deque()
    ahead = 1
    try:
        while True:
            while len(pending) < ahead and (index := next(waiting, None)) is not None:
                pending.append(asyncio.create_task(fetch(index)))
            if not pending:
                return
            part = await pending[0]
            ahead = max(1, min(_AHEAD_BYTES // (size_of(part) + 1), MAX_CONCURRENT_FETCHES))
            yield part
            pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
