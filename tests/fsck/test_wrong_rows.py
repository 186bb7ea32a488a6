"""Every planted fault in a LevelDB database is named by its row."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import plyvel
import pytest

from tests import reference
from tests.fsck.stored_log import NAME, damage_of, database, entries
from tests.server.doubles import START_S
from tlog.store.commit_record import CommitRecord, format_commit_record, parse_commit_record
from tlog.store.keys import COMMIT_RECORD, LEAF, id_key, index_key, log_key, pack_index, tile_key
from tlog_proofs import leaf_hash


@dataclass(frozen=True)
class Fault:
    """A change of rows of one database, and the row that must be named."""

    name: str
    database: str
    puts: dict[bytes, bytes]
    deletes: tuple[bytes, ...]
    kind: str
    key: bytes | None
    index: int | None
    what: str


def _record(**changes: int) -> bytes:
    """A record of the batch [4, 601), of the root of a tree with another genesis."""
    hashes = tuple(reference.leaf(leaf) for leaf in [b"another genesis", *entries(1, 601)])
    record = CommitRecord(4, 601, reference.root(hashes), START_S)
    return format_commit_record(replace(record, **changes))  # type: ignore[arg-type]


def _leaf(index: int) -> bytes:
    return log_key(index, LEAF)


RECORD = log_key(600, COMMIT_RECORD)
TILE = tile_key(0, 1)  # entries 256 to 511
HASH_5 = index_key(5, leaf_hash(b"entry 5"))
ID_4 = id_key(4, leaf_hash(b"entry 4"))
BODY_MONTH = "bodies/2026-10"

FAULTS = [
    Fault("a changed entry under a tile", "log", {_leaf(300): b"x"}, (), "leaf", _leaf(300), 300,
          "not the entry that was indexed"),
    Fault("a changed entry under no tile", "log", {_leaf(550): b"x"}, (), "leaf", _leaf(550), 550,
          "not the entry that was indexed"),
    Fault("a changed entry like an earlier one", "log", {_leaf(300): b"entry 5"}, (), "leaf",
          _leaf(300), 300, "not the entry that was indexed"),
    Fault("a changed last entry", "log", {_leaf(604): b"x"}, (), "leaf", _leaf(604), 604,
          "not the entry that was indexed"),
    Fault("a missing entry", "log", {}, (_leaf(300),), "leaf", _leaf(300), 300, "missing"),
    Fault("a missing entry before a tile", "log", {}, (_leaf(511),), "leaf", _leaf(511), 511,
          "missing"),
    Fault("a missing genesis", "log", {}, (_leaf(0),), "leaf", _leaf(0), 0, "missing"),
    Fault("another genesis", "log", {_leaf(0): b"x"}, (), "leaf", _leaf(0), 0, "no genesis"),
    Fault("an entry too long", "log", {_leaf(7): bytes(65_536)}, (), "leaf", _leaf(7), 7, "65535"),
    Fault("an entry beyond the newest batch", "log", {_leaf(605): b"x"}, (), "commit record",
          log_key(605, COMMIT_RECORD), 605, "missing"),
    Fault("a missing tile", "log", {}, (TILE,), "full tile of level 0", TILE, 511, "missing"),
    Fault("a changed tile", "log", {TILE: bytes(8192)}, (), "full tile of level 0", TILE, 511,
          "not the tile"),
    Fault("a short tile", "log", {TILE: bytes(8160)}, (), "full tile of level 0", TILE, 511,
          "not the tile"),
    Fault("a tile where none is full", "log", {log_key(300, 0x10): bytes(8192)}, (),
          "full tile of level 0", log_key(300, 0x10), 300, "no such row"),
    Fault("a tile of a level that is not full", "log", {log_key(511, 0x11): bytes(8192)}, (),
          "full tile of level 1", log_key(511, 0x11), 511, "no such row"),
    Fault("a tile beyond the entries", "log", {log_key(767, 0x10): bytes(8192)}, (), "leaf",
          _leaf(605), 605, "missing"),
    Fault("a row of an unknown type", "log", {log_key(9, 0x20): b"x"}, (), "row of type 0x20",
          log_key(9, 0x20), 9, "no such row"),
    Fault("a key of another length", "log", {b"\0" * 8: b"x"}, (), "row", b"\0" * 8, None,
          "9 bytes"),
    Fault("a key of another length later", "log", {_leaf(9) + b"\0": b"x"}, (), "row",
          _leaf(9) + b"\0", None, "9 bytes"),
    Fault("a missing commit record", "log", {}, (RECORD,), "commit record",
          log_key(601, COMMIT_RECORD), 601, "expected a batch of entries (4, 602)"),
    Fault("a missing last commit record", "log", {}, (log_key(604, COMMIT_RECORD),),
          "commit record", log_key(604, COMMIT_RECORD), 604, "missing"),
    Fault("a commit record that is none", "log", {RECORD: b"x"}, (), "commit record", RECORD, 600,
          "commit record"),
    Fault("a record where no batch ends", "log", {log_key(9, COMMIT_RECORD): _record()}, (),
          "commit record", log_key(9, COMMIT_RECORD), 9, "expected a batch of entries (4, 10)"),
    Fault("a record of another root", "log", {RECORD: _record()}, (), "commit record", RECORD, 600,
          "the entries have"),
    Fault("a record of another first index", "log", {RECORD: _record(first_index=5)}, (),
          "commit record", RECORD, 600, "expected a batch of entries (4, 601), got (5, 601)"),
    Fault("a time that goes back", "log", {RECORD: b"t=1"}, (), "commit record", RECORD, 600,
          "its t is 1"),
    Fault("a first batch of another time than the genesis", "log",
          {log_key(0, COMMIT_RECORD): b"t=1"}, (), "leaf", _leaf(0), 0, "says created"),
    Fault("a time beyond all months", "log", {RECORD: b"t=1000000000000"}, (), "commit record",
          RECORD, 600, "year 10000"),
    Fault("a key week of another time", "log", {RECORD: b"week=7"}, (), "commit record", RECORD,
          600, "key week 7"),
    Fault("an index row of another entry", "index", {HASH_5: pack_index(6)}, (), "row", HASH_5, 5,
          "delete it"),
    Fault("a missing index row", "index", {}, (HASH_5,), "row", HASH_5, 5, "missing"),
    Fault("a missing row of an id", "index", {}, (ID_4,), "row", ID_4, 4, "missing"),
    Fault("a changed row of an id", "index", {ID_4: bytes(40)}, (), "row", ID_4, 4, "expected"),
    Fault("an index row of no entry", "index", {index_key(5, b"\xee" * 32): pack_index(5)}, (),
          "row", index_key(5, b"\xee" * 32), None, "belongs to no entry"),
    Fault("a key of the index of another form", "index", {b"\0\0\0\0\x07": b"x"}, (), "row",
          b"\0\0\0\0\x07", None, "belongs to no entry"),
    Fault("an index row of another length", "index", {HASH_5: b"x"}, (), "row", HASH_5, 5, "78"),
    Fault("a mark in another group", "index", {b"\0\0\0\7\xff": pack_index(605)}, (), "row",
          b"\0\0\0\7\xff", None, "no mark"),
    Fault("a body in an opaque log", BODY_MONTH, {pack_index(2): b"x"}, (), "body", pack_index(2),
          2, "no bodies"),
    Fault("a body's key of another length", BODY_MONTH, {b"short": b"x"}, (), "body", b"short",
          None, "8 bytes"),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_wrong_row_is_named(data: Path, fault: Fault) -> None:
    """Kind, key, index and what is wrong of the first wrong row, whatever was planted."""
    with database(data, fault.database) as rows:
        for key, value in fault.puts.items():
            planted = value
            if value.startswith((b"t=", b"week=")):
                field, number = value.decode().split("=")
                name = {"t": "t", "week": "key_week"}[field]
                record = parse_commit_record(rows.get(key))
                changed = replace(record, **{name: int(number)})  # type: ignore[arg-type]
                planted = format_commit_record(changed)
            rows.put(key, planted)
        for key in fault.deletes:
            assert rows.get(key) is not None
            rows.delete(key)
    damage = damage_of(data)
    place = damage.place
    assert (place.kind, place.key, place.index) == (fault.kind, fault.key, fault.index)
    assert place.file.rstrip("/") == fault.database
    assert fault.what in damage.what


def test_without_its_index_a_changed_entry_is_narrowed_to_its_batch(data: Path) -> None:
    """The commit record or the tile over the entry is named when no index can tell more."""
    shutil.rmtree(data / "logs" / NAME / "index")
    with database(data, "log") as log:
        log.put(_leaf(550), b"x")
    assert damage_of(data).place.key == RECORD


@pytest.mark.parametrize("part", [0.2, 0.4, 0.6, 0.8])
def test_a_flipped_bit_in_a_table_names_the_first_row_that_cannot_be_read(
    data: Path, part: float
) -> None:
    """The first row of the block whose checksum fails, found here by asking for each key."""
    with database(data, "log") as log:
        log.compact_range()
        keys = list(log.iterator(include_value=False))
    table = max((data / "logs" / NAME / "log").glob("*.ldb"), key=lambda path: path.stat().st_size)
    stored = bytearray(table.read_bytes())
    stored[int(len(stored) * part)] ^= 4
    table.write_bytes(stored)
    damage = damage_of(data)
    with database(data, "log") as log:
        for key in keys:
            try:
                log.get(key, verify_checksums=True)
            except plyvel.CorruptionError:
                break
        else:
            pytest.fail("every row can be read")
    assert damage.place.key == key
    assert "cannot be read" in damage.what
