"""Fetching tiles and entry bundles: concurrently, bounded, partial or full as the log has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tlog_clients.errors import HttpStatusError
from tlog_proofs import (
    HASH_SIZE,
    MAX_BUNDLE_BYTES,
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    EntryBundle,
    RootMismatchError,
    Tile,
    VerifiedTiles,
    check_tile,
    parse_entry_bundle,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tlog_clients.fetch import Fetcher
    from tlog_clients.tile_cache import TileCache
    from tlog_proofs import SignedCheckpoint

MAX_CONCURRENT_FETCHES = 8
_LENGTH_PREFIX_BYTES = 2
GONE = frozenset({404, 410})
# Object stores answer 403 for what does not exist to callers who may not list.
ABSENT = GONE | {403}


async def fetch_tile(fetcher: Fetcher, tile: Tile) -> bytes:
    """Return the bytes of a tile that a verified tree size requires; not yet verified themselves.

    A log may drop a partial tile once the full one exists: then the full one is cut.

    Raises:
        MalformedTileError: the length is not that of the tile.
        FetchError: neither form could be had.
    Source: C2SP tlog-tiles, section "Partial tiles".
    """
    try:
        data = await fetcher.fetch(tile.path, max_bytes=HASH_SIZE * tile.width)
    except HttpStatusError as absent:
        if tile.is_full or absent.status not in ABSENT:
            raise
        full = Tile(tile.level, tile.index)
        data = await _fetch_instead(fetcher, full, absent, HASH_SIZE * TILE_WIDTH)
        data = data[: HASH_SIZE * tile.width]
    check_tile(tile, data)
    return data


async def fetch_bundle(
    fetcher: Fetcher, bundle: EntryBundle, *, max_bytes: int = MAX_BUNDLE_BYTES
) -> tuple[bytes, ...]:
    """Return the entries of a bundle that a verified tree size requires; not yet verified.

    Raises:
        MalformedTileError: not exactly `bundle.width` entries.
        TooLargeError: it is longer than max_bytes, or than its width allows.
        FetchError: neither the partial nor the full bundle could be had.
    Source: C2SP tlog-tiles, section "Log entries".
    """
    try:
        bound = min(max_bytes, _max_bundle_bytes(bundle.width))
        data = await fetcher.fetch(bundle.path, max_bytes=bound)
    except HttpStatusError as absent:
        if bundle.width == TILE_WIDTH or absent.status not in ABSENT:
            raise
        data = await _fetch_instead(fetcher, EntryBundle(bundle.index), absent, max_bytes)
        return parse_entry_bundle(data, TILE_WIDTH)[: bundle.width]
    return parse_entry_bundle(data, bundle.width)


async def fetch_verified_tiles(
    fetcher: Fetcher,
    head: SignedCheckpoint,
    tiles: Sequence[Tile],
    cache: TileCache | None = None,
    *,
    is_trusted: bool = True,
) -> VerifiedTiles:
    """Fetch tiles of the tree of a verified head and tie every hash of them to its root.

    Args:
        fetcher: the log.
        head: whose signature has been verified.
        tiles: as tiles_for_inclusion, tiles_for_consistency or tiles_for_leaves name them.
        cache: where full tiles are looked for first, and kept once they are verified.
        is_trusted: whether the head is known to continue those before; only then they are kept.

    Raises:
        RootMismatchError: a hash of a tile is not that of the signed tree.
        MalformedTileError: a tile has another length.
        FetchError: a tile could not be had.
    """
    if cache is None:
        return VerifiedTiles(head.size, head.root, await _fetch_tiles(fetcher, tiles))
    cached = await _read_cached(cache, head.origin, tiles)
    fetched = await _fetch_tiles(fetcher, [tile for tile in tiles if tile not in cached])
    try:
        verified = VerifiedTiles(head.size, head.root, {**cached, **fetched})
    except RootMismatchError:
        if not cached:
            raise
        # Perhaps the cache is damaged: only what the log serves can be held against it.
        fetched |= await _fetch_tiles(fetcher, list(cached))
        verified = VerifiedTiles(head.size, head.root, fetched)
    if is_trusted:
        await cache.write(head.origin, fetched)
    return verified


async def _read_cached(cache: TileCache, origin: str, tiles: Sequence[Tile]) -> dict[Tile, bytes]:
    return {
        part: data
        for part, data in (await cache.read(origin, tiles)).items()
        if isinstance(part, Tile) and len(data) == HASH_SIZE * part.width
    }


async def _fetch_tiles(fetcher: Fetcher, tiles: Sequence[Tile]) -> dict[Tile, bytes]:
    limit = asyncio.Semaphore(MAX_CONCURRENT_FETCHES)

    async def fetch_one(tile: Tile) -> bytes:
        async with limit:
            return await fetch_tile(fetcher, tile)

    tasks = [asyncio.ensure_future(fetch_one(tile)) for tile in tiles]
    try:
        data = await asyncio.gather(*tasks)
    finally:
        await cancel_all(tasks)
    return dict(zip(tiles, data, strict=True))


async def cancel_all(tasks: Sequence[asyncio.Future[bytes]]) -> None:
    """Cancel what still runs and wait until it has ended, so that no failure goes unseen."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _fetch_instead(
    fetcher: Fetcher, full: Tile | EntryBundle, absent: HttpStatusError, max_bytes: int
) -> bytes:
    try:
        return await fetcher.fetch(full.path, max_bytes=max_bytes)
    except HttpStatusError as also_absent:
        if also_absent.status in ABSENT:
            raise absent from None  # the resource that the tree size names
        raise


def _max_bundle_bytes(width: int) -> int:
    return width * (_LENGTH_PREFIX_BYTES + MAX_ENTRY_BYTES)
