"""What `tlog fsck` says where control.db, commit records and index do not agree on ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fsck.stored_log import NAME, NEXT_MONTH, WEEK_S, append, damage_of, database
from tests.server.doubles import START_S, FakeClock
from tlog.app import LevelDBStores
from tlog.confirmation import confirm_ids
from tlog.control import ControlDatabase
from tlog.fsck.check import check_log
from tlog.fsck.damage import DamageError, Report
from tlog.ids import new_key
from tlog.store.commit_record import CommitRecord, IdRow, format_commit_record, parse_commit_record
from tlog.store.keys import COMMIT_RECORD, id_key, log_key, pack_index
from tlog.store.leveldb_rows import LevelDBRows
from tlog_proofs import leaf_hash

RECORD = log_key(600, COMMIT_RECORD)  # entries 4 to 600; that of entry 4 has an id
ID_MAC = leaf_hash(b"entry 4")[:16]
WEEK = START_S // WEEK_S
LAST_WEEK = NEXT_MONTH // WEEK_S  # of the batch of entries 602 to 604
DELETE_IT = "delete it"


def check(data_dir: Path, now_s: int = NEXT_MONTH) -> Report:
    """`tlog fsck` at a time."""
    return check_log(data_dir, NAME, LevelDBRows, lambda _done, _total: None, now_s)


def drop_keys(data_dir: Path) -> None:
    """control.db lost all keys."""
    control = ControlDatabase(data_dir / "control.db")
    control.destroy_id_keys(NAME, LAST_WEEK + 2)
    control.close()


def change_record(data_dir: Path, change: Callable[[CommitRecord], CommitRecord]) -> None:
    """Plant another commit record over entries 4 to 600."""
    with database(data_dir, "log") as log:
        log.put(RECORD, format_commit_record(change(parse_commit_record(log.get(RECORD)))))


def change_row(data_dir: Path, bytes_mac: bytes) -> None:
    """Plant another MAC of the bytes of entry 4 in the index."""
    with database(data_dir, "index") as index:
        index.put(id_key(4, ID_MAC), pack_index(4) + ID_MAC + bytes_mac)


def another_id(record: CommitRecord) -> CommitRecord:
    """The id of entry 4 is another."""
    return replace(record, ids=(replace(record.ids[0], id_mac=bytes(16)),))


def no_id(record: CommitRecord) -> CommitRecord:
    """Entry 4 has no id."""
    return replace(record, key_week=None, ids=())


def one_id_more(record: CommitRecord) -> CommitRecord:
    """Entry 5 has the id of entry 4 too, and its bytes are unknown."""
    return replace(record, ids=(record.ids[0], IdRow(5, bytes(16), bytes(16))))


@pytest.mark.parametrize("change", [another_id, no_id])
def test_where_record_and_index_differ_in_an_id_nothing_may_be_deleted(
    data: Path, change: Callable[[CommitRecord], CommitRecord]
) -> None:
    """An id's MAC cannot be computed again: the index may hold the only right copy."""
    change_record(data, change)
    damage = damage_of(data)
    assert damage.place.file == "index/"
    assert f"the commit record in log/, key {RECORD.hex()}, says otherwise" in damage.what
    assert "delete neither" in damage.what
    assert DELETE_IT not in damage.what


def test_a_record_with_a_mac_that_its_key_did_not_make_is_named(data: Path) -> None:
    """The record before proves the key, so this record is the wrong one; the index is right."""
    change_record(data, lambda r: replace(r, ids=(replace(r.ids[0], bytes_mac=bytes(16)),)))
    damage = damage_of(data)
    assert (damage.place.kind, damage.place.key) == ("commit record", RECORD)
    assert "the MAC of the bytes of entry 4" in damage.what
    assert "delete" not in damage.what


def test_one_mac_that_fits_proves_the_key_for_the_others(data: Path) -> None:
    """The wrong one of two is named by its entry."""
    change_record(data, one_id_more)
    damage = damage_of(data)
    assert damage.place.key == RECORD
    assert "the MAC of the bytes of entry 5" in damage.what


def test_an_index_row_against_a_proven_record_is_the_wrong_one(data: Path) -> None:
    """The key proves the record's MAC of the bytes: the index may be built again."""
    change_row(data, bytes(16))
    damage = damage_of(data)
    assert damage.place.key == id_key(4, ID_MAC)
    assert DELETE_IT in damage.what


def test_without_the_key_nothing_proves_a_record_against_the_index(data: Path) -> None:
    """Long after the window there is no key: both are named."""
    change_row(data, bytes(16))
    drop_keys(data)
    with pytest.raises(DamageError, match="delete neither"):
        check(data, NEXT_MONTH + 2 * WEEK_S)


def test_a_missing_key_is_named_while_its_window_lasts(data: Path) -> None:
    """By the newest batch or the clock, whichever is later."""
    drop_keys(data)
    for now_s in (0, NEXT_MONTH, (LAST_WEEK + 2) * WEEK_S - 1):
        with pytest.raises(DamageError, match="has ids of that week") as caught:
            check(data, now_s)
        assert caught.value.place.file == "control.db"
        assert caught.value.place.kind == f"row of id_keys of week {LAST_WEEK}"
    assert check(data, (LAST_WEEK + 2) * WEEK_S).size == 605


def test_a_key_that_made_no_mac_is_named_beside_the_record(data: Path) -> None:
    """Nothing says which of the two is the wrong one."""
    control = ControlDatabase(data / "control.db")
    control.replace_id_key(NAME, new_key(WEEK, 1))
    control.close()
    damage = damage_of(data)
    assert damage.place.key == log_key(3, COMMIT_RECORD)
    assert f"the key that control.db has for week {WEEK}; either may be" in damage.what


def test_a_key_of_a_later_size_than_its_own_macs_is_named(data: Path) -> None:
    """first_index says which entries need not be looked at: too high a one loses ids."""
    control = ControlDatabase(data / "control.db")
    key = next(key for key in control.id_keys(NAME) if key.week == WEEK)
    control.replace_id_key(NAME, replace(key, first_index=601))
    control.close()
    damage = damage_of(data)
    assert damage.place.kind == f"row of id_keys of week {WEEK}"
    assert "made at size 601" in damage.what


def test_after_a_confirmation_the_log_is_clean(data: Path) -> None:
    """Both weeks of the window have keys that are younger than the records."""
    later = NEXT_MONTH + WEEK_S
    append(data, [b"entry 605"], t=later)
    drop_keys(data)
    assert confirm_ids(data, NAME, LevelDBStores(), FakeClock(later)) == LAST_WEEK + 1
    assert check(data, later).size == 606
