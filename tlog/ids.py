"""Idempotency ids as a log keeps them: MACs under a random key of the week, never the id itself.

A key lives for its week and the next one, and is destroyed with that window: what remains of an
id in the log's rows can then be linked to nothing.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tlog.errors import UnknownIdsError
from tlog.store.base import Store
from tlog.store.commit_record import MAC_BYTES, CommitRecord, IdRow

WEEK_S = 604_800
KEY_BYTES = 32
MAX_ID_CHARS = 255
RECORDS_LOOKED_AT = 1024  # at start-up, back to the newest that has ids


class _Names(NamedTuple):
    principal: str
    text: str


class EntryId(_Names):
    """An id that a client gave an entry, in the name of a principal (a token's id).

    A tuple, because its hash is asked for a dozen times an append.
    """

    def mac(self, key: bytes) -> bytes:
        """What is stored of the id: 16 bytes. Those of the first key asked for are remembered."""
        known: tuple[bytes, bytes] | None = self.__dict__.get("_mac")
        if known is not None and known[0] is key:
            return known[1]
        principal = self.principal.encode()
        length = len(principal).to_bytes(2, "big")
        mac = _mac(key, b"tlog/id/1\x00" + length + principal + self.text.encode())
        # Looked up under the newest key first, under which it is logged too.
        self.__dict__.setdefault("_mac", (key, mac))
        return mac


@dataclass(frozen=True, slots=True)
class WeekKey:
    """The key of the ids of one week of one log; first_index: the tree size when it was made."""

    week: int
    key: bytes
    first_index: int


def week_of(t: int) -> int:
    """The week of t, POSIX seconds."""
    return t // WEEK_S


def bytes_mac(key: bytes, entry: bytes) -> bytes:
    """What is stored of the bytes that were submitted under an id: 16 bytes."""
    return _mac(key, b"tlog/bytes/1\x00" + entry)


def make_id_row(week_key: WeekKey, index: int, entry_id: EntryId, entry: bytes) -> IdRow:
    """The row of the commit record for an entry with an id."""
    return IdRow(index, entry_id.mac(week_key.key), bytes_mac(week_key.key, entry))


def new_key(week: int, size: int) -> WeekKey:
    """A fresh key for the ids that are logged in that week from that size on."""
    return WeekKey(week, secrets.token_bytes(KEY_BYTES), size)


def check_ids_known(
    store: Store, newest: CommitRecord, keys: Sequence[WeekKey], now_s: int
) -> None:
    """Check that control.db has the key of the newest ids, if their window is not over yet.

    A key that is younger than they are was made to go on without them, by `confirm-ids`.

    Raises:
        UnknownIdsError: an id that stands in the log would be taken for a new one.
        StoreError: a row could not be read.
    """
    week = week_of(max(newest.t, now_s))
    record = _newest_with_ids(store, newest, week)
    if record is None or record.key_week is None or record.key_week < week - 1:
        return
    key = next((key for key in keys if key.week == record.key_week), None)
    if key is not None and (record.size <= key.first_index or _is_of(key, record, store)):
        return
    has = "no key" if key is None else "another key"
    message = (
        f"log/ holds ids of week {record.key_week} at entry {record.ids[0].index}, control.db has "
        f"{has} for that week: it is an older copy or another log's; bring the newest one back, "
        "or stop the server and run `tlog log confirm-ids` if these ids may be logged twice"
    )
    raise UnknownIdsError(message, record.key_week)


def _newest_with_ids(store: Store, newest: CommitRecord, week: int) -> CommitRecord | None:
    """The newest record with ids, if it is near enough to the end and in the window of a week."""
    record = newest
    for _ in range(RECORDS_LOOKED_AT):
        if record.ids:
            return record
        if record.first_index == 0 or week_of(record.t) < week - 1:
            break
        record = store.commit_of(record.first_index - 1)
    return None


def _is_of(key: WeekKey, record: CommitRecord, store: Store) -> bool:
    """Whether a record's MACs were made with a key: by chance none fits, so one is enough."""
    return any(
        hmac.compare_digest(row.bytes_mac, bytes_mac(key.key, store.read_leaf(row.index)))
        for row in record.ids
    )


class IdKeys:
    """The keys of one log's window: this week's and last week's. Owned by the event loop.

    save and drop make a change durable, each before it is used here.
    """

    def __init__(
        self,
        keys: tuple[WeekKey, ...],
        save: Callable[[WeekKey], Awaitable[None]],
        drop: Callable[[int], Awaitable[None]],
    ) -> None:
        """Start from the stored keys; drop(week) destroys those of all weeks before `week`."""
        self._keys = {key.week: key for key in keys}
        self._save = save
        self._drop = drop

    def window(self, week: int) -> tuple[WeekKey, ...]:
        """The keys under which an id of this week may stand, the newest first."""
        return tuple(self._keys[w] for w in (week, week - 1) if w in self._keys)

    async def of_week(self, week: int, size: int) -> WeekKey:
        """The key of a week, made and durable if it is the first batch of the week with an id.

        Raises:
            StoreError: the key could not be made durable.
        """
        await self.expire(week)
        key = self._keys.get(week)
        if key is None:
            key = new_key(week, size)
            await self._save(key)
            self._keys[week] = key
        return key

    async def expire(self, week: int) -> None:
        """Destroy the keys whose window is over in that week.

        Raises:
            StoreError: not done; the next call tries again.
        """
        if any(old < week - 1 for old in self._keys):
            await self._drop(week - 1)
            self._keys = {w: key for w, key in self._keys.items() if w >= week - 1}


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")[:MAC_BYTES]
