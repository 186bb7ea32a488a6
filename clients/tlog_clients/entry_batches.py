"""Many entries as batches within the bounds of one request, and their results as one: pure."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import replace
from typing import TYPE_CHECKING

from tlog_clients.entry_ids import new_entry_id
from tlog_clients.log_client import BatchResult, Trust
from tlog_clients.submission import MAX_BATCH_BODY_BYTES, MAX_BATCH_ENTRIES, batch_line_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Batch = tuple[list[bytes], list[str]]
"""Entries, and an id for each."""

_TRUST_ORDER = (Trust.PENDING, Trust.REPORTED, Trust.TRUSTED)


def split_batches(entries: Iterable[bytes], ids: Iterable[str] | None) -> Iterator[Batch]:
    """Yield the entries in batches, each as long as one request may be; reads no further ahead.

    Without ids they get random ones.

    Raises:
        ValueError: not as many ids as entries: at once where both have a length.
    """
    _check_lengths(entries, ids)
    batch: Batch = ([], [])
    body_bytes = 0
    named = zip(entries, _random_ids() if ids is None else ids, strict=ids is not None)
    for entry, entry_id in named:
        line_bytes = batch_line_bytes(entry, entry_id)
        is_full = len(batch[0]) == MAX_BATCH_ENTRIES
        if batch[0] and (is_full or body_bytes + line_bytes > MAX_BATCH_BODY_BYTES):
            yield batch
            batch, body_bytes = ([], []), 0
        batch[0].append(entry)
        batch[1].append(entry_id)
        body_bytes += line_bytes
    if batch[0]:
        yield batch


def join_results(before: BatchResult | None, after: BatchResult) -> BatchResult:
    """Give the result of two batches appended one after the other; None stands for none."""
    if before is None:
        return after
    states = (before.state, after.state)
    first = after.first_index if before.first_index is None else before.first_index
    return replace(
        after,
        indexes=before.indexes + after.indexes,
        leaf_hashes=before.leaf_hashes + after.leaf_hashes,
        state=next((state for state in states if state != "published"), "published"),
        first_index=first,
        trust=min(before.trust, after.trust, key=_TRUST_ORDER.index),
        inclusion_verified=before.inclusion_verified and after.inclusion_verified,
        reason=before.reason or after.reason,
    )


def note_before(error: Exception, before: BatchResult | None) -> None:
    """Say in an error of a later batch which entries stand."""
    if before is not None:
        error.add_note(
            f"the first {len(before.indexes)} entries stand, from index {min(before.indexes)} "
            f"to {max(before.indexes)}"
        )


def _random_ids() -> Iterator[str]:
    prefix = new_entry_id()
    number = 0
    while True:
        number += 1
        yield f"{prefix}-{number}"


def _check_lengths(entries: object, ids: object) -> None:
    if isinstance(entries, Sized) and isinstance(ids, Sized) and len(entries) != len(ids):
        raise ValueError(f"expected an id for each of {len(entries)} entries, got {len(ids)} ids")
