"""Making a large log in minutes: its store is written directly, through no server.

Everything is what a server would have left behind: batches of the largest size, each synced,
with tiles, commit records and index, and one signed head at the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from bench.server import LOG, DataDirectory
from tlog.checkpoints import CheckpointStore
from tlog.clock import SystemClock
from tlog.control import ControlDatabase
from tlog.heads import FileHeadStore
from tlog.lock import DirectoryLock
from tlog.publisher import HeadWriter
from tlog.signer import read_key
from tlog.store.base import Batch
from tlog.store.commit_record import CommitRecord
from tlog.store.leveldb import LevelDBStore
from tlog.tree import RightEdge, load_right_edge
from tlog_proofs import leaf_hash

BATCH = 4096  # entries in one commit, the most that the server makes
TEXT = b" actor=user-%d action=document.read outcome=success target=document-%d session=%s"
ENTRY_BYTES = 100  # of each entry; about half of it compresses away, as of real events
BYTES_ON_DISK = 130  # an entry, at most, with its share of tiles, index and compaction


def fill(data: DataDirectory, size: int, progress: Callable[[int], None]) -> float:
    """Append to the log of a directory that no server has, up to `size`; seconds that it took.

    The last batch is cut so that the size is met exactly.
    """
    start = time.perf_counter()
    directory = data.path / "logs" / LOG
    lock = DirectoryLock(data.path)
    try:
        store = LevelDBStore(directory)
        try:
            edge = load_right_edge(store, store.newest_commit().size)
            while edge.size < size:
                edge = _append(store, edge, min(BATCH, size - edge.size))
                progress(edge.size)
            _sign(data.path, store, edge)
        finally:
            store.close()
    finally:
        lock.release()
    return time.perf_counter() - start


def _append(store: LevelDBStore, edge: RightEdge, count: int) -> RightEdge:
    entries = [_entry(index) for index in range(edge.size, edge.size + count)]
    hashes = [leaf_hash(entry) for entry in entries]
    extended, tiles = edge.extend(hashes)
    record = CommitRecord(edge.size, extended.size, extended.root, int(time.time()))
    batch = Batch(record=record, leaves=entries, leaf_hashes=hashes, tiles=tiles)
    store.commit(batch)
    store.index(batch)
    return extended


def _entry(index: int) -> bytes:
    session = os.urandom(16).hex().encode()
    return (b"%d" % index + TEXT % (index % 997, index % 49_999, session)).ljust(ENTRY_BYTES)


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
