"""What waits for a commit: the entries of one request, its bounds checked, and its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from tlog.clock import steady_s
from tlog.config import Config
from tlog.errors import BatchTooLargeError, EmptyBatchError, EntryTooLargeError
from tlog.ids import EntryId, WeekKey, make_id_row
from tlog.store.commit_record import IdRow
from tlog_proofs import MAX_ENTRY_BYTES

# Beside its bytes a waiting entry costs objects; counted so that empty entries are bounded too.
ENTRY_OVERHEAD_BYTES = 256


class Appended(NamedTuple):
    """Where a request's entries stand: [first_index, first_index + len(leaf_hashes))."""

    first_index: int
    leaf_hashes: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """The tree size that covers all of them."""
        return self.first_index + len(self.leaf_hashes)


class Submission(NamedTuple):
    """A request's entries, until `done` says where they stand."""

    entries: tuple[bytes, ...]
    ids: tuple[EntryId | None, ...]  # parallel to entries, or empty
    entry_bytes: int
    queued_bytes: int
    queued_s: float  # when, by steady_s
    done: asyncio.Future[Appended]


def make_submission(
    entries: Sequence[bytes], ids: Sequence[EntryId | None], config: Config
) -> Submission:
    """Entries as they wait, within the bounds of one commit; on the running loop.

    Raises:
        EmptyBatchError, BatchTooLargeError, EntryTooLargeError: nothing like it is ever committed.
    """
    if not entries:
        message = "a batch needs at least one entry"
        raise EmptyBatchError(message)
    count = len(entries)
    if count > config.commit_entries:
        message = f"at most {config.commit_entries} entries a batch, got {count}"
        raise BatchTooLargeError(message)
    lengths = list(map(len, entries))
    if max(lengths) > MAX_ENTRY_BYTES:
        number = lengths.index(max(lengths))
        message = f"entry {number} has {lengths[number]} bytes, at most {MAX_ENTRY_BYTES} are taken"
        raise EntryTooLargeError(message)
    entry_bytes = sum(lengths)
    if entry_bytes > config.commit_bytes:
        message = f"at most {config.commit_bytes} bytes a batch, got {entry_bytes}"
        raise BatchTooLargeError(message)
    queued_bytes = entry_bytes + ENTRY_OVERHEAD_BYTES * count
    done = asyncio.get_running_loop().create_future()
    return Submission(tuple(entries), tuple(ids), entry_bytes, queued_bytes, steady_s(), done)


def id_rows(batch_of: list[Submission], first_index: int, key: WeekKey) -> tuple[IdRow, ...]:
    """The rows of the commit record for all ids of a batch."""
    rows = []
    index = first_index
    for submission in batch_of:
        for offset, entry_id in enumerate(submission.ids):
            if entry_id is not None:
                entry = submission.entries[offset]
                rows.append(make_id_row(key, index + offset, entry_id, entry))
        index += len(submission.entries)
    return tuple(rows)
