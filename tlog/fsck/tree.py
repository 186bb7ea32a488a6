"""The walk over `log/`: every row in order, the tree hashed again as the rows go by."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from tlog.errors import StoreError
from tlog.fsck.damage import (
    DamageError,
    MonthSpan,
    Place,
    Progress,
    Report,
    leaf_place,
    row_place,
)
from tlog.fsck.ids import IdCheck
from tlog.fsck.unreadable import first_unreadable
from tlog.store.base import FullTile, StoredRows
from tlog.store.commit_record import CommitRecord, parse_commit_record
from tlog.store.keys import (
    COMMIT_RECORD,
    LEAF,
    LOG_KEY_BYTES,
    log_key,
    month_of,
    split_log_key,
    tile_key,
)
from tlog.tree import EMPTY_EDGE
from tlog_proofs import HASH_SIZE, MAX_ENTRY_BYTES, TILE_WIDTH, leaf_hash

WEEK_S = 604_800
PROGRESS_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Claim:
    """A signed root: at `size` the tree has `root` (32 bytes), says the row at `place`."""

    size: int
    root: bytes
    place: Place


def check_log_rows(
    stored: StoredRows,
    claims: Iterator[Claim],
    ids: IdCheck,
    report: Report,
    progress: Progress,
    total: int,
) -> None:
    """Check every row of `log/` and every claim against the tree that the entries hash to.

    claims: sizes ascending, at least 1. total: the expected size, for progress. Memory: one
    batch's entries, one tile a level, and the months. Fills size, root, commits, tiles and months
    of the report.

    Raises:
        DamageError: names the first wrong row.
    """
    walk = _Walk(claims, ids, report)
    with closing(stored.rows("log")) as rows:
        try:
            for number, (key, value) in enumerate(rows):
                walk.take(key, value)
                if number % PROGRESS_ROWS == 0:
                    progress(walk.size, max(total, walk.size))
        except StoreError as error:
            place = first_unreadable(stored, walk.size - 1, total) or walk.due()
            raise DamageError(place, f"cannot be read ({error})") from error
    walk.end()


class _Walk:
    """What has gone by of `log/`; edge, pending and tiles together say which row is due next."""

    def __init__(self, claims: Iterator[Claim], ids: IdCheck, report: Report) -> None:
        self._claims = claims
        self._claim = next(claims, None)
        self._ids = ids
        self._report = report
        self._edge = EMPTY_EDGE
        self._pending: list[bytes] = []  # hashes of leaves that are not in the edge yet
        self._tiles: deque[FullTile] = deque()  # full tiles whose rows are due
        self._record: CommitRecord | None = None
        self._met: list[tuple[Claim, bytes]] = []  # claims gone by, and the root at their size

    @property
    def size(self) -> int:
        """The number of leaves that went by."""
        return self._edge.size + len(self._pending)

    def due(self) -> Place:
        """The row that must come next, or may: after a whole batch it is the next one's leaf."""
        if self._tiles:
            tile = self._tiles[0]
            key = tile_key(tile.level, tile.index)
            return Place("log/", f"full tile of level {tile.level}", key, tile.last_index)
        return leaf_place(self.size)

    def take(self, key: bytes, value: bytes) -> None:
        """Check the next row."""
        if len(key) != LOG_KEY_BYTES:
            raise DamageError(
                Place("log/", "row", key), f"expected a key of 9 bytes, got {len(key)}"
            )
        index, row_type = split_log_key(key)
        if self._tiles:
            self._take_tile(key, value)
        elif row_type == LEAF:
            self._take_leaf(index, value)
        elif index >= self.size:
            raise DamageError(leaf_place(self.size), f"is missing: the next key is {key.hex()}")
        elif row_type == COMMIT_RECORD:
            self._take_record(row_place(key, index, row_type), value)
        else:
            raise DamageError(row_place(key, index, row_type), "no such row belongs there")

    def end(self) -> None:
        """Check that the rows ended where they may, and every claim was met."""
        if self._tiles:
            raise DamageError(self.due(), "is missing")
        if self._record is None:
            raise DamageError(Place("log/", "database"), "holds no commit record")
        if self._record.size != self.size:
            key = log_key(self.size - 1, COMMIT_RECORD)
            place = Place("log/", "commit record", key, self.size - 1)
            raise DamageError(place, "is missing: the last rows belong to no batch")
        if self._claim is not None:
            what = f"is of size {self._claim.size}, but log/ holds {self.size} entries"
            raise DamageError(self._claim.place, f"{what}: the database is an older copy")
        self._ids.end(self._record.t)
        self._report.size = self.size
        self._report.root = self._edge.root

    def _take_tile(self, key: bytes, value: bytes) -> None:
        place = self.due()
        if key != place.key:
            raise DamageError(place, f"is missing: the next key is {key.hex()}")
        tile = self._tiles.popleft()
        if value != tile.data:
            raise DamageError(
                place, "is not the tile of the stored entries", _differing(tile, value)
            )
        self._report.tiles += 1

    def _take_leaf(self, index: int, value: bytes) -> None:
        if index != self.size:
            raise DamageError(leaf_place(self.size), f"is missing: the next leaf is {index}")
        if len(value) > MAX_ENTRY_BYTES:
            what = f"expected at most {MAX_ENTRY_BYTES} bytes, got {len(value)}"
            raise DamageError(leaf_place(index), what)
        self._pending.append(leaf_hash(value))
        self._ids.add_leaf(value)
        claimed = self._claim is not None and self._claim.size == self.size
        if claimed or self.size % TILE_WIDTH == 0:
            self._hash_pending()

    def _hash_pending(self) -> None:
        self._edge, tiles = self._edge.extend(self._pending)
        self._pending.clear()
        self._tiles.extend(tiles)
        while self._claim is not None and self._claim.size == self._edge.size:
            self._met.append((self._claim, self._edge.root))
            self._claim = next(self._claims, None)

    def _check_claims(self) -> None:
        """Signed roots come after the commit record over them: that one is nearer to a fault."""
        for claim, root in self._met:
            if root != claim.root:
                what = f"says the root {claim.root.hex()}, the entries have {root.hex()}"
                raise DamageError(claim.place, what)
        self._met.clear()

    def _take_record(self, place: Place, value: bytes) -> None:
        self._hash_pending()
        try:
            record = parse_commit_record(value)
            month = month_of(record.t)
        except StoreError as error:
            raise DamageError(place, str(error)) from error
        before = self._record or CommitRecord(0, 0, b"", 0)
        expected, got = (before.size, self.size), (record.first_index, record.size)
        if expected != got:
            raise DamageError(place, f"expected a batch of entries {expected}, got {got}")
        if self._edge.root != record.root:
            what = f"says the root {record.root.hex()}, the entries have {self._edge.root.hex()}"
            raise DamageError(place, what, range(before.size, self.size))
        if record.t < before.t:
            raise DamageError(place, f"its t is {record.t}, in the batch before it was {before.t}")
        if record.key_week is not None and record.key_week != record.t // WEEK_S:
            raise DamageError(place, f"key week {record.key_week} is not that of t {record.t}")
        self._check_claims()
        self._ids.check(place, record)
        if self._record is None:
            self._report.first_t = record.t
        self._record = record
        self._report.commits += 1
        self._note_month(month, record)

    def _note_month(self, month: str, record: CommitRecord) -> None:
        months = self._report.months
        start = record.first_index
        if months and months[-1].month == month:
            start = months.pop().start
        months.append(MonthSpan(month, start, record.size))


def _differing(tile: FullTile, stored: bytes) -> range:
    """The entries whose hash differs in a stored tile of level 0: none in higher levels."""
    if tile.level > 0 or len(stored) != len(tile.data):
        return range(0)
    offsets = [
        offset
        for offset in range(TILE_WIDTH)
        if stored[offset * HASH_SIZE :][:HASH_SIZE] != tile.data[offset * HASH_SIZE :][:HASH_SIZE]
    ]
    first = tile.index * TILE_WIDTH
    return range(first + offsets[0], first + offsets[-1] + 1)
