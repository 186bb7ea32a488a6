"""The ids of commit records against the keys of control.db: MACs of bytes can be computed again.

Those of the ids cannot: the ids themselves are stored nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from tlog.fsck.damage import DamageError, Place
from tlog.ids import WeekKey, bytes_mac, week_of
from tlog.store.commit_record import CommitRecord

_NEITHER = "either may be damaged or an older copy: delete neither, bring the right one back"


class IdCheck:
    """What has gone by of `log/` that ids need; memory: the entries of one batch."""

    def __init__(self, keys: Sequence[WeekKey], now_s: int) -> None:
        """Check against the keys of one log; now_s: POSIX seconds, says whose window is over."""
        self._keys = {key.week: key for key in keys}
        self._now_s = now_s
        self._leaves: list[bytes] = []  # of the batch whose record comes next
        self._fitted: set[int] = set()  # weeks whose key has made a MAC
        self._unknown: tuple[Place, CommitRecord] | None = None  # the newest without its key

    def proves(self, record: CommitRecord) -> bool:
        """Whether a record that was found right has MACs of its entries' bytes under a key."""
        key = self._key_of(record)
        return key is not None and record.size > key.first_index

    def add_leaf(self, leaf: bytes) -> None:
        """The next entry."""
        if self._keys:
            self._leaves.append(leaf)

    def check(self, place: Place, record: CommitRecord) -> None:
        """Check the record of the entries that were added since the one before.

        Raises:
            DamageError: its MACs and the key of its week do not go together.
        """
        leaves, self._leaves = self._leaves, []
        key = self._key_of(record)
        if key is None:
            self._unknown = (place, record) if record.ids else self._unknown
            return
        wrong = [
            row.index
            for row in record.ids
            if row.bytes_mac != bytes_mac(key.key, leaves[row.index - record.first_index])
        ]
        fits = len(wrong) < len(record.ids)
        if record.size <= key.first_index:
            # The key was made without them, by `confirm-ids`: so none of them is of it.
            if fits:
                what = f"says it was made at size {key.first_index}, but {place} has MACs under it"
                raise DamageError(_key_place(key.week), what)
        elif wrong:
            what = f"the MAC of the bytes of entry {wrong[0]} is not that of the entry under"
            what += f" the key that control.db has for week {key.week}"
            raise DamageError(
                place, what if fits or key.week in self._fitted else f"{what}; {_NEITHER}"
            )
        elif fits:
            self._fitted.add(key.week)

    def end(self, newest_t: int) -> None:
        """Check that no key is missing whose ids are still in the window.

        Raises:
            DamageError: one is.
        """
        if self._unknown is None:
            return
        place, record = self._unknown
        week = record.key_week
        if week is not None and week >= week_of(max(newest_t, self._now_s)) - 1:
            what = f"is missing, and {place} has ids of that week; {_NEITHER}"
            raise DamageError(_key_place(week), what)

    def _key_of(self, record: CommitRecord) -> WeekKey | None:
        return None if record.key_week is None else self._keys.get(record.key_week)


def _key_place(week: int) -> Place:
    return Place("control.db", f"row of id_keys of week {week}")
