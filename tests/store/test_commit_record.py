"""The commit record's bytes are those of the general encoder, whatever the numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlog.errors import StoreError
from tlog.store.commit_record import (
    CommitRecord,
    EmitterRow,
    IdRow,
    format_commit_record,
    parse_commit_record,
)
from tlog_proofs import encode_cbor

EDGES = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 2]
macs = st.binary(min_size=16, max_size=16)


def ascending(
    rows: st.SearchStrategy[tuple[Any, ...]],
) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Rows of different entries, in their order."""
    return st.lists(rows, unique_by=lambda row: row[0]).map(sorted)


@given(
    ascending(st.tuples(st.one_of(st.sampled_from(EDGES), st.integers(0, 2**63 - 2)), macs, macs)),
    ascending(st.tuples(st.sampled_from(EDGES), st.binary(max_size=64), st.sampled_from(EDGES))),
    st.sampled_from(EDGES),
)
def test_a_record_is_what_the_general_encoder_writes(
    ids: list[tuple[int, bytes, bytes]], emitters: list[tuple[int, bytes, int]], week: int
) -> None:
    """Rows of ids are encoded apart, for speed; the array around them is one."""
    key_week = week if ids else None
    record = CommitRecord(
        first_index=0,
        size=2**63 - 1,
        root=bytes(range(32)),
        t=1_793_000_000,
        key_week=key_week,
        ids=tuple(IdRow(*row) for row in ids),
        emitters=tuple(EmitterRow(*row) for row in emitters),
    )
    stored = format_commit_record(record)
    assert stored == encode_cbor(
        [1, 0, 2**63 - 1, bytes(range(32)), 1_793_000_000, key_week, ids, emitters]
    )
    assert parse_commit_record(stored) == record


def test_ids_and_their_week_are_written_together_or_not_at_all() -> None:
    """What no reader takes is not written: a log must not end with a row that it refuses."""
    ids = (IdRow(0, bytes(16), bytes(16)),)
    for record in (
        CommitRecord(0, 1, bytes(32), 1, ids=ids),
        CommitRecord(0, 1, bytes(32), 1, key_week=0),
    ):
        with pytest.raises(StoreError, match="key week where there are ids"):
            format_commit_record(record)


@pytest.mark.parametrize("count", [0, 1, 23, 24, 255, 256, 4096])
def test_any_number_of_ids_a_batch(count: int) -> None:
    """The head of the array of rows grows with their number."""
    ids = tuple(IdRow(index, bytes(16), b"\xff" * 16) for index in range(count))
    week = 2 if ids else None
    record = CommitRecord(0, 4096, bytes(32), 1, key_week=week, ids=ids)
    rows = [[row.index, row.id_mac, row.bytes_mac] for row in ids]
    assert format_commit_record(record) == encode_cbor([1, 0, 4096, bytes(32), 1, week, rows, []])
    assert parse_commit_record(format_commit_record(record)) == record


def test_a_number_that_cbor_does_not_have_is_refused() -> None:
    """An index of 2^64 is an error, not another record."""
    record = CommitRecord(0, 1, bytes(32), 1, 0, (IdRow(2**64 - 1, bytes(16), bytes(16)),))
    assert format_commit_record(record)
    with pytest.raises(StoreError):
        format_commit_record(replace(record, ids=(IdRow(2**64, bytes(16), bytes(16)),)))
