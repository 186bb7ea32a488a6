"""Which row is wrong when entries and a tile or a commit record over them do not agree.

The tree alone cannot tell. `index/` can: it was written from the entries when they were new, so
an entry whose leaf hash is not in it has changed since.
"""

from __future__ import annotations

from contextlib import closing

from tlog.errors import StoreError
from tlog.fsck.damage import DamageError, leaf_place
from tlog.fsck.index import is_mark
from tlog.store.base import StoredRows
from tlog.store.keys import LEAF, LOG_KEY_BYTES, index_key, split_log_key, unpack_index
from tlog_proofs import leaf_hash


def nearest(stored: StoredRows, damage: DamageError) -> DamageError:
    """The damage, moved to the first suspect that is not in the index; as it was if all are.

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
    """The first suspect below the index's mark whose leaf hash is not in the index."""
    wanted: dict[bytes, int] = {}
    with closing(stored.rows("log")) as rows:
        for key, value in rows:
            if len(key) != LOG_KEY_BYTES:
                break
            index, row_type = split_log_key(key)
            if index >= suspects.stop:
                break
            if row_type == LEAF and index in suspects:
                wanted.setdefault(index_key(index, leaf_hash(value)), index)
    mark = 0
    with closing(stored.rows("index")) as rows:
        for key, value in rows:
            wanted.pop(key, None)
            if is_mark(key, value):
                mark = unpack_index(value)
    return min((index for index in wanted.values() if index < mark), default=None)
