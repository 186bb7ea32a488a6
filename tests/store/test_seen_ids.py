"""Ids in a log of several groups: each that was written is found, whatever was read back so far."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlog.store import leaf_index
from tlog.store.commit_record import IdRow
from tlog.store.hash_bits import HashBits
from tlog.store.leaf_index import IndexRows, LeafIndex
from tlog.store.seen_ids import SeenIds

GROUP = 1 << 18
SIZE = 3 * GROUP + 1000
EVERY = 997  # of so many entries one has an id
BATCH = 4096


def mac(index: int) -> bytes:
    """The MAC of the id of an entry."""
    return hashlib.sha256(b"id %d" % index).digest()[:16]


def rows(start: int, end: int, every: int = EVERY) -> IndexRows:
    """Entries, some with ids; leaf hashes are all alike but for the first of a group."""
    ids = [
        IdRow(index, mac(index), b"bytes of entry %02d" % (index % 100))
        for index in range(start, end)
        if index % every == 0
    ]
    return IndexRows(start, [b"leaf hash 12" + bytes(20)] * (end - start), ids)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of a little more than three groups."""
    path = tmp_path_factory.mktemp("large") / "index"
    index = LeafIndex(path, 0)
    for start in range(0, SIZE, BATCH):
        index.write(rows(start, min(start + BATCH, SIZE)))
    index.close()
    return path


@pytest.fixture
def index(large: Path, tmp_path: Path) -> Iterator[LeafIndex]:
    """A copy of it, just opened."""
    shutil.copytree(large, tmp_path / "index")
    index = LeafIndex(tmp_path / "index", SIZE)
    assert index.mark == SIZE
    yield index
    index.close()


class Watched:
    """Counts in how many groups ids are looked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.groups = 0
        find_id = LeafIndex._find_id

        def counted(index: LeafIndex, id_mac: bytes, groups: range) -> IdRow | None:
            self.groups += len(groups)
            return find_id(index, id_mac, groups)

        monkeypatch.setattr(LeafIndex, "_find_id", counted)


def found(index: LeafIndex, macs: Sequence[bytes], start: int = 0) -> list[int | None]:
    """The indexes of ids."""
    return [None if row is None else row.index for row in index.find_ids(macs, start)]


@given(
    st.integers(3, 32),
    st.lists(st.binary(min_size=16, max_size=16)),
    st.lists(st.binary(min_size=16, max_size=16)),
)
def test_what_was_added_may_always_be_there(
    bits: int, added: list[bytes], others: list[bytes]
) -> None:
    """And what shares its first bits with nothing added certainly is not."""
    bits = min(bits, 20)
    held = HashBits(bits)
    held.add(added, "I12x")

    def front(value: bytes) -> int:
        return int.from_bytes(value[:4]) >> (32 - bits)

    fronts = {front(value) for value in added}
    asked = added + others
    assert held.may_hold(asked, "I12x") == [front(value) in fronts for value in asked]


@pytest.mark.parametrize(("read_back", "at_once"), [(1, 1), (7, 3), (64, 4096), (1000, 1000)])
def test_every_id_is_found_while_the_old_ones_are_read_back(
    index: LeafIndex, monkeypatch: pytest.MonkeyPatch, read_back: int, at_once: int
) -> None:
    """Old ids and those written meanwhile; ids that were never given are not there."""
    monkeypatch.setattr(leaf_index, "READ_BACK", read_back)
    monkeypatch.setattr(leaf_index, "READ_AT_ONCE", at_once)
    watched = Watched(monkeypatch)
    end = SIZE
    old = list(range(0, SIZE, EVERY))
    for number in range(60):
        some = old[number::60]
        new = [index for index in range(SIZE, end) if index % 3 == 0][-20:]
        assert found(index, [mac(at) for at in some]) == some
        assert found(index, [mac(at) for at in new]) == new
        assert found(index, [mac(-1 - at) for at in range(10)]) == [None] * 10
        index.write(rows(end, end + 10, every=3))
        end += 10
    before = watched.groups
    assert found(index, [mac(-1 - at) for at in range(1000)]) == [None] * 1000
    searched = watched.groups - before
    assert searched <= (4000 if read_back == 1 else 40)


def test_ids_of_two_windows_are_told_apart(index: LeafIndex) -> None:
    """What lies before a window is looked for in the other one only."""
    first, later = 300 * EVERY, 600 * EVERY
    assert first > GROUP
    for _ in range(4):
        assert found(index, [mac(later), mac(first), mac(0)], 0) == [later, first, 0]
        assert found(index, [mac(later), mac(first), mac(0)], first) == [later, first, None]
        assert found(index, [mac(later), mac(first), mac(0)], GROUP * 2)[0] == later
        assert found(index, [mac(later), mac(first)], SIZE - 10) == [None, None]
    assert len(index._seen_ids) == 2


def test_a_dropped_index_holds_no_ids(index: LeafIndex) -> None:
    """After `drop` what was seen is no longer there, and what is written again is found."""
    assert found(index, [mac(EVERY)]) == [EVERY]
    index.drop()
    assert found(index, [mac(EVERY)]) == [None]
    index.write(rows(0, 2000))
    assert found(index, [mac(EVERY), mac(3 * EVERY)]) == [EVERY, None]


def test_ids_written_by_one_thread_are_found_by_others(
    index: LeafIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No bit is lost between a writer that notes new ids and readers that read old ones back."""
    monkeypatch.setattr(leaf_index, "READ_BACK", 3)
    monkeypatch.setattr(leaf_index, "READ_AT_ONCE", 2)
    missed: list[object] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            end = index.mark
            asked = list(range(end - 300, end))
            known = [at for at in asked if at >= SIZE]
            answers = index.find_ids([mac(at) for at in known], 0)
            missed.extend(at for at, row in zip(known, answers, strict=True) if row is None)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(150):
            start = SIZE + number * 100
            index.write(rows(start, start + 100, every=1))
    finally:
        over.set()
        for reader in readers:
            reader.join(20)
    assert not missed


def test_a_window_that_grew_gets_more_room() -> None:
    """Memory follows the entries of a window, between 8 KiB and 8 MiB."""
    seen = SeenIds(1000, 1)
    assert not seen.outgrown(1000)
    assert not seen.outgrown(2000)
    assert seen.outgrown(8200)
    assert not SeenIds(10**9, 1).outgrown(10**12)
