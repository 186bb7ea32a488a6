"""Appending to a log and verifying what became of the entries."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from tlog_clients.errors import EntryMismatchError, FetchError, LogMisbehaviourError
from tlog_clients.fetch import Fetcher, Poster
from tlog_clients.log_reader import LogReader
from tlog_clients.retry import Retries
from tlog_clients.submission import submit_batch, submit_entry
from tlog_clients.tile_fetch import fetch_verified_tiles
from tlog_proofs import (
    QuorumError,
    TlogError,
    TlogProof,
    parse_tlog_proof,
    tiles_for_leaves,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tlog_clients.head_store import HeadStore
    from tlog_clients.log_trust import LogKey, LogTrust
    from tlog_clients.tile_cache import TileCache
    from tlog_proofs import SignedCheckpoint, Tile


class LogAccess(Fetcher, Poster, Protocol):
    """What an appending client needs of the outside world; HttpFetcher is one."""


class Trust(StrEnum):
    """What became of the head that came with an append."""

    TRUSTED = "trusted"
    """Consistent with the head trusted before, or the first of its log."""
    REPORTED = "reported"
    """Signed by the log, but its consistency could not be read, or its quorum is not met yet."""
    PENDING = "pending"
    """No head came: the wait for publication ended first."""


@dataclass(frozen=True, slots=True)
class AppendResult:
    """An appended entry: `proof` and `head` are verified; None while publication is pending.

    `reason` says, where trust is REPORTED, why the head could not be checked.
    """

    index: int
    leaf_hash: bytes
    state: str
    proof: TlogProof | None = None
    head: SignedCheckpoint | None = None
    trust: Trust = Trust.PENDING
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """An appended batch: the index and leaf hash of each entry, in the order sent.

    `first_index` is the lowest index that was added now; None when every entry stood before, under
    its id, or the answer does not say. `head` is verified, None while publication is pending;
    `inclusion_verified` says whether the leaves were also found in its tree, for which the token
    must allow reading; `doubt` is what hindered that.
    """

    indexes: tuple[int, ...]
    leaf_hashes: tuple[bytes, ...]
    state: str
    first_index: int | None = None
    head: SignedCheckpoint | None = None
    trust: Trust = Trust.PENDING
    inclusion_verified: bool = False
    reason: str = ""
    doubt: TlogError | None = None


class LogClient(LogReader):
    """A LogReader that also appends, and verifies what became of its entries.

    An error after the entries were committed carries a note (PEP 678) that says where they stand.
    """

    def __init__(
        self,
        access: LogAccess,
        log_key: LogKey | LogTrust,
        heads: HeadStore | None = None,
        retries: Retries | None = None,
        cache: TileCache | None = None,
    ) -> None:
        """Bind the log, its key, where the trusted head is kept, and how appends are sent again."""
        super().__init__(access, log_key, heads, cache)
        self._access = access
        self._retries = retries or Retries()

    async def append(
        self, entry: bytes, *, entry_id: str | None = None, is_fresh: bool = False
    ) -> AppendResult:
        """Append one entry, wait until it is published, and verify its inclusion.

        Sent again while that may help, it is appended once only. With `entry_id`, 1 to 255
        characters of printable ASCII, that also holds for a later call, of another process too,
        with the same token: the log remembers ids for at least a week. `is_fresh` says that it was
        never sent before: then the entry must stand beyond the tree known so far, as without an id
        of one's own. Otherwise a log could answer with an entry of equal bytes and add none.

        The token needs the scope append alone; without the scope read the head that comes with the
        proof is reported, not trusted, unless it is the first of its log.

        Raises:
            LogMisbehaviourError: other bytes, or another index, were committed than answered, or
                none at all.
            VerificationError, MalformedError: the proof in the answer is none.
            ForkDetectedError, ConsistencyNotProvedError: as LogReader.check_head.
            TlogError: whatever submit_entry raises.
        """
        known_size = await self._known_size()
        submitted = await submit_entry(
            self._access, entry, entry_id=entry_id, retries=self._retries
        )
        index = submitted.index
        must_be_new = entry_id is None or is_fresh or submitted.is_new
        lowest_new = index if must_be_new else None
        if submitted.proof is None:
            _check_new([index], lowest_new, known_size)
            return AppendResult(index, submitted.leaf_hash, submitted.state)
        with _committed_at(str(index)):
            proof = parse_tlog_proof(submitted.proof)
            if proof.index != index:
                raise LogMisbehaviourError(
                    f"answer to append: index {index}, but the proof is of {proof.index}"
                )
            head = self._log_trust.verify_signed(proof, submitted.leaf_hash)
            trust, doubt = await self._trust(head)
        # After the heads: of two histories they are the better evidence.
        _check_new([index], lowest_new, known_size)
        reason = "" if doubt is None else str(doubt)
        return AppendResult(index, submitted.leaf_hash, submitted.state, proof, head, trust, reason)

    async def append_batch(
        self, entries: Sequence[bytes], *, ids: Sequence[str] | None = None, is_fresh: bool = False
    ) -> BatchResult:
        """Append a batch, all or none, wait until it is published, and verify it as far as allowed.

        The signature of the head in the answer is always verified; that the leaves stand in its
        tree, where the token has the scope read. `ids`, one for each entry, and `is_fresh` are
        as in append.

        Raises: as append, and whatever submit_batch raises; LogMisbehaviourError also where new
            entries do not stand in the order sent.
        """
        known_size = await self._known_size()
        submitted = await submit_batch(self._access, entries, ids=ids, retries=self._retries)
        indexes, hashes, state = submitted.indexes, submitted.leaf_hashes, submitted.state
        must_be_new = ids is None or is_fresh
        lowest_new = min(indexes) if must_be_new else submitted.first_index
        if submitted.checkpoint is None:
            _check_new(indexes, lowest_new, known_size)
            return BatchResult(indexes, hashes, state)
        last = max(indexes)
        with _committed_at(f"{min(indexes)} to {last}"):
            head = self._log_trust.open_signed(submitted.checkpoint)
            if head.size <= last:
                raise LogMisbehaviourError(
                    f"answer to append: entry {last} is said to be published, "
                    f"but the checkpoint has size {head.size}"
                )
            trust, doubt = await self._trust(head)
            _check_new(indexes, lowest_new, known_size)
            reason = "" if doubt is None else str(doubt)
            if doubt is None:
                doubt = await self._find_leaves(head, indexes, hashes)
        first = submitted.first_index
        return BatchResult(indexes, hashes, state, first, head, trust, doubt is None, reason, doubt)

    async def _known_size(self) -> int:
        trusted = await asyncio.to_thread(self._heads.read, self._log_trust)
        return 0 if trusted is None else trusted.size

    async def _trust(self, head: SignedCheckpoint) -> tuple[Trust, TlogError | None]:
        try:
            await self.accept_head(head)
        except (FetchError, QuorumError) as error:
            # The entry stands whatever else can be read now: that is no reason to fail.
            return Trust.REPORTED, error
        return Trust.TRUSTED, None

    async def _find_leaves(
        self, head: SignedCheckpoint, indexes: Sequence[int], leaf_hashes: Sequence[bytes]
    ) -> FetchError | None:
        """Find the leaves in the tree; return what hindered the search."""
        wanted: set[Tile] = set()
        for start, end in _runs(indexes):
            wanted.update(tiles_for_leaves(start, end, head.size))
        try:
            tiles = await fetch_verified_tiles(self._fetcher, head, sorted(wanted), self._cache)
        except FetchError as error:
            return error
        for index, expected in zip(indexes, leaf_hashes, strict=True):
            if tiles.leaf_hash(index) != expected:
                raise EntryMismatchError(index, "the tree")
        return None


def _check_new(indexes: Sequence[int], lowest_new: int | None, known_size: int) -> None:
    """Check that what was added now, from lowest_new on, stands behind the tree, in its order."""
    if lowest_new is None:
        return
    if lowest_new < known_size:
        raise LogMisbehaviourError(
            f"answer to append: a new entry is said to stand at index {lowest_new}, "
            f"but the tree had size {known_size} before it was sent"
        )
    # An id that was sent twice has one index, that of its first entry.
    new = [index for index in dict.fromkeys(indexes) if index >= lowest_new]
    for before, after in pairwise(new):
        if before > after:
            raise LogMisbehaviourError(
                f"answer to append: the entry at index {after} was sent after the one at {before}, "
                "but new entries stand in the order sent"
            )


def _runs(indexes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the stretches [start, end) of consecutive indexes that together are the indexes."""
    ordered = sorted(set(indexes))
    start = ordered[0]
    for index, following in pairwise([*ordered, -1]):
        if following != index + 1:
            yield start, index + 1
            start = following


@contextmanager
def _committed_at(indexes: str) -> Iterator[None]:
    """Say in an error that the entries were answered to stand at these indexes."""
    try:
        yield
    except TlogError as error:
        error.add_note(f"the server answered that the entry stands at index {indexes}")
        raise
