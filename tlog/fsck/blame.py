"""Which row is wrong when entries and a tile or a commit record over them do not agree.

The tree alone cannot tell. `index/` can: it was written from the entries when they were new, so
an entry whose leaf hash is not in it, or that stands in it under another one, has changed since.
"""

from __future__ import annotations

from contextlib import closing

from tlog.errors import StoreError
from tlog.fsck.damage import DamageError, leaf_place
from tlog.fsck.index import is_mark
from tlog.store.base import StoredRows
from tlog.store.keys import (
    LEAF,
    LOG_KEY_BYTES,
    U64_BYTES,
    index_key,
    split_log_key,
    unpack_index,
)
from tlog_proofs import leaf_hash


def nearest(stored: StoredRows, damage: DamageError) -> DamageError:
    """The damage, moved to the first suspect that is not what was indexed; as it was if all are.

    Where the index is missing or cannot be read it is no witness, and nothing is moved.
    """
    try:
        changed = _changed(stored, damage.suspects) if damage.suspects else None
    except StoreError:
        changed = None
    if changed is None:
        return damage
    what = f"is not the entry that was indexed; {damage.place.kind}: {damage.what}"
    return DamageError(leaf_place(changed), what)


def _changed(stored: StoredRows, suspects: range) -> int | None:
    """The first suspect below the index's mark that is not what was indexed."""
    wanted: dict[bytes, int] = {}
    keys: dict[int, bytes] = {}  # of the row of each suspect, if it has one of its own
    with closing(stored.rows("log")) as rows:
        for key, value in rows:
            if len(key) != LOG_KEY_BYTES:
                break
            index, row_type = split_log_key(key)
            if index >= suspects.stop:
                break
            if row_type == LEAF and index in suspects:
                keys[index] = index_key(index, leaf_hash(value))
                wanted.setdefault(keys[index], index)
    mark = 0
    others: set[int] = set()
    with closing(stored.rows("index")) as rows:
        for key, value in rows:
            wanted.pop(key, None)
            if is_mark(key, value):
                mark = unpack_index(value)
            elif len(value) == U64_BYTES:
                index = unpack_index(value)
                if keys.get(index, key) != key:
                    others.add(index)
    return min((index for index in {*wanted.values(), *others} if index < mark), default=None)
