"""One run of an audit: bundles fetched ahead, leaves hashed, every tile compared on the way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING

from tlog_clients.errors import AuditMismatchError, HttpStatusError, LogMisbehaviourError
from tlog_clients.fetch_ahead import fetch_ahead
from tlog_clients.tile_fetch import GONE, fetch_bundle, fetch_tile
from tlog_clients.tree_rebuild import TreeRebuild
from tlog_proofs import (
    HASH_SIZE,
    TILE_WIDTH,
    EntryBundle,
    Genesis,
    MalformedError,
    MissingDependencyError,
    Tile,
    leaf_hash,
    parse_genesis,
    tile_width,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator

    from tlog_clients.audit_progress import AuditProgress
    from tlog_clients.fetch import Fetcher
    from tlog_clients.log_trust import LogTrust
    from tlog_proofs import SignedCheckpoint

Progress = Callable[[int, int], None]
"""Called with the number of entries compared so far and the size of the tree."""

_Stretch = tuple[tuple[bytes, ...], bytes]  # the entries of one bundle, and its tile of level 0


class AuditRun:
    """Rebuilds the tree of `newest`, passing the sizes of other heads on the way."""

    def __init__(
        self,
        fetcher: Fetcher,
        trust: LogTrust,
        newest: SignedCheckpoint,
        sizes: Iterable[int],
    ) -> None:
        """Begin with the first entry; `roots` will hold the roots at `sizes`, up to newest's."""
        self._fetcher = fetcher
        self._trust = trust
        self._newest = newest
        self._to_pass = sorted(sizes, reverse=True)
        self._tree = TreeRebuild()
        self.tiles = 0
        self.roots: dict[int, bytes] = {}
        self.kind: str | None = None
        self.warnings: list[str] = []

    def resume(self, progress: AuditProgress, tree: TreeRebuild) -> None:
        """Go on from progress instead, with the tree that was restored from it."""
        self._tree = tree
        self.kind = progress.kind
        self.warnings = list(progress.warnings)

    @property
    def size(self) -> int:
        """How many entries were compared, those of earlier runs among them."""
        return self._tree.size

    def edge(self) -> tuple[bytes, ...]:
        """The right edge of the tree so far, as AuditProgress has it."""
        return self._tree.edge()

    async def run(self, after_bundle: Callable[[], Awaitable[None]]) -> None:
        """Compare everything; after_bundle is awaited after each bundle.

        Raises: as audit_log.
        """
        self._note_roots(())
        count = -(-self._newest.size // TILE_WIDTH)
        remaining = range(self._tree.size // TILE_WIDTH, count)
        async with aclosing(
            fetch_ahead(remaining, self._fetch_stretch, lambda part: sum(map(len, part[0])))
        ) as stretches:
            async for entries, tile in stretches:
                await self._compare_stretch(entries, tile)
                await after_bundle()
        for edge_tile, data in self._tree.right_edge():
            if edge_tile.level > 0:  # level 0 was compared with its bundle
                await self._compare_tile(edge_tile, data)
        if self._tree.root() != self._newest.root:
            detail = f"the signed root of size {self._newest.size} is not that of the entries"
            raise AuditMismatchError("checkpoint", 0, detail)

    async def _fetch_stretch(self, index: int, max_bytes: int) -> _Stretch:
        width = tile_width(0, index, self._newest.size)
        bundle, tile = EntryBundle(index, width), Tile(0, index, width)
        with _must_be_served(bundle):
            entries = await fetch_bundle(self._fetcher, bundle, max_bytes=max_bytes)
        with _must_be_served(tile):
            return entries, await fetch_tile(self._fetcher, tile)

    async def _compare_stretch(self, entries: tuple[bytes, ...], tile_data: bytes) -> None:
        start = self._tree.size
        if start == 0:
            self._check_genesis(entries[0])
        hashes = tuple(map(leaf_hash, entries))
        tile = Tile(0, start // TILE_WIDTH, len(entries))
        self._compare(tile, b"".join(hashes), tile_data)
        self._note_roots(hashes)
        for full_tile, data in self._tree.add(hashes):
            if full_tile.level > 0:
                await self._compare_tile(full_tile, data)

    async def _compare_tile(self, tile: Tile, rebuilt: bytes) -> None:
        with _must_be_served(tile):
            served = await fetch_tile(self._fetcher, tile)
        self._compare(tile, rebuilt, served)

    def _compare(self, tile: Tile, rebuilt: bytes, served: bytes) -> None:
        self.tiles += 1
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

    def _note_roots(self, hashes: tuple[bytes, ...]) -> None:
        """Compute the roots at those sizes that these leaves reach or end at."""
        while self._to_pass and self._to_pass[-1] - self._tree.size <= len(hashes):
            size = self._to_pass.pop()
            self.roots[size] = self._tree.root_with(hashes[: size - self._tree.size])

    def _check_genesis(self, entry: bytes) -> None:
        genesis = self._parse_genesis(entry)
        if genesis is None:
            return
        if genesis.origin != self._newest.origin:
            raise LogMisbehaviourError(
                f"entry 0: the genesis is of {genesis.origin}, the checkpoint of "
                f"{self._newest.origin}"
            )
        self.kind = genesis.kind
        if not set(self._trust.vkeys) & set(genesis.vkeys):
            self.warnings.append("the key is not among those that the genesis (entry 0) records")

    def _parse_genesis(self, entry: bytes) -> Genesis | None:
        try:
            return parse_genesis(entry)
        except MalformedError:
            self.warnings.append("entry 0 is no genesis: the log is not one of tlog")
        except MissingDependencyError as error:
            self.warnings.append(f"the genesis (entry 0) was not read: {error}")
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
