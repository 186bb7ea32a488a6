"""Consistency of a log's heads, by proofs made here from tiles that are tied to the larger root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tlog_clients.errors import ConsistencyNotProvedError, HttpStatusError
from tlog_clients.head_state import consistency_sizes
from tlog_clients.tile_fetch import GONE, fetch_verified_tiles
from tlog_proofs import (
    MalformedTileError,
    RootMismatchError,
    prove_consistency,
    tiles_for_consistency,
    verify_consistency,
)

if TYPE_CHECKING:
    from tlog_clients.fetch import Fetcher
    from tlog_clients.tile_cache import TileCache
    from tlog_proofs import SignedCheckpoint


async def fetch_consistency_proof(
    fetcher: Fetcher,
    trusted: SignedCheckpoint | None,
    served: SignedCheckpoint,
    cache: TileCache | None = None,
) -> tuple[bytes, ...]:
    """Make the proof that head_state.advance(trusted, served) wants.

    Raises:
        ConsistencyNotProvedError: the log's tiles are missing or not of the signed tree.
        FetchError: a tile could not be had.
    """
    sizes = consistency_sizes(trusted, served)
    if trusted is None or sizes is None:
        return ()
    larger = max(trusted, served, key=lambda head: head.size)
    try:
        wanted = tiles_for_consistency(*sizes)
        tiles = await fetch_verified_tiles(fetcher, larger, wanted, cache, is_trusted=False)
    except (RootMismatchError, MalformedTileError) as error:
        raise ConsistencyNotProvedError(
            trusted.note, served.note, f"the tiles served are not of the signed tree ({error})"
        ) from error
    except HttpStatusError as error:
        if error.status not in GONE:
            raise
        raise ConsistencyNotProvedError(
            trusted.note, served.note, f"the log does not serve {error.path}"
        ) from error
    return prove_consistency(*sizes, tiles.read_subtree)


async def is_prefix(fetcher: Fetcher, head: SignedCheckpoint, size: int, root: bytes) -> bool:
    """Whether the log's tiles show that its first `size` leaves have that root.

    Requires 1 <= size <= head.size.

    Raises:
        FetchError: a tile could not be had.
    """
    try:
        tiles = await fetch_verified_tiles(fetcher, head, tiles_for_consistency(size, head.size))
        proof = prove_consistency(size, head.size, tiles.read_subtree)
        verify_consistency(size, head.size, proof, root, head.root)
    except (RootMismatchError, MalformedTileError):
        return False
    except HttpStatusError as error:
        if error.status not in GONE:
            raise
        return False
    return True
