"""The check of `index/` against the entries: every row right, none missing, none too many.

The index is derived. What the next start mends by itself (missing, behind, ahead) is a note;
a wrong row is damage, since no start looks at every row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from tlog.errors import StoreError
from tlog.fsck.damage import DamageError, Place, Report
from tlog.fsck.ids import IdCheck
from tlog.fsck.unreadable import check_opens
from tlog.store.base import Row, StoredRows
from tlog.store.commit_record import MAC_BYTES, CommitRecord, IdRow, parse_commit_record
from tlog.store.keys import (
    COMMIT_RECORD,
    FULL_TILE,
    INDEX_GROUP_BITS,
    INDEX_HASH_BYTES,
    INDEX_ID,
    INDEX_LEAF,
    LEAF,
    U64_BYTES,
    group_leaf_key,
    mark_key,
    pack_index,
    split_log_key,
    unpack_index,
)
from tlog_proofs import HASH_SIZE, leaf_hash

_KEY_END = 1 + INDEX_HASH_BYTES
_GROUP_BYTES = 4  # of a key, before the type of its row
_ID_VALUE_BYTES = U64_BYTES + 2 * MAC_BYTES
REMEDY = "index/ is derived: delete it, and the next start builds it again from log/"


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A wrong row: its key, the entry it should name, what is wrong, what stands there if any."""

    key: bytes
    index: int | None
    what: str
    expected: bytes | None = None
    value: bytes | None = None


def check_index(stored: StoredRows, ids: IdCheck, report: Report) -> None:
    """Check every row of `index/`; `log/` was checked before. Memory: one group's hashes.

    Raises:
        DamageError: names the first wrong row, and says that the index may be deleted: unless
            what it says of an id may be right, and the commit record wrong.
    """
    if "index" not in stored.databases():
        report.notes.append("index/ is missing: the next start builds it again")
        return
    if not stored.is_begun("index"):
        report.notes.append("index/ was never finished: the next start builds it again")
        return
    check_opens(stored, "index", "index/", f"; {REMEDY}")
    mark = _read_mark(stored)
    if mark > report.size:
        report.notes.append(f"index/ is ahead of log/ ({mark}): the next start builds it again")
        return
    if mark < report.size:
        report.notes.append(f"index/ ends at entry {mark}: the next start goes on from there")
    expected = _expected_rows(stored, mark)
    with closing(stored.rows("index")) as rows, closing(expected):
        for key, value in rows:
            if is_mark(key, value):
                continue
            wrong = _difference(next(expected, None), key, value)
            if wrong is not None:
                break
            report.index_rows += 1
        else:
            missing = next(expected, None)
            wrong = None if missing is None else _missing(missing)
    if wrong is not None:
        advice = _advice(stored, ids, wrong)
        raise DamageError(Place("index/", "row", wrong.key, wrong.index), f"{wrong.what}; {advice}")


def _read_mark(stored: StoredRows) -> int:
    """The mark that the last row holds, once every row could be read; 0 without rows."""
    last: deque[Row] = deque(maxlen=1)
    try:
        with closing(stored.rows("index")) as rows:
            last.extend(rows)
    except StoreError as error:
        place = Place("index/", "row after this key", last[0][0] if last else None)
        raise DamageError(place, f"cannot be read ({error}); {REMEDY}") from error
    if not last:
        return 0
    key, value = last[0]
    if not is_mark(key, value):
        raise _damage(key, None, "the last row is no mark")
    return unpack_index(value)


def is_mark(key: bytes, value: bytes) -> bool:
    """Whether a row is a mark, and a right one: it stands in the group of the entry before it."""
    return (
        len(value) == U64_BYTES
        and (mark := unpack_index(value)) > 0
        and (mark - 1) >> INDEX_GROUP_BITS < 1 << 32
        and key == mark_key(mark)
    )


def _difference(expected: Row | None, key: bytes, value: bytes) -> _Wrong | None:
    """What is wrong of a row of the index, or of the one that is due before it; None if nothing."""
    if expected is None or key < expected[0]:
        return _Wrong(key, None, "belongs to no entry", value=value)
    if key > expected[0]:
        return _missing(expected)
    if value != expected[1]:
        what = f"expected {expected[1].hex()}, got {value.hex()}"
        return _Wrong(key, _index_of(expected), what, expected[1], value)
    return None


def _missing(expected: Row) -> _Wrong:
    return _Wrong(expected[0], _index_of(expected), "is missing", expected[1])


def _advice(stored: StoredRows, ids: IdCheck, wrong: _Wrong) -> str:
    """What to do: the index is deleted only where nothing that it says of an id can be right."""
    value = wrong.value
    if wrong.key[_GROUP_BYTES : _GROUP_BYTES + 1] != bytes([INDEX_ID]):
        return REMEDY
    if value is None and wrong.index is not None:
        value = _other_id_row(stored, wrong.index)
    if value is None or len(value) != _ID_VALUE_BYTES:
        return REMEDY
    index = unpack_index(value[:U64_BYTES]) if wrong.index is None else wrong.index
    over = _record_over(stored, index)
    if over is None:
        return REMEDY
    key, record = over
    # An id's MAC cannot be computed again; where both have the same, that of the bytes decides.
    id_mac = slice(U64_BYTES, U64_BYTES + MAC_BYTES)
    same_id = wrong.expected is not None and wrong.expected[id_mac] == value[id_mac]
    if same_id and ids.proves(record):
        return REMEDY
    return (
        f"of the ids of entry {index} the commit record in log/, key {key.hex()}, says otherwise, "
        "and either may be the damaged one: delete neither, bring the right copies of log/ and "
        "index/ back"
    )


def _other_id_row(stored: StoredRows, index: int) -> bytes | None:
    """The value of the row of an id that the index has of an entry."""
    with closing(stored.rows("index")) as rows:
        for key, value in rows:
            is_id = key[_GROUP_BYTES : _GROUP_BYTES + 1] == bytes([INDEX_ID])
            if is_id and len(value) == _ID_VALUE_BYTES and unpack_index(value[:U64_BYTES]) == index:
                return value
    return None


def _record_over(stored: StoredRows, index: int) -> tuple[bytes, CommitRecord] | None:
    """The key of the commit record of the batch that holds an entry, and the record."""
    with closing(stored.rows("log")) as rows:
        for key, value in rows:
            last, row_type = split_log_key(key)
            if row_type == COMMIT_RECORD and last >= index:
                return key, parse_commit_record(value)
    return None


def _expected_rows(stored: StoredRows, mark: int) -> Generator[Row]:
    """The rows, without marks, of an index of entries [0, mark), in order."""
    wanted = _Wanted(mark)
    with closing(stored.rows("log")) as rows:
        for key, value in rows:
            index, row_type = split_log_key(key)
            if row_type == LEAF:
                wanted.add_leaf(value)
            elif row_type == FULL_TILE:
                wanted.add_tile(value)
            elif row_type == COMMIT_RECORD:
                wanted.add_ids(parse_commit_record(value).ids)
                while index + 1 >= wanted.group_end:
                    yield from wanted.take_group()
    wanted.add_tail()
    while wanted.holds_rows:
        yield from wanted.take_group()


class _Wanted:
    """What the groups that are not finished yet shall hold.

    A row is kept as `type || first 12 bytes of the hash or MAC || value`, which sorts as rows do.
    """

    def __init__(self, mark: int) -> None:
        self._mark = mark
        self._group = 0
        self._hashed = 0  # entries whose leaf hash was added
        self._tail: list[bytes] = []  # leaves after the last full tile
        self._rows: dict[int, list[bytes]] = {}

    @property
    def group_end(self) -> int:
        """The index at which the next group to be taken ends."""
        return (self._group + 1) << INDEX_GROUP_BITS

    @property
    def holds_rows(self) -> bool:
        """Whether some group is not taken yet."""
        return bool(self._rows)

    def add_leaf(self, leaf: bytes) -> None:
        """An entry; its hash follows, in a tile or from the tail."""
        self._tail.append(leaf)

    def add_tile(self, tile: bytes) -> None:
        """The leaf hashes of the entries that were added last."""
        self._tail.clear()
        for offset in range(0, len(tile), HASH_SIZE):
            self._add_hash(tile[offset : offset + HASH_SIZE])

    def add_tail(self) -> None:
        """The log ended: what is in no tile is hashed."""
        for leaf in self._tail:
            self._add_hash(leaf_hash(leaf))

    def add_ids(self, ids: Sequence[IdRow]) -> None:
        """The ids of a batch."""
        for row in ids:
            value = pack_index(row.index) + row.id_mac + row.bytes_mac
            self._add(row.index, INDEX_ID, row.id_mac, value)

    def take_group(self) -> Iterator[Row]:
        """The rows of the next group, in order; of equal keys the lowest index."""
        rows = self._rows.pop(self._group, [])
        prefix = group_leaf_key(self._group, b"")[:-1]
        self._group += 1
        before = b""
        for row in sorted(rows):
            key, value = row[:_KEY_END], row[_KEY_END:]
            if key != before:
                yield prefix + key, value
            before = key

    def _add_hash(self, hashed: bytes) -> None:
        self._add(self._hashed, INDEX_LEAF, hashed, pack_index(self._hashed))
        self._hashed += 1

    def _add(self, index: int, row_type: int, name: bytes, value: bytes) -> None:
        if index < self._mark:
            row = bytes([row_type]) + name[:INDEX_HASH_BYTES] + value
            self._rows.setdefault(index >> INDEX_GROUP_BITS, []).append(row)


def _index_of(row: Row) -> int:
    return unpack_index(row[1][:U64_BYTES])


def _damage(key: bytes, index: int | None, what: str) -> DamageError:
    return DamageError(Place("index/", "row", key, index), f"{what}; {REMEDY}")
