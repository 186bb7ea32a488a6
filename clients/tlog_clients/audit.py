"""Auditing a whole log: its tree is rebuilt from the entries and every tile and head compared.

Memory is bounded by a few entry bundles and 255 hashes a level, however long the log is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlog_clients.errors import (
    AuditMismatchError,
    ForkDetectedError,
    HttpStatusError,
    LogMisbehaviourError,
    TrustedHeadChangedError,
)
from tlog_clients.head_state import check_same_root
from tlog_clients.head_store import MemoryHeads
from tlog_clients.tile_fetch import GONE, MAX_CONCURRENT_FETCHES, fetch_bundle, fetch_tile
from tlog_clients.tree_rebuild import TreeRebuild
from tlog_proofs import (
    HASH_SIZE,
    MAX_NOTE_BYTES,
    TILE_WIDTH,
    EntryBundle,
    Genesis,
    MalformedError,
    MissingDependencyError,
    Tile,
    leaf_hash,
    open_checkpoint,
    parse_genesis,
    tile_width,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tlog_clients.fetch import Fetcher
    from tlog_clients.head_store import HeadStore, LogKey
    from tlog_proofs import SignedCheckpoint

Progress = Callable[[int, int], None]
"""Called with the number of entries compared so far and the size of the tree."""

_Stretch = tuple[tuple[bytes, ...], bytes]  # the entries of one bundle, and its tile of level 0


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit compared, and found to be one tree under the signed root."""

    origin: str
    size: int
    root: bytes
    entries: int
    """Entries hashed, `size` of them."""
    tiles: int
    """Tiles of all levels, full and partial, compared hash by hash."""
    trusted_size: int | None
    """Size of the head trusted before, which lies on this tree; None at first use."""
    kind: str | None
    """Kind of the log as its genesis says; None when entry 0 is no genesis of tlog."""
    warnings: tuple[str, ...]


async def audit_log(
    fetcher: Fetcher,
    log_key: LogKey,
    *,
    heads: HeadStore | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Rebuild the whole tree from its entry bundles and compare it with all that the log serves.

    Compared are every leaf, every tile of every level, the signed root, the root of the head
    trusted before, and the genesis entry. Stops at the first difference. A head that passed is
    trusted from then on.

    Args:
        fetcher: the log.
        log_key: the key that signs its checkpoints.
        heads: where the trusted head is kept; without it, none is trusted before.
        progress: called as entries have been compared.

    Raises:
        AuditMismatchError: an entry, tile or root that differs; names it.
        ForkDetectedError: the tree does not contain the head trusted before.
        VerificationError, MalformedError: something served is not what it should be.
        StateFileError: the trusted head cannot be read or kept.
        FetchError: something could not be had.
    """
    store: HeadStore = heads if heads is not None else MemoryHeads()
    trusted = await asyncio.to_thread(store.read, log_key)
    note = await fetcher.fetch("checkpoint", max_bytes=MAX_NOTE_BYTES)
    served = open_checkpoint(note, log_key)
    if trusted is not None and trusted.size == served.size:
        check_same_root(trusted, served)
    # A stale answer is no alarm: then the larger, trusted tree is audited, and must contain it.
    is_stale = trusted is not None and trusted.size > served.size
    newest, older = (trusted, served) if is_stale and trusted is not None else (served, trusted)
    audit = _Audit(fetcher, log_key, newest, older, progress)
    report = await audit.run()
    if trusted is not None and older is not None and audit.older_root != older.root:
        detail = f"the tree of size {newest.size} does not continue the one of size {older.size}"
        raise ForkDetectedError(trusted.note, served.note, detail)
    if (trusted is None or trusted.size < served.size) and not await asyncio.to_thread(
        store.replace, log_key, trusted, served
    ):
        raise TrustedHeadChangedError
    return report


class _Audit:
    """One run over the tree of `newest`, passing the root of `older` on the way."""

    def __init__(
        self,
        fetcher: Fetcher,
        log_key: LogKey,
        newest: SignedCheckpoint,
        older: SignedCheckpoint | None,
        progress: Progress | None,
    ) -> None:
        self._fetcher = fetcher
        self._log_key = log_key
        self._newest = newest
        self._older = older
        self._progress = progress
        self._tree = TreeRebuild()
        self._tiles = 0
        self.older_root: bytes | None = None
        self._kind: str | None = None
        self._warnings: list[str] = []

    async def run(self) -> AuditReport:
        size = self._newest.size
        self._note_older_root(())
        async with aclosing(self._stretches()) as stretches:
            async for entries, tile in stretches:
                await self._compare_stretch(entries, tile)
                if self._progress is not None:
                    self._progress(self._tree.size, size)
        for edge_tile, data in self._tree.right_edge():
            if edge_tile.level > 0:  # level 0 was compared with its bundle
                await self._compare_tile(edge_tile, data)
        if self._tree.root() != self._newest.root:
            detail = f"the signed root of size {size} is not that of the entries"
            raise AuditMismatchError("checkpoint", 0, detail)
        return AuditReport(
            origin=self._newest.origin,
            size=size,
            root=self._newest.root,
            entries=self._tree.size,
            tiles=self._tiles,
            trusted_size=None if self._older is None else self._older.size,
            kind=self._kind,
            warnings=tuple(self._warnings),
        )

    async def _stretches(self) -> AsyncGenerator[_Stretch, None]:
        """Fetch bundles with their tiles in order, a bounded number ahead."""
        count = -(-self._newest.size // TILE_WIDTH)
        pending: deque[asyncio.Task[_Stretch]] = deque()
        next_index = 0
        try:
            while pending or next_index < count:
                while next_index < count and len(pending) < MAX_CONCURRENT_FETCHES:
                    pending.append(asyncio.create_task(self._fetch_stretch(next_index)))
                    next_index += 1
                yield await pending[0]
                pending.popleft()
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _fetch_stretch(self, index: int) -> _Stretch:
        width = tile_width(0, index, self._newest.size)
        bundle, tile = EntryBundle(index, width), Tile(0, index, width)
        with _must_be_served(bundle):
            entries = await fetch_bundle(self._fetcher, bundle)
        with _must_be_served(tile):
            return entries, await fetch_tile(self._fetcher, tile)

    async def _compare_stretch(self, entries: tuple[bytes, ...], tile_data: bytes) -> None:
        start = self._tree.size
        if start == 0:
            self._check_genesis(entries[0])
        hashes = tuple(map(leaf_hash, entries))
        tile = Tile(0, start // TILE_WIDTH, len(entries))
        self._compare(tile, b"".join(hashes), tile_data)
        self._note_older_root(hashes)
        for full_tile, data in self._tree.add(hashes):
            if full_tile.level > 0:
                await self._compare_tile(full_tile, data)

    async def _compare_tile(self, tile: Tile, rebuilt: bytes) -> None:
        with _must_be_served(tile):
            served = await fetch_tile(self._fetcher, tile)
        self._compare(tile, rebuilt, served)

    def _compare(self, tile: Tile, rebuilt: bytes, served: bytes) -> None:
        self._tiles += 1
        if rebuilt == served:
            return
        positions = range(0, len(rebuilt), HASH_SIZE)
        first = next(
            at for at in positions if rebuilt[at : at + HASH_SIZE] != served[at : at + HASH_SIZE]
        )
        position = first // HASH_SIZE
        leaves_below = (tile.end - tile.start) // tile.width
        index = tile.start + position * leaves_below
        detail = f"hash {position} is not that of the entries"
        raise AuditMismatchError(tile.path, index, detail)

    def _note_older_root(self, hashes: tuple[bytes, ...]) -> None:
        """Compute the root at the older head's size when these leaves reach or end it."""
        if self._older is None or self.older_root is not None:
            return
        missing = self._older.size - self._tree.size
        if 0 <= missing <= len(hashes):
            self.older_root = self._tree.root_with(hashes[:missing])

    def _check_genesis(self, entry: bytes) -> None:
        genesis = self._parse_genesis(entry)
        if genesis is None:
            return
        if genesis.origin != self._newest.origin:
            raise LogMisbehaviourError(
                f"entry 0: the genesis is of {genesis.origin}, the checkpoint of "
                f"{self._newest.origin}"
            )
        self._kind = genesis.kind
        if self._log_key.vkey not in genesis.vkeys:
            self._warnings.append("the key is not among those that the genesis (entry 0) records")

    def _parse_genesis(self, entry: bytes) -> Genesis | None:
        try:
            return parse_genesis(entry)
        except MalformedError:
            self._warnings.append("entry 0 is no genesis: the log is not one of tlog")
        except MissingDependencyError as error:
            self._warnings.append(f"the genesis (entry 0) was not read: {error}")
        return None


@contextmanager
def _must_be_served(part: Tile | EntryBundle) -> Iterator[None]:
    """Turn absence and wrong lengths of what the signed size requires into a named difference."""
    try:
        yield
    except MalformedError as error:
        raise AuditMismatchError(part.path, part.start, str(error)) from error
    except HttpStatusError as error:
        if error.status not in GONE:
            raise
        raise AuditMismatchError(part.path, part.start, "the log does not serve it") from error
