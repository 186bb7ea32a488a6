"""Making a large log in minutes: its store is written directly, through no server.

Everything is what a server would have left behind: batches of the largest size, each synced,
with tiles, commit records and index, and one signed head at the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.server import LOG, DataDirectory
from tlog.checkpoints import CheckpointStore
from tlog.clock import SystemClock
from tlog.control import ControlDatabase
from tlog.heads import FileHeadStore
from tlog.ids import KEY_BYTES, WeekKey, bytes_mac, week_of
from tlog.lock import DirectoryLock
from tlog.publisher import HeadWriter
from tlog.signer import read_key
from tlog.store.base import Batch
from tlog.store.commit_record import MAC_BYTES, CommitRecord, IdRow
from tlog.store.leveldb import LevelDBStore
from tlog.tree import RightEdge, load_right_edge
from tlog_proofs import leaf_hash

BATCH = 4096  # entries in one commit, the most that the server makes
TEXT = b" actor=user-%d action=document.read outcome=success target=document-%d session=%s"
ID_EVERY = 4
SESSION_BYTES = 16
ENTRY_BYTES = 100  # of each entry; about half of it compresses away, as of real events
BYTES_ON_DISK = 170  # an entry, at most, with its share of tiles, ids, index and compaction


def fill(
    data: DataDirectory,
    size: int,
    progress: Callable[[int], None],
    *,
    ids: bool = False,
    random_bytes: int = 0,
) -> float:
    """Append to the log of a directory that no server has, up to `size`; seconds that it took.

    The last batch is cut so that the size is met exactly. ids: one entry in ID_EVERY has an id;
    it is made up: nobody will ask for it, but whoever looks for another looks past it.
    random_bytes: entries are so many random bytes; 0: they look like events, of ENTRY_BYTES.
    """
    start = time.perf_counter()
    directory = data.path / "logs" / LOG
    lock = DirectoryLock(data.path)
    try:
        store = LevelDBStore(directory)
        try:
            edge = load_right_edge(store, store.newest_commit().size)
            key = _add_week_key(data.path, edge.size) if ids else None
            while edge.size < size:
                count = min(BATCH, size - edge.size)
                edge = _append(store, edge, _entries(edge.size, count, random_bytes), key)
                progress(edge.size)
            _sign(data.path, store, edge)
        finally:
            store.close()
    finally:
        lock.release()
    return time.perf_counter() - start


def _add_week_key(data_dir: Path, size: int) -> WeekKey:
    """Make the key of this week's ids, as the first batch with an id does."""
    key = WeekKey(week_of(int(time.time())), os.urandom(KEY_BYTES), size)
    control = ControlDatabase(data_dir / "control.db")
    try:
        control.add_id_key(LOG, key)
    finally:
        control.close()
    return key


def _append(
    store: LevelDBStore, edge: RightEdge, entries: Sequence[bytes], key: WeekKey | None
) -> RightEdge:
    hashes = [leaf_hash(entry) for entry in entries]
    extended, tiles = edge.extend(hashes)
    record = CommitRecord(edge.size, extended.size, extended.root, int(time.time()))
    if key is not None:
        record = replace(record, key_week=key.week, ids=_id_rows(key, edge.size, entries))
    batch = Batch(record=record, leaves=entries, leaf_hashes=hashes, tiles=tiles)
    store.commit(batch)
    store.index(batch)
    return extended


def _id_rows(key: WeekKey, first_index: int, entries: Sequence[bytes]) -> tuple[IdRow, ...]:
    indexes = range(first_index, first_index + len(entries), ID_EVERY)
    id_macs = _random_pieces(len(indexes), MAC_BYTES)
    bytes_macs = [bytes_mac(key.key, entry) for entry in entries[::ID_EVERY]]
    return tuple(map(IdRow, indexes, id_macs, bytes_macs))


def _random_pieces(count: int, size: int) -> list[bytes]:
    noise = os.urandom(count * size)
    return [noise[at : at + size] for at in range(0, len(noise), size)]


def _entries(first_index: int, count: int, random_bytes: int) -> list[bytes]:
    if random_bytes:
        return _random_pieces(count, random_bytes)
    sessions = _random_pieces(count, SESSION_BYTES)
    return [_entry(index, session) for index, session in enumerate(sessions, first_index)]


def _entry(index: int, session: bytes) -> bytes:
    text = TEXT % (index % 997, index % 49_999, session.hex().encode())
    return (b"%d" % index + text).ljust(ENTRY_BYTES)


def _sign(data_dir: Path, store: LevelDBStore, edge: RightEdge) -> None:
    """One publication by the publisher's own code; it trusts the edge, which this process made."""
    directory = data_dir / "logs" / LOG
    control = ControlDatabase(data_dir / "control.db")
    checkpoints = CheckpointStore(directory / "checkpoints.db")
    try:
        heads = FileHeadStore(control.heads)
        signer = read_key(directory / "key")
        HeadWriter(
            store=store,
            heads=heads,
            checkpoints=checkpoints,
            signer=signer,
            clock=SystemClock(),
            edge=edge,
            head=heads.fetch(signer.name),
        ).publish(store.newest_commit())
    finally:
        checkpoints.close()
        control.close()
