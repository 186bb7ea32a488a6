"""An index/ that is not this log's, or that cannot be made: what opening the store does."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from tests.store.conformance import make_batch
from tlog.errors import StoreError
from tlog.store.leveldb import LevelDBStore
from tlog.tree import EMPTY_EDGE
from tlog_proofs import leaf_hash

ENTRIES = [b"one", b"two", b"three"]


def _make(directory: Path, genesis: bytes) -> None:
    """A closed, indexed log of a genesis and ENTRIES."""
    edge, first = make_batch(EMPTY_EDGE, [genesis])
    store = LevelDBStore.create(directory, first)
    _, batch = make_batch(edge, ENTRIES)
    store.commit(batch)
    store.index(batch)
    store.close()


def test_the_index_of_another_log_is_built_anew(tmp_path: Path) -> None:
    """Another log's index names other ids as known, or none: it is not taken."""
    _make(tmp_path / "a", b"genesis of a")
    _make(tmp_path / "b", b"genesis of b")
    store = LevelDBStore(tmp_path / "a")
    assert store.indexed_size() == 4
    store.close()
    shutil.rmtree(tmp_path / "a" / "index")
    shutil.copytree(tmp_path / "b" / "index", tmp_path / "a" / "index")
    store = LevelDBStore(tmp_path / "a")
    assert store.indexed_size() == 0
    store.index_missing(100)
    assert store.find_leaf(leaf_hash(b"two"), 4) == 2
    store.close()


def test_a_log_is_read_although_no_index_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged index on a full disk: entries are served, and the next opening mends it."""
    _make(tmp_path / "a", b"genesis")
    (tmp_path / "a" / "index" / "CURRENT").write_bytes(b"garbage\n")

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", full)
        store = LevelDBStore(tmp_path / "a")
        assert store.read_leaf(2) == b"two"
        assert store.indexed_size() == 0
        with pytest.raises(StoreError, match="could not be made"):
            store.index_missing(100)
        store.close()
    store = LevelDBStore(tmp_path / "a")
    store.index_missing(100)
    assert store.find_leaf(leaf_hash(b"two"), 4) == 2
    store.close()
