"""A store on a disk that fails, in a process of its own: what holds is checked here, and printed.

    python -m tests.server.failing_store full DIR            the files may not grow any more
    python -m tests.server.failing_store unsynced DIR FLAG   while FLAG is there every sync fails

The second needs failing_sync.c preloaded.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path

from tests.store.conformance import make_batch
from tlog.errors import StoreError
from tlog.store.base import Batch
from tlog.store.leveldb import LevelDBStore
from tlog.tree import EMPTY_EDGE, load_right_edge

LIMIT_BYTES = 200_000


def make_store(directory: Path, *batches: int) -> LevelDBStore:
    """A store with a genesis and batches of so many entries of about 1,000 bytes."""
    edge, genesis = make_batch(EMPTY_EDGE, [b"genesis"])
    store = LevelDBStore.create(directory, genesis)
    for count in batches:
        leaves = [b"%d" % index * 250 for index in range(edge.size, edge.size + count)]
        edge, batch = make_batch(edge, leaves)
        store.commit(batch)
        store.index(batch)
    return store


def fill_the_disk(directory: Path) -> None:
    """Commit until a file may not grow; then with space again, then reopened."""
    store = make_store(directory, 10)
    edge = load_right_edge(store, 11)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))
    acked = 0
    while True:
        edge, batch = make_batch(edge, [b"%d" % acked * 1000])
        try:
            store.commit(batch)
        except StoreError:
            break
        acked += 1
        assert acked < LIMIT_BYTES // 1000, "the limit was never reached"
    assert acked > 10
    assert store.read_leaf(3) == b"3" * 250
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    _expect_refusal(store, batch)
    store = _reopened(store)
    size = store.newest_commit().size
    assert size in (11 + acked, 12 + acked), (size, acked)
    for index in range(acked):
        assert store.read_leaf(11 + index) == b"%d" % index * 1000
    store.commit(make_batch(load_right_edge(store, size), [b"again"])[1])
    print("acked", acked)  # noqa: T201 - what the test reads


def fail_a_sync(directory: Path, flag: Path) -> None:
    """Commit while no sync succeeds; then while they do again, then reopened."""
    # Read by the preloaded library, which sees the environment of C.
    ctypes.CDLL(None).setenv(b"SYNC_FAILS", os.fsencode(flag), 1)
    store = make_store(directory, 10)
    _, batch = make_batch(load_right_edge(store, 11), [b"in doubt"])
    flag.touch()
    try:
        store.commit(batch)
    except StoreError as error:
        print("failed:", error)  # noqa: T201 - what the test reads
    assert store.newest_commit().size == 11
    flag.unlink()
    _expect_refusal(store, batch)
    print("after reopening:", _reopened(store).newest_commit().size)  # noqa: T201 - likewise


def _expect_refusal(store: LevelDBStore, batch: Batch) -> None:
    try:
        store.commit(batch)
    except StoreError as error:
        assert "opened again" in str(error), error
    else:
        message = "the store wrote on after a failure"
        raise AssertionError(message)


def _reopened(store: LevelDBStore) -> LevelDBStore:
    """The store opened again; it holds whole batches."""
    store.close()
    store = LevelDBStore(store._directory)
    newest = store.newest_commit()
    assert load_right_edge(store, newest.size).root == newest.root
    return store


if __name__ == "__main__":
    task, *paths = sys.argv[1:]
    if task == "full":
        fill_the_disk(Path(paths[0]))
    else:
        fail_a_sync(Path(paths[0]), Path(paths[1]))
