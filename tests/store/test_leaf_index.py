"""The index against a dictionary: the first of equal rows stays, whatever was looked up for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlog.store.commit_record import IdRow
from tlog.store.leaf_index import IndexRows, LeafIndex
from tlog.store.seen_keys import SeenKeys

GROUP = 1 << 18


def some_hash(number: int) -> bytes:
    """32 bytes like no others."""
    return hashlib.sha256(b"%d" % number).digest()


def alike(number: int) -> bytes:
    """32 bytes of which all begin with the same four."""
    return b"same" + some_hash(number)[4:]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where an index is."""
    return tmp_path / "index"


keys = st.builds(
    lambda kind, front, back: bytes([0, 0, 0, 3, kind]) + front + back,
    st.integers(0, 1),
    st.sampled_from(
        [b"\0\0\0\0", b"\0\0\2\0", b"\0\0\1\0", b"\xff\xff\xff\xff", b"\xff\xff\xfe\0"]
    ),
    st.sampled_from([bytes(8), b"\1" * 8]),
)


@given(st.lists(keys, unique=True), st.lists(st.lists(keys, unique=True), max_size=4))
def test_what_was_noted_before_is_never_called_new(
    first: list[bytes], later: list[list[bytes]]
) -> None:
    """And what shares its first 23 bits with nothing is."""
    seen = SeenKeys(3, first)
    noted = list(first)
    for some in later:
        maybe = seen.note(some)
        for key in some:
            front = int.from_bytes(key[5:8]) >> 1
            assert (key in maybe) == any(int.from_bytes(old[5:8]) >> 1 == front for old in noted)
            noted.append(key)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.booleans()), max_size=8
    )
)
def test_the_first_of_equal_rows_stays_over_batches_and_openings(
    tmp_path: Path, batches: list[tuple[list[int], bool]]
) -> None:
    """Leaf hashes and ids are found at the lowest index, the index opened anew or not."""
    directory = tmp_path / str(len(list(tmp_path.iterdir())))
    index = LeafIndex(directory, 0)
    first_leaf: dict[int, int] = {}
    first_id: dict[int, int] = {}
    try:
        for numbers, reopen in batches:
            at = index.mark
            ids = [
                IdRow(at + offset, alike(number)[:16], bytes(16))
                for offset, number in enumerate(numbers)
                if number % 2
            ]
            index.write(IndexRows(at, [alike(number) for number in numbers], ids))
            for place, number in enumerate(numbers, at):
                first_leaf.setdefault(number, place)
                if number % 2:
                    first_id.setdefault(number, place)
            if reopen:
                index.close()
                index = LeafIndex(directory, index.mark)
        for number in range(13):
            expected = (first_leaf[number],) if number in first_leaf else ()
            assert index.find(alike(number), index.mark) == expected
            [row] = index.find_ids([alike(number)[:16]], 0)
            assert (None if row is None else row.index) == first_id.get(number)
    finally:
        index.close()


def batches_up_to(size: int, count: int) -> Iterator[IndexRows]:
    """Rows of so many entries in batches of count."""
    for start in range(0, size, count):
        yield IndexRows(start, [some_hash(n) for n in range(start, min(size, start + count))])


def test_a_batch_over_the_end_of_a_group(directory: Path) -> None:
    """Each row lies in the group of its own index; an equal one of another group stays beside."""
    index = LeafIndex(directory, 0)
    try:
        for rows in batches_up_to(GROUP - 3, 4096):
            index.write(rows)
        index.close()
        index = LeafIndex(directory, GROUP - 3)
        numbers = [5, GROUP - 2, GROUP - 1, 7, GROUP + 1, 7, GROUP + 1]
        ids = [IdRow(GROUP - 3 + at, some_hash(-n)[:16], bytes(16)) for at, n in enumerate(numbers)]
        index.write(IndexRows(GROUP - 3, [some_hash(n) for n in numbers], ids))
        size = index.mark
        assert size == GROUP + 4
        assert index.find(some_hash(5), size) == (5,)
        assert index.find(some_hash(7), size) == (7, GROUP)
        assert index.find(some_hash(GROUP + 1), size) == (GROUP + 1,)
        assert index.find(some_hash(GROUP - 1), size) == (GROUP - 1,)
        found = index.find_ids([row.id_mac for row in ids], 0)
        assert [row.index - GROUP for row in found if row] == [-3, -2, -1, 0, 1, 0, 1]
        index.write(IndexRows(size, [some_hash(7), some_hash(8)]))
        assert index.find(some_hash(7), index.mark) == (7, GROUP)
        assert index.find(some_hash(8), index.mark) == (8, size + 1)
    finally:
        index.close()


def test_a_dropped_index_begins_anew(directory: Path) -> None:
    """After `drop` equal rows are new ones."""
    index = LeafIndex(directory, 0)
    try:
        index.write(IndexRows(0, [some_hash(1), some_hash(2)]))
        index.drop()
        index.write(IndexRows(0, [some_hash(3), some_hash(1), some_hash(1)]))
        assert index.find(some_hash(1), 3) == (1,)
        assert index.find(some_hash(2), 3) == ()
    finally:
        index.close()
