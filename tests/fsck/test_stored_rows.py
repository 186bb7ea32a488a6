"""Both stores give the same rows for the same batches: each is the other's second opinion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.server.doubles import START_S
from tests.store.conformance import entries, make_batch
from tlog.store.base import Batch, Store
from tlog.store.commit_record import IdRow
from tlog.store.leveldb import LevelDBStore
from tlog.store.leveldb_rows import LevelDBRows
from tlog.store.memory import MemoryDisk, MemoryRows, MemoryStore
from tlog.tree import EMPTY_EDGE

NEXT_MONTH = START_S + 31 * 24 * 3600


def _batches() -> list[Batch]:
    """A genesis, a batch over two tiles with an id, one in the next month with bodies."""
    edge, genesis = make_batch(EMPTY_EDGE, [b"genesis"], START_S)
    edge, first = make_batch(edge, entries(1, 600), START_S)
    ids = (IdRow(7, b"i" * 16, b"b" * 16),)
    first = replace(first, record=replace(first.record, key_week=2964, ids=ids))
    edge, second = make_batch(edge, [b"entry 2", b"x"], NEXT_MONTH, [b"body", None])
    return [genesis, first, second]


def _fill(store: Store, batches: Sequence[Batch]) -> None:
    for batch in batches:
        store.commit(batch)
        store.index(batch)
    store.close()


def test_memory_and_leveldb_store_the_same_rows(tmp_path: Path) -> None:
    """Databases and rows are equal byte for byte, and in the order of their keys."""
    genesis, *others = _batches()
    disk = MemoryDisk()
    memory = MemoryStore(disk)
    memory.create_month(START_S)
    _fill(memory, [genesis, *others])
    _fill(LevelDBStore.create(tmp_path / "store", genesis), others)
    expected, found = MemoryRows(disk), LevelDBRows(tmp_path / "store")
    names = ("bodies/2026-10", "bodies/2026-11", "index", "log")
    assert expected.databases() == found.databases() == names
    for name in names:
        rows = list(found.rows(name))
        assert rows == list(expected.rows(name))
        assert rows == sorted(rows)
        keys = [key for key, _ in rows] + [b"absent"]
        values = [value for _, value in rows] + [None]
        assert list(found.values(name, keys)) == list(expected.values(name, keys)) == values
    assert len(list(found.rows("log"))) == 602 + 2 + 3
    assert [key for key, _ in found.rows("bodies/2026-11")] == [(600).to_bytes(8, "big")]
