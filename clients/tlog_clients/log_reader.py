"""Reading a log and believing nothing: every answer is checked against a signed head.

Proofs are made here, from tiles that were tied to the signed root, so that any log of C2SP
tlog-tiles will do. Every head that comes by is checked for consistency with the one trusted so far.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tlog_clients.errors import (
    BeyondSizeError,
    EntryMismatchError,
    HttpStatusError,
    TrustedHeadChangedError,
)
from tlog_clients.head_proof import fetch_consistency_proof
from tlog_clients.head_state import Step, TrustedHead, advance
from tlog_clients.head_store import MemoryHeads, largest
from tlog_clients.log_trust import LogTrust
from tlog_clients.tile_fetch import ABSENT, fetch_bundle, fetch_verified_tiles
from tlog_proofs import (
    MAX_ENTRY_BYTES,
    MAX_NOTE_BYTES,
    TILE_WIDTH,
    EntryBundle,
    TlogProof,
    leaf_hash,
    prove_inclusion,
    tile_width,
    tiles_for_inclusion,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tlog_clients.fetch import Fetcher
    from tlog_clients.head_store import HeadStore
    from tlog_clients.log_trust import LogKey
    from tlog_clients.tile_cache import TileCache
    from tlog_proofs import SignedCheckpoint, VerifiedTiles

_MAX_RACES = 64  # every race lost is another client's gain: enough for so many at once


class LogReader:
    """Reads one log and verifies every answer."""

    def __init__(
        self,
        fetcher: Fetcher,
        log_key: LogKey | LogTrust,
        heads: HeadStore | None = None,
        cache: TileCache | None = None,
    ) -> None:
        """Bind the log's resources, whom to believe about it, and where the trusted head is kept.

        Without `heads` the trusted head lasts as long as this object, without `cache` no tile does.
        """
        self._cache = cache
        self._accepting = asyncio.Lock()
        # Owned by _accepting: notes of heads that were shown to be of one tree.
        self._one_tree: frozenset[bytes] = frozenset()
        self._fetcher = fetcher
        self._log_trust = LogTrust.of(log_key)
        self._heads: HeadStore = heads if heads is not None else MemoryHeads()

    async def check_head(self) -> TrustedHead:
        """Fetch the checkpoint and return the newest verified head, consistent with all before.

        Raises:
            ForkDetectedError: the log signed two conflicting histories.
            ConsistencyNotProvedError: the log's tiles do not show that its heads are consistent.
            VerificationError, MalformedError: no checkpoint of this log by this key, or QuorumError
                by this policy.
            StateFileError, TrustedHeadChangedError: the trusted head cannot be read or kept.
            FetchError: something could not be had.
        """
        note = await self._fetcher.fetch("checkpoint", max_bytes=MAX_NOTE_BYTES)
        return await self.accept_head(self._log_trust.open_signed(note))

    async def head(self) -> SignedCheckpoint:
        """Return the newest verified head; raises as check_head."""
        return (await self.check_head()).signed

    async def accept_head(self, served: SignedCheckpoint) -> TrustedHead:
        """Check a head that the log signed against those trusted, then its quorum; keep the newer.

        A head that conflicts with a trusted one is a fork whoever cosigned it.

        Raises: as check_head.
        """
        async with self._accepting:  # many at a time would only lose races to each other
            return await self._accept_head(served)

    async def _accept_head(self, served: SignedCheckpoint) -> TrustedHead:
        for _ in range(_MAX_RACES):
            kept = await asyncio.to_thread(self._read_heads)
            decision = await self._compare(served, tuple(kept.values()))
            self._log_trust.check_quorum(served)
            if await asyncio.to_thread(self._keep, kept, served):
                if not self._log_trust.has_quorum(decision.signed):
                    # Kept by a client that asks for no quorum; the served one is of the same tree.
                    return TrustedHead(served, Step.BACKWARD)
                return decision
            # Another client moved a trusted head meanwhile: decide again against that one.
        raise TrustedHeadChangedError

    def _read_heads(self) -> dict[str, SignedCheckpoint]:
        heads = {key.vkey: self._heads.read(key) for key in self._log_trust.keys}
        return {vkey: head for vkey, head in heads.items() if head is not None}

    async def _compare(
        self, served: SignedCheckpoint, kept: Sequence[SignedCheckpoint]
    ) -> TrustedHead:
        """Compare the served head and all that are kept, of several keys, with the largest."""
        trusted = largest(kept)
        decision = await self._advance(trusted, served)
        one_tree = self._one_tree if trusted is None or trusted.note in self._one_tree else ()
        for head in kept:
            if head != trusted and head.note not in one_tree:
                await self._advance(head, decision.signed)
        self._one_tree = frozenset(head.note for head in (served, *kept))
        return decision

    async def _advance(
        self, trusted: SignedCheckpoint | None, served: SignedCheckpoint
    ) -> TrustedHead:
        proof = await fetch_consistency_proof(self._fetcher, trusted, served, self._cache)
        return advance(trusted, served, proof)

    def _keep(self, kept: Mapping[str, SignedCheckpoint], served: SignedCheckpoint) -> bool:
        """Keep a head under each key that signed it; False when another client was faster."""
        for key in self._log_trust.signing_keys(served.note):
            before = kept.get(key.vkey)
            is_newer = before is None or before.size < served.size
            if is_newer and not self._heads.replace(key, before, served):
                return False
        return True

    async def get(self, index: int) -> bytes:
        """Return the bytes of an entry, which are those under the signed root.

        Raises:
            BeyondSizeError: index >= size of the newest verified head.
            EntryMismatchError: other bytes were served.
            RootMismatchError: a tile does not belong to the signed tree.
            TlogError: whatever check_head raises.
        """
        head = await self._head_over(index)
        tiles = await self._tiles_over(head, index)
        entry, where = await self._fetch_entry(index, head.size)
        if leaf_hash(entry) != tiles.leaf_hash(index):
            raise EntryMismatchError(index, where)
        return entry

    async def prove(self, index: int) -> TlogProof:
        """Return a verified tlog-proof of an entry under the newest verified head.

        Raises: as get, but for the entry's bytes, which are not fetched.
        """
        head = await self._head_over(index)
        tiles = await self._tiles_over(head, index)
        path = prove_inclusion(index, head.size, tiles.read_subtree)
        proof = TlogProof(index, path, head.note)
        self._log_trust.verify(proof, tiles.leaf_hash(index))
        return proof

    async def _head_over(self, index: int) -> SignedCheckpoint:
        head = await self.head()
        if not 0 <= index < head.size:
            raise BeyondSizeError(index, head.size)
        return head

    async def _tiles_over(self, head: SignedCheckpoint, index: int) -> VerifiedTiles:
        wanted = tiles_for_inclusion(index, head.size)
        return await fetch_verified_tiles(self._fetcher, head, wanted, self._cache)

    async def _fetch_entry(self, index: int, size: int) -> tuple[bytes, str]:
        path = f"entries/{index}"
        try:
            return await self._fetcher.fetch(path, max_bytes=MAX_ENTRY_BYTES), path
        except HttpStatusError as error:
            if error.status not in ABSENT:
                raise
        # entries/ is ours; every log of C2SP tlog-tiles has bundles.
        bundle_index, position = divmod(index, TILE_WIDTH)
        bundle = EntryBundle(bundle_index, tile_width(0, bundle_index, size))
        return (await fetch_bundle(self._fetcher, bundle))[position], bundle.path
