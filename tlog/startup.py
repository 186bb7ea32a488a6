"""Opening a log: everything that must agree before the first signature, a sentence each.

A log that does not agree is read-only, never repaired: it stays readable up to its newest stored
checkpoint, and the sentence says which of its states is which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlog.checkpoints import CheckpointStore, Published
from tlog.control import LogRow
from tlog.errors import FatalLogError, ServerError, UnknownIdsError
from tlog.heads import HeadStore
from tlog.ids import WeekKey, check_ids_known
from tlog.signer import read_key
from tlog.store.base import Store
from tlog.store.commit_record import CommitRecord
from tlog.store.keys import month_after, month_of, start_of_month
from tlog.tree import RightEdge, load_right_edge
from tlog_proofs import (
    MAX_SIZE,
    Ed25519Signer,
    Genesis,
    SignedCheckpoint,
    TlogError,
    open_checkpoint,
    parse_genesis,
    parse_vkey,
)

OpenStore = Callable[[Path], Store]


@dataclass(frozen=True, slots=True)
class OpenedLog:
    """What could be opened of a log; refusal says why it must not sign, None when it may.

    unknown_ids: the week of the ids whose key control.db lacks, if that is the reason.
    """

    store: Store | None
    checkpoints: CheckpointStore | None
    published: Published | None
    newest: CommitRecord | None
    edge: RightEdge | None
    head_edge: RightEdge | None  # of the tree at the stored head's size
    signer: Ed25519Signer | None
    head: bytes | None
    refusal: str | None
    unknown_ids: int | None = None


@dataclass(slots=True)
class _Parts:
    """The parts as they are found, so that those found stay open when another one is wrong."""

    store: Store | None = None
    checkpoints: CheckpointStore | None = None
    published: Published | None = None
    newest: CommitRecord | None = None
    edge: RightEdge | None = None
    head_edge: RightEdge | None = None
    signer: Ed25519Signer | None = None
    head: bytes | None = None


def open_log(
    row: LogRow,
    directory: Path,
    heads: HeadStore,
    open_store: OpenStore,
    id_keys: Sequence[WeekKey],
    now_s: int,
) -> OpenedLog:
    """Open a log of control.db and hold its states against each other. Blocks.

    What is wrong on disk is never raised: it goes into `refusal`.
    """
    parts = _Parts()
    unknown_ids = None
    try:
        store, newest = _open_parts(parts, row, directory, heads, open_store)
        check_ids_known(store, newest, id_keys, now_s)
        refusal = None
    except UnknownIdsError as error:
        refusal, unknown_ids = str(error), error.key_week
    except TlogError as error:
        refusal = str(error)
    except OSError as error:
        refusal = f"opening the log: {error.strerror}"
    if parts.edge is None and parts.published is None and parts.checkpoints is not None:
        # Nothing but the newest checkpoint can be served; it is what was served before.
        parts.published = _own_checkpoint(parts.checkpoints, row, MAX_SIZE)
    return OpenedLog(
        store=parts.store,
        checkpoints=parts.checkpoints,
        published=parts.published,
        newest=parts.newest,
        edge=parts.edge,
        head_edge=parts.head_edge,
        signer=parts.signer,
        head=parts.head,
        refusal=refusal,
        unknown_ids=unknown_ids,
    )


def _open_parts(
    parts: _Parts, row: LogRow, directory: Path, heads: HeadStore, open_store: OpenStore
) -> tuple[Store, CommitRecord]:
    # First what reading needs: a log without its head or key stays readable.
    parts.checkpoints = CheckpointStore(directory / "checkpoints.db")
    store = open_store(directory)
    try:
        _check_genesis(store, row)
    except BaseException:
        # Another log's entries are nothing that this one's readers may see.
        store.close()
        raise
    parts.store = store
    parts.newest = store.newest_commit()
    parts.edge = load_right_edge(store, parts.newest.size)
    parts.published = _own_checkpoint(parts.checkpoints, row, parts.newest.size)
    if parts.edge.root != parts.newest.root:
        message = (
            f"the stored tree of size {parts.newest.size} has the root {parts.edge.root.hex()}, "
            f"its commit record says {parts.newest.root.hex()}: the database is damaged"
        )
        raise FatalLogError(message)
    parts.signer = read_key(directory / "key")
    _check_key(parts.store, row, parts.signer)
    parts.head = heads.fetch(row.origin)
    parts.head_edge = _check_head(parts.store, parts.edge, row, parts.head)
    newest = parts.checkpoints.newest(MAX_SIZE)
    _check_checkpoint(row, newest, parts.store, parts.head_edge)
    _check_months(parts.store, parts.newest)
    return parts.store, parts.newest


def _own_checkpoint(checkpoints: CheckpointStore, row: LogRow, max_size: int) -> Published | None:
    """The newest stored checkpoint up to a size, if it is one of this log; None otherwise."""
    try:
        published = checkpoints.newest(max_size)
        if published is not None:
            _open_published(row, published)
    except ServerError:
        return None
    return published


def _open_published(row: LogRow, published: Published) -> None:
    """Check that a stored checkpoint is one of this log, and says what its row does.

    Raises:
        FatalLogError: it is not.
    """
    try:
        signed = open_checkpoint(published.note, parse_vkey(row.vkey))
    except TlogError as error:
        message = f"the newest row of checkpoints.db is not a checkpoint of this log: {error}"
        raise FatalLogError(message) from error
    if (signed.size, signed.root) != (published.size, published.root):
        message = "the newest row of checkpoints.db does not say what its checkpoint does"
        raise FatalLogError(message)


def _check_genesis(store: Store, row: LogRow) -> Genesis:
    """The database is that of the log which control.db names."""
    try:
        genesis = parse_genesis(store.read_leaf(0))
    except ServerError:
        raise
    except TlogError as error:
        message = f"entry 0 is no genesis: {error}"
        raise FatalLogError(message) from error
    if (genesis.origin, genesis.kind) != (row.origin, row.kind):
        message = (
            f"the genesis is of {genesis.origin} ({genesis.kind}), "
            f"control.db says {row.origin} ({row.kind}): this is another log's database"
        )
        raise FatalLogError(message)
    return genesis


def _check_key(store: Store, row: LogRow, signer: Ed25519Signer) -> None:
    """The key on disk is the one that the log was created with."""
    genesis = _check_genesis(store, row)
    vkey = signer.verifier.vkey
    if vkey not in genesis.vkeys:
        message = f"the key file is for {vkey}, which is not in the genesis"
        raise FatalLogError(message)
    if vkey != row.vkey:
        message = f"the key file is for {vkey}, control.db says {row.vkey}"
        raise FatalLogError(message)


def open_head(row: LogRow, head: bytes | None) -> SignedCheckpoint:
    """The stored head, its signature verified.

    Raises:
        FatalLogError: there is none, or it is not one of this log.
    """
    if head is None:
        message = (
            "the head store has no head of this log, and every log has one: "
            "bring heads/ back, or start a new log"
        )
        raise FatalLogError(message)
    try:
        return open_checkpoint(head, parse_vkey(row.vkey))
    except TlogError as error:
        message = f"the stored head is not one of this log: {error}"
        raise FatalLogError(message) from error


def _check_head(store: Store, edge: RightEdge, row: LogRow, stored: bytes | None) -> RightEdge:
    """The tree holds the head: at least as large, and with that root at its size.

    Returns the right edge at the head's size: what was committed after it was never signed, and
    is hashed from its entries before it is.
    """
    head = open_head(row, stored)
    if head.size > edge.size:
        message = (
            f"the database has {edge.size} entries, but a head of size {head.size} was signed: "
            "the database is an older copy; bring the newest one back"
        )
        raise FatalLogError(message)
    head_edge = edge if head.size == edge.size else load_right_edge(store, head.size)
    if head_edge.root != head.root:
        message = (
            f"at size {head.size} the database has the root {head_edge.root.hex()}, "
            f"the signed head says {head.root.hex()}: the database holds another history"
        )
        raise FatalLogError(message)
    return head_edge


def _check_checkpoint(
    row: LogRow, newest: Published | None, store: Store, head_edge: RightEdge
) -> None:
    """The newest stored checkpoint is the log's, not ahead of the head and not of another tree."""
    if newest is None:
        message = "checkpoints.db holds no checkpoint, and every log has one: it is damaged"
        raise FatalLogError(message)
    _open_published(row, newest)
    if newest.size > head_edge.size:
        message = (
            f"a checkpoint of size {newest.size} was published, the head store has "
            f"{head_edge.size}: the head store is an older copy; bring the newest one back"
        )
        raise FatalLogError(message)
    at_head = newest.size == head_edge.size
    root = (head_edge if at_head else load_right_edge(store, newest.size)).root
    if newest.root != root:
        message = (
            f"at size {newest.size} the tree and the signed head have the root {root.hex()}, the "
            f"published checkpoint says {newest.root.hex()}: checkpoints.db holds another history"
        )
        raise FatalLogError(message)


def _check_months(store: Store, newest: CommitRecord) -> None:
    """Every month in which something was committed has its database of bodies.

    Cost: a look at the directory; a binary search over the commits for each gap in the months.
    """
    there = set(store.months())
    month = month_of(store.commit_of(0).t)
    while month <= month_of(newest.t):
        if month not in there:
            first = _first_since(store, newest.size, start_of_month(month))
            committed = month_of(first.t)
            if committed == month:
                message = (
                    f"bodies/{month} is missing, but entries from {first.first_index} on were "
                    "committed in that month: bring the newest copy of that directory back"
                )
                raise FatalLogError(message)
            month = max(committed, month_after(month))
        else:
            month = month_after(month)


def _first_since(store: Store, size: int, t: int) -> CommitRecord:
    """The first commit whose t is not below t, which is at most the newest commit's."""
    low, high = 0, size - 1  # the entry that decides lies in [low, high]
    while low < high:
        middle = (low + high) // 2
        record = store.commit_of(middle)
        if record.t < t:
            low = record.size
        else:
            high = record.first_index
    return store.commit_of(low)
