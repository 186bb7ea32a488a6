"""Reading many entries: whole bundles, fetched ahead, every entry compared with its leaf hash."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from tlog_clients.errors import EntryMismatchError, HttpStatusError, TooLargeError
from tlog_clients.fetch_ahead import fetch_ahead
from tlog_clients.tile_fetch import ABSENT, fetch_bundle, fetch_verified_tiles
from tlog_proofs import (
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    EntryBundle,
    MalformedTileError,
    format_entry_bundle,
    leaf_hash,
    parse_entry_bundle,
    tile_width,
    tiles_for_leaves,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tlog_clients.fetch import Fetcher
    from tlog_clients.tile_cache import TileCache
    from tlog_proofs import SignedCheckpoint, VerifiedTiles

Stretch = tuple[int, tuple[bytes, ...]]
"""The index of the first of some consecutive entries, and the entries."""

_FEW = 4  # entries that cost less alone than in a bundle, as those that a follower finds
_LEAVES_AT_ONCE = 64 * TILE_WIDTH  # whose tiles, 512 KiB, are verified and held together


class EntryRange:
    """Reads entries of the tree of one verified head."""

    def __init__(
        self,
        fetcher: Fetcher,
        head: SignedCheckpoint,
        cache: TileCache | None = None,
        *,
        has_entries: bool = False,
    ) -> None:
        """Bind the log and the head, which is trusted.

        `has_entries` says that the log may serve entries/INDEX, as tlog does: a few are then read
        without their bundle.
        """
        self._has_entries = has_entries
        self._fetcher = fetcher
        self._head = head
        self._cache = cache

    async def stretches(self, start: int, end: int) -> AsyncGenerator[Stretch, None]:
        """Yield the entries [start, end) in order, at most 256 at a time.

        Requires 0 <= start <= end <= head.size. Memory: 24 MiB of entries fetched ahead
        of those yielded, which are 16 MiB at most.

        Raises:
            EntryMismatchError: other bytes were served.
            RootMismatchError: a tile does not belong to the signed tree.
            MalformedTileError: a tile or bundle has another length.
            FetchError: something could not be had.
        """
        while start < end:
            stop = min(end, start - start % TILE_WIDTH + _LEAVES_AT_ONCE)
            wanted = tiles_for_leaves(start, stop, self._head.size)
            tiles = await fetch_verified_tiles(self._fetcher, self._head, wanted, self._cache)

            async def fetch_one(
                index: int,
                max_bytes: int,
                start: int = start,
                stop: int = stop,
                tiles: VerifiedTiles = tiles,
            ) -> Stretch:
                bundle = EntryBundle(index, tile_width(0, index, self._head.size))
                first, last = max(bundle.start, start), min(bundle.end, stop)
                few = await self._fetch_few(bundle, range(first, last), tiles)
                if few is not None:
                    return first, few
                entries = await self._fetch_entries(bundle, tiles, max_bytes)
                return first, entries[first - bundle.start : last - bundle.start]

            bundles = range(start // TILE_WIDTH, -(-stop // TILE_WIDTH))
            async with aclosing(fetch_ahead(bundles, fetch_one, _size)) as stretches:
                async for stretch in stretches:
                    yield stretch
            start = stop

    async def _fetch_few(
        self, bundle: EntryBundle, indexes: range, tiles: VerifiedTiles
    ) -> tuple[bytes, ...] | None:
        """Return these entries, each read alone; None where that is not to be had."""
        if not self._has_entries or len(indexes) > _FEW or self._is_kept(bundle):
            return None
        entries = []
        for index in indexes:
            path = f"entries/{index}"
            try:
                entry = await self._fetcher.fetch(path, max_bytes=MAX_ENTRY_BYTES)
            except HttpStatusError as error:
                if error.status not in ABSENT:
                    raise
                self._has_entries = False
                return None
            if leaf_hash(entry) != tiles.leaf_hash(index):
                raise EntryMismatchError(index, path)
            entries.append(entry)
        return tuple(entries)

    def _is_kept(self, bundle: EntryBundle) -> bool:
        keeps_entries = self._cache is not None and self._cache.keep_entries
        return keeps_entries and bundle.width == TILE_WIDTH

    async def _fetch_entries(
        self, bundle: EntryBundle, tiles: VerifiedTiles, max_bytes: int
    ) -> tuple[bytes, ...]:
        if self._cache is None:
            entries = await fetch_bundle(self._fetcher, bundle, max_bytes=max_bytes)
            _check_entries(bundle, entries, tiles)
            return entries
        origin = self._head.origin
        for data in (await self._cache.read(origin, [bundle])).values():
            if len(data) > max_bytes:
                raise TooLargeError(bundle.path, max_bytes)
            try:
                entries = parse_entry_bundle(data, bundle.width)
                _check_entries(bundle, entries, tiles)
            except (MalformedTileError, EntryMismatchError):
                continue  # the cache is damaged: what the log serves is kept in its place
            return entries
        entries = await fetch_bundle(self._fetcher, bundle, max_bytes=max_bytes)
        _check_entries(bundle, entries, tiles)
        if self._cache.keep_entries:
            await self._cache.write(origin, {bundle: format_entry_bundle(entries)})
        return entries


def _check_entries(bundle: EntryBundle, entries: Sequence[bytes], tiles: VerifiedTiles) -> None:
    for index, entry in enumerate(entries, bundle.start):
        if leaf_hash(entry) != tiles.leaf_hash(index):
            raise EntryMismatchError(index, bundle.path)


def _size(stretch: Stretch) -> int:
    return sum(map(len, stretch[1]))
