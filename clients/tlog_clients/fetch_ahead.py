"""Fetching parts in order, some ahead of the one in use, in bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from tlog_clients.errors import TooLargeError
from tlog_clients.tile_fetch import MAX_CONCURRENT_FETCHES
from tlog_proofs import MAX_BUNDLE_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable

_AHEAD_BYTES = 24 * 1024 * 1024  # of what is fetched ahead of what is in use
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class _Pending(Generic[_Part]):
    index: int
    max_bytes: int
    task: asyncio.Task[_Part]


async def fetch_ahead(
    indexes: Iterable[int],
    fetch: Callable[[int, int], Coroutine[object, object, _Part]],
    size_of: Callable[[_Part], int],
) -> AsyncGenerator[_Part, None]:
    """Yield the part of each index, in order; ahead as far as the size of the last allows.

    What is ahead of the part in use is 24 MiB at most, whatever comes: a part that is larger than
    its share of them is fetched again when its turn has come.

    Close the generator (contextlib.aclosing): what is under way is then cancelled and waited for.

    Args:
        indexes: what to fetch.
        fetch: gives the part of an index, or TooLargeError if it is longer than so many bytes,
            MAX_BUNDLE_BYTES at most; any other failure ends the generator.
        size_of: the bytes of a part in memory.
    """
    waiting = iter(indexes)
    pending: deque[_Pending[_Part]] = deque()
    ahead = 1
    try:
        while True:
            share = min(_AHEAD_BYTES // ahead, MAX_BUNDLE_BYTES)
            while len(pending) < ahead and _bytes_ahead(pending) + share <= _AHEAD_BYTES:
                index = next(waiting, None)
                if index is None:
                    break
                task = asyncio.create_task(fetch(index, share))
                pending.append(_Pending(index, share, task))
            if not pending:
                return
            first = pending[0]
            try:
                part = await first.task
            except TooLargeError:
                if first.max_bytes == MAX_BUNDLE_BYTES:
                    raise
                part = await fetch(first.index, MAX_BUNDLE_BYTES)
            ahead = max(1, min(_AHEAD_BYTES // (size_of(part) + 1), MAX_CONCURRENT_FETCHES))
            yield part
            pending.popleft()
    finally:
        for unused in pending:
            unused.task.cancel()
        await asyncio.gather(*(unused.task for unused in pending), return_exceptions=True)


def _bytes_ahead(pending: Iterable[_Pending[_Part]]) -> int:
    """Return what those behind the first may come to."""
    return sum(part.max_bytes for part in islice(pending, 1, None))
