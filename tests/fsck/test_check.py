"""`tlog fsck` of logs that are right, and of states that the next start mends by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import reference
from tests.fsck.stored_log import (
    NAME,
    NEXT_MONTH,
    append,
    check,
    damage_of,
    database,
    entries,
    make_log,
)
from tlog.errors import LockHeldError
from tlog.lock import DirectoryLock
from tlog.store.keys import LEAF, index_key, mark_key, pack_index, tile_key
from tlog_proofs import KIND_EVENT, leaf_hash


def test_a_sound_log_is_clean_and_counted(data: Path) -> None:
    """Every row is counted; the root is that of the recursion over all entries."""
    report = check(data)
    assert (report.size, report.commits, report.tiles) == (605, 5, 2)
    assert (report.checkpoints, report.bodies, report.tokens) == (4, 0, 1)
    assert report.index_rows == 604 + 4  # one entry stands there twice; four ids
    assert [span.month for span in report.months] == ["2026-10", "2026-11"]
    assert report.notes == []
    with database(data, "log") as log:
        leaves = [value for key, value in log.iterator() if key[8] == LEAF]
    assert report.root == reference.root(tuple(reference.leaf(leaf) for leaf in leaves))


def test_a_check_changes_nothing_that_a_check_sees(data: Path) -> None:
    """Twice the same report, and the key, head and tables as they were."""
    before = check(data)
    assert check(data) == before


def test_a_log_of_a_genesis_alone_is_clean(tmp_path: Path) -> None:
    """What `log create` makes is right from the first second."""
    make_log(tmp_path)
    report = check(tmp_path)
    assert (report.size, report.commits, report.tiles, report.index_rows) == (1, 1, 0, 1)


def test_tiles_of_two_levels_are_compared(tmp_path: Path) -> None:
    """65,536 entries make 256 tiles of level 0 and one of level 1, which must be that of them."""
    make_log(tmp_path)
    append(tmp_path, *(entries(n, n + 4096) for n in range(1, 65_537, 4096)))
    assert check(tmp_path).tiles == 257
    key = tile_key(1, 0)
    with database(tmp_path, "log") as log:
        tile = bytearray(log.get(key))
        tile[5000] ^= 1
        log.put(key, bytes(tile))
    damage = damage_of(tmp_path)
    assert (damage.place.kind, damage.place.key) == ("full tile of level 1", key)
    assert damage.place.index == 65_535


def test_an_index_that_the_next_start_mends_is_a_note(data: Path) -> None:
    """Missing, empty, behind and ahead: the log is clean, and the note says what follows."""
    index = data / "logs" / NAME / "index"
    with database(data, "index") as rows:
        last = rows.get(mark_key(605))
        rows.put(mark_key(605), pack_index(606))
    assert "ahead" in check(data).notes[0]
    with database(data, "index") as rows:
        rows.put(mark_key(605), last)
    append(data, [b"not indexed"], t=NEXT_MONTH)
    with database(data, "index") as rows:
        rows.put(mark_key(605), last)
        rows.delete(index_key(605, leaf_hash(b"not indexed")))
        for key in list(rows.iterator(prefix=b"\0\0\0\0\1", include_value=False)):
            if rows.get(key)[:8] == pack_index(605):
                rows.delete(key)
    assert check(data).notes == ["index/ ends at entry 605: the next start goes on from there"]
    shutil.rmtree(index)
    assert check(data).notes == ["index/ is missing: the next start builds it again"]
    index.mkdir()  # as a crash in the midst of making it leaves it
    (index / "LOCK").touch()
    assert check(data).notes == ["index/ was never finished: the next start builds it again"]


def test_entries_that_are_not_signed_yet_are_a_note(data: Path) -> None:
    """A crash between commit and head leaves them: the next start signs them."""
    append(data, [b"one", b"two"], t=NEXT_MONTH, publish=False)
    report = check(data)
    assert report.size == 607
    assert report.notes == ["entries 605 to 606 are not signed yet: the next start signs them"]


def test_bodies_of_an_event_log_lie_in_the_months_of_their_batches(tmp_path: Path) -> None:
    """Right months are clean, a body in another month or beyond the size is told."""
    make_log(tmp_path, KIND_EVENT)
    append(tmp_path, entries(1, 5), bodies=True)
    append(tmp_path, entries(5, 7), t=NEXT_MONTH, bodies=True)
    assert check(tmp_path).bodies == 6
    with database(tmp_path, "bodies/2026-11") as rows:
        rows.put(pack_index(7), b"left by a crash")
    assert "beyond the size" in check(tmp_path).notes[0]
    with database(tmp_path, "bodies/2026-11") as rows:
        rows.put(pack_index(3), b"x")
    damage = damage_of(tmp_path)
    assert (damage.place.file, damage.place.index) == ("bodies/2026-11", 3)
    assert "another month" in damage.what


def test_a_directory_in_use_is_left_alone(data: Path) -> None:
    """The holder of the lock is to be stopped first."""
    with DirectoryLock(data), pytest.raises(LockHeldError, match="stop the server first"):
        check(data)
