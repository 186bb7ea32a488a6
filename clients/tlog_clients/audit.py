"""Auditing a whole log: its tree is rebuilt from the entries and every tile and head compared.

Memory is bounded by a few entry bundles and 255 hashes a level, however long the log is. A run that
was interrupted can be gone on with: what it had compared is shown to be the beginning of the tree
that is signed now before anything is built on it, and the head that it worked towards must lie on
that tree like every head seen before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tlog_clients.audit_progress import ProgressKeeper
from tlog_clients.audit_run import AuditRun, Progress
from tlog_clients.errors import (
    ConsistencyNotProvedError,
    ForkDetectedError,
)
from tlog_clients.head_proof import fetch_consistency_proof, is_prefix
from tlog_clients.head_state import advance, check_same_root
from tlog_clients.head_store import MemoryHeads
from tlog_clients.log_reader import LogReader
from tlog_clients.log_trust import LogTrust
from tlog_clients.tree_rebuild import TreeRebuild
from tlog_proofs import MAX_NOTE_BYTES, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tlog_clients.audit_progress import AuditProgress, ProgressStore
    from tlog_clients.fetch import Fetcher
    from tlog_clients.head_store import HeadStore
    from tlog_clients.log_trust import LogKey
    from tlog_clients.tile_cache import TileCache
    from tlog_proofs import SignedCheckpoint


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit compared, and found to be one tree under the signed root."""

    origin: str
    size: int
    root: bytes
    entries: int
    """Entries fetched and hashed in this run: those from `resumed_at` on, or all."""
    tiles: int
    """Tiles of all levels, full and partial, compared hash by hash in this run."""
    resumed_at: int | None
    """The entries before it were compared by interrupted runs only; None: all in this one."""
    begun_s: int
    """When the first of these runs began, or this one; POSIX seconds."""
    trusted_size: int | None
    """Size of the head trusted before, which lies on this tree; None at first use."""
    kind: str | None
    """Kind of the log as its genesis says; None when entry 0 is no genesis of tlog."""
    warnings: tuple[str, ...]


async def audit_log(  # noqa: PLR0913 - keyword-only, all with a default
    fetcher: Fetcher,
    log_key: LogKey | LogTrust,
    *,
    heads: HeadStore | None = None,
    cache: TileCache | None = None,
    unfinished: ProgressStore | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    now_s: Callable[[], float] = time.time,
) -> AuditReport:
    """Rebuild the whole tree from its entry bundles and compare it with all that the log serves.

    Compared are every leaf, every tile of every level, the signed root, the root of the head
    trusted before, and the genesis entry. Stops at the first difference. A head that passed is
    trusted from then on.

    Args:
        fetcher: the log.
        log_key: the key that signs its checkpoints, or whom else to believe about it.
        heads: where the trusted head is kept; without it, none is trusted before.
        cache: of tiles for the proofs that heads are consistent; what is compared with the entries
            is what the log serves, never what a cache holds.
        unfinished: where it is kept how far a run has come, and read where to go on; without it,
            every run compares everything.
        fresh: compare everything in this run.
        progress: called as entries have been compared.
        now_s: the time, POSIX seconds.

    Raises:
        AuditMismatchError: an entry, tile or root that differs; names it.
        ForkDetectedError: the tree does not contain the head trusted before, or the one that an
            interrupted run worked towards, or that another client came to trust meanwhile.
        VerificationError, MalformedError: something served is not what it should be.
        StateFileError: the trusted head cannot be read or kept.
        FetchError: something could not be had.
    """
    store: HeadStore = heads if heads is not None else MemoryHeads()
    trust = LogTrust.of(log_key)
    trusted = await asyncio.to_thread(store.read, trust)
    keeper = ProgressKeeper(trust, unfinished, int(now_s()))
    before = await keeper.read()
    note = await fetcher.fetch("checkpoint", max_bytes=MAX_NOTE_BYTES)
    head_before = None if before is None else before.head
    served = trust.open_signed(note)
    seen = _Heads.of(served, trusted, head_before)
    newest = seen.newest
    try:
        trust.check_quorum(served)
        trust.check_quorum(newest)
    except VerificationError:
        await _advance(fetcher, seen, cache)  # two histories are more than a quorum that is missing
        raise
    tree = None if before is None or fresh else await _restore(fetcher, before, seen, cache)
    if before is not None and tree is not None:
        run = AuditRun(fetcher, trust, newest, ())
        run.resume(before, tree)
        keeper.begun_s = before.begun_s
    else:
        run = AuditRun(fetcher, trust, newest, seen.smaller_sizes)
        keeper.begin_again(before, newest, asked=fresh)
    resumed_at = run.size or None

    async def after_bundle() -> None:
        await keeper.save(run, newest)
        if progress is not None:
            progress(run.size, newest.size)

    await run.run(after_bundle)
    if resumed_at is None:
        seen.check_roots(run.roots)
    # Another client may have moved the trusted head meanwhile: it must lie on this tree too.
    await LogReader(fetcher, trust, store, cache).accept_head(newest)
    await keeper.drop()
    return AuditReport(
        origin=newest.origin,
        size=newest.size,
        root=newest.root,
        entries=newest.size - (resumed_at or 0),
        tiles=run.tiles,
        resumed_at=resumed_at,
        begun_s=keeper.begun_s,
        trusted_size=None if trusted is None else trusted.size,
        kind=run.kind,
        warnings=(*run.warnings, *keeper.warnings),
    )


@dataclass(frozen=True, slots=True)
class _Heads:
    """The signed heads that must all lie on one tree.

    `pairs` holds each other head with `newest`: first the one known before, then the one served.
    """

    newest: SignedCheckpoint
    pairs: tuple[tuple[SignedCheckpoint, SignedCheckpoint], ...]

    @classmethod
    def of(cls, served: SignedCheckpoint, *before: SignedCheckpoint | None) -> Self:
        """Sort out what was served now and known before; two roots of one size are a fork."""
        known = [head for head in before if head is not None]
        # A stale answer is no alarm: then the largest tree known is audited, and must contain it.
        newest = max([served, *known], key=lambda head: head.size)
        pairs = [(head, newest) for head in known if head is not newest]
        if served is not newest:
            pairs.append((newest, served))
        for pair in pairs:
            if pair[0].size == pair[1].size:
                check_same_root(*pair)
        return cls(newest, tuple(pairs))

    @property
    def smaller_sizes(self) -> set[int]:
        """The sizes at which the tree passes the other heads."""
        return {min(head.size for head in pair) for pair in self.pairs}

    def check_roots(self, roots: Mapping[int, bytes]) -> None:
        """Compare every other head with the roots of the tree, which is that of `newest`."""
        for before, served in self.pairs:
            other = min(before, served, key=lambda head: head.size)
            if roots[other.size] != other.root:
                raise ForkDetectedError(
                    before.note,
                    served.note,
                    f"the tree of size {self.newest.size} does not continue the one of size "
                    f"{other.size}",
                )


async def _advance(fetcher: Fetcher, heads: _Heads, cache: TileCache | None) -> None:
    for pair in heads.pairs:
        advance(*pair, await fetch_consistency_proof(fetcher, *pair, cache))


async def _restore(
    fetcher: Fetcher, before: AuditProgress, heads: _Heads, cache: TileCache | None
) -> TreeRebuild | None:
    """Rebuild what was compared before, if it is the beginning of the tree of the newest head.

    Raises:
        ForkDetectedError: two heads are not of one tree.
    """
    tree = TreeRebuild.restore(before.size, before.edge)
    try:
        await _advance(fetcher, heads, cache)
    except ForkDetectedError:
        raise
    except ConsistencyNotProvedError:
        return None  # a tile is wrong: comparing all of them tells which
    is_beginning = await is_prefix(fetcher, heads.newest, tree.size, tree.root())
    return tree if is_beginning else None
