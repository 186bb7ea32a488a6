"""The conformance suite against each store, and what is LevelDB's alone."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import plyvel
import pytest

from tests.store.conformance import (
    MONTH_S,
    NOVEMBER,
    StoreConformance,
    entries,
    make_batch,
)
from tlog.errors import FatalLogError, StoreError
from tlog.store.base import Batch, Store
from tlog.store.keys import COMMIT_RECORD, LEAF, log_key, mark_key, pack_index, tile_key
from tlog.store.leveldb import LevelDBStore
from tlog.store.memory import MemoryDisk, MemoryStore
from tlog.tree import EMPTY_EDGE, RightEdge, load_right_edge
from tlog_proofs import leaf_hash


class BreakableMemoryStore(MemoryStore):
    """A MemoryStore that fails at a named step of its next commit."""

    def __init__(self, disk: MemoryDisk) -> None:
        super().__init__(disk)
        self.disk = disk
        self.broken = ""

    def write_bodies(self, batch: Batch) -> None:
        super().write_bodies(batch)
        if self.broken == "bodies":
            message = "fault after the bodies"
            raise StoreError(message)

    def write_log(self, batch: Batch) -> None:
        if self.broken == "log-lost":
            message = "fault before the log"
            raise StoreError(message)
        super().write_log(batch)
        if self.broken == "log-persisted":
            message = "fault after the log"
            raise StoreError(message)


class TestMemoryStore(StoreConformance):
    """The store in memory keeps every promise."""

    def create(self, genesis: Batch) -> Store:
        disk = MemoryDisk()
        store = BreakableMemoryStore(disk)
        store.create_month(genesis.record.t)
        store.commit(genesis)
        store.index(genesis)
        return store

    def reopen(self, store: Store) -> Store:
        assert isinstance(store, BreakableMemoryStore)
        store.close()
        return BreakableMemoryStore(store.disk)

    def break_next(self, store: Store, step: str) -> None:
        assert isinstance(store, BreakableMemoryStore)
        store.broken = step


class FaultyDatabase:
    """A LevelDB database whose next batch is lost, or written although the caller is told not."""

    def __init__(self, database: plyvel.DB, *, persist: bool) -> None:
        self._database = database
        self._persist = persist

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    def write_batch(self, **options: bool) -> FaultyBatch:
        return FaultyBatch(self._database.write_batch(**options), persist=self._persist)


class FaultyBatch:
    """Raises where the write would be acknowledged."""

    def __init__(self, batch: plyvel._plyvel.WriteBatch, *, persist: bool) -> None:
        self._batch = batch
        self._persist = persist

    def __enter__(self) -> plyvel._plyvel.WriteBatch:
        return self._batch

    def __exit__(self, *_: object) -> None:
        if self._persist:
            self._batch.write()
        message = "injected"
        raise plyvel.IOError(message)


class TestLevelDBStore(StoreConformance):
    """The store on LevelDB keeps every promise."""

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path
        self.made = 0

    def create(self, genesis: Batch) -> Store:
        self.made += 1
        return LevelDBStore.create(self.directory / str(self.made), genesis)

    def reopen(self, store: Store) -> Store:
        assert isinstance(store, LevelDBStore)
        store.close()
        return LevelDBStore(store._directory)

    def break_next(self, store: Store, step: str) -> None:
        assert isinstance(store, LevelDBStore)
        if step == "bodies":
            # The bodies become durable, the log never hears of the batch.
            store._log = FaultyDatabase(store._log, persist=False)
        else:
            store._log = FaultyDatabase(store._log, persist=step == "log-persisted")

    def one(self, *batches: int) -> tuple[Path, RightEdge]:
        """The directory of a closed store."""
        store, edge = self.filled(*batches)
        store.close()
        return self.directory / str(self.made), edge

    def test_create_refuses_what_is_there(self) -> None:
        """A second creation changes nothing."""
        path, edge = self.one(3)
        _, genesis = make_batch(EMPTY_EDGE, [b"another genesis"])
        with pytest.raises(StoreError):
            LevelDBStore.create(path, genesis)
        store = LevelDBStore(path)
        assert store.newest_commit().root == edge.root
        store.close()

    @pytest.mark.parametrize("lost", ["log", "log/CURRENT", "bodies"])
    def test_opening_never_creates_what_is_lost(self, lost: str) -> None:
        """A missing database is refused; no empty one takes its place."""
        path, _ = self.one(3)
        if (path / lost).is_dir():
            shutil.rmtree(path / lost)
        else:
            (path / lost).unlink()
        with pytest.raises(StoreError):
            LevelDBStore(path)
        assert not (path / lost).exists()

    def test_whatever_a_write_raises_the_store_refuses_every_later_one(self) -> None:
        """Not only what LevelDB raises: of a commit that was interrupted nothing is known."""
        store, edge = self.filled(3)
        _, batch = make_batch(edge, entries(4, 6))
        with (
            patch("tlog.store.leveldb._write_log", side_effect=MemoryError),
            pytest.raises(MemoryError),
        ):
            store.commit(batch)
        with pytest.raises(StoreError, match="opened again"):
            store.commit(batch)
        store.close()

    def test_a_last_row_that_is_no_commit_record_is_damage(self) -> None:
        """The last key of the log is the newest commit record, anything else is refused."""
        path, _ = self.one(3)
        database = plyvel.DB(str(path / "log"))
        database.put(log_key(4, LEAF), b"stray")
        database.close()
        with pytest.raises(StoreError, match="type 0x00, expected 0xff"):
            LevelDBStore(path)

    @pytest.mark.parametrize("key", [b"\0" * 7 + b"\2", log_key(2, LEAF) + b"\0"])
    def test_a_row_with_a_key_of_another_length_is_no_entry(self, key: bytes) -> None:
        """It changes no answer and raises nothing of its own; `tlog fsck` names it."""
        path, edge = self.one(3)
        database = plyvel.DB(str(path / "log"))
        database.put(key, b"stray")
        database.close()
        store = LevelDBStore(path)
        assert store.read_leaves(0, 4) == [b"genesis", *entries(1, 4)]
        assert store.commit_of(1).size == 4
        store.drop_index()
        store.index_missing(edge.size)
        assert store.find_leaf(leaf_hash(b"entry 2"), 4) == 2
        store.close()

    def test_a_tile_of_another_length_is_damage(self) -> None:
        """Found at its read, before anybody computes with it."""
        path, edge = self.one(300)
        database = plyvel.DB(str(path / "log"))
        database.put(tile_key(0, 0), bytes(8160))
        database.close()
        store = LevelDBStore(path)
        with pytest.raises(StoreError, match="tile 0/0 is damaged: it has 8160 bytes"):
            load_right_edge(store, edge.size)
        store.close()

    def test_a_record_at_the_wrong_index_is_damage(self) -> None:
        """A commit record stands at the last index of its batch."""
        path, _ = self.one(3)
        database = plyvel.DB(str(path / "log"))
        record = database.get(log_key(3, COMMIT_RECORD))
        database.put(log_key(9, COMMIT_RECORD), record)
        database.close()
        with pytest.raises(StoreError, match="stands at 9 for size 4"):
            LevelDBStore(path)

    @pytest.mark.parametrize("damage", ["deleted", "current", "ahead", "no mark", "file", "link"])
    def test_a_bad_index_is_dropped_and_can_be_rebuilt_from_the_log(self, damage: str) -> None:
        """Missing, damaged or ahead of the log: the index starts again at 0."""
        path, _ = self.one(600)
        if damage in ("deleted", "file", "link"):
            shutil.rmtree(path / "index")
            if damage == "file":
                (path / "index").write_bytes(b"no directory")
            elif damage == "link":
                (path / "index").symlink_to(path / "nowhere")
        elif damage == "current":
            (path / "index" / "CURRENT").write_bytes(b"garbage\n")
        else:
            database = plyvel.DB(str(path / "index"))
            if damage == "ahead":
                database.put(mark_key(602), pack_index(602))
            else:
                database.put(b"\xff\xff\xff\xff\xff", b"junk")
            database.close()
        store = LevelDBStore(path)
        assert store.indexed_size() == 0
        assert store.find_leaf(leaf_hash(b"entry 5"), 601) is None
        store.index_missing(601)
        assert store.find_leaf(leaf_hash(b"entry 5"), 601) == 5
        store.close()

    def test_what_cannot_be_read_of_the_log_is_never_blamed_on_the_index(self) -> None:
        """A log that begins its index anew for a rotten entry would do so for ever."""
        store, _ = self.filled(3, *[1] * 600)
        assert isinstance(store, LevelDBStore)
        store._log.compact_range()
        store.close()
        path = self.directory / str(self.made)
        for table in (path / "log").glob("*.ldb"):
            data = bytearray(table.read_bytes())
            data[100] ^= 1  # in its first block: in one of them that of the first entries
            table.write_bytes(data)
        store = LevelDBStore(path)
        with pytest.raises(FatalLogError, match=r"log/ is damaged, .*checksum"):
            store.find_leaf(leaf_hash(b"entry 2"), 604)
        store.drop_index()
        with pytest.raises(FatalLogError, match=r"log/ is damaged, .*checksum"):
            store.index_missing(604)
        store.close()

    def test_the_index_compares_the_whole_hash(self) -> None:
        """A hash that agrees in the stored 12 bytes only is not found."""
        store, _ = self.filled(3)
        near = leaf_hash(b"entry 2")[:12] + bytes(20)
        assert store.find_leaf(near, 4) is None
        store.close()

    def test_a_flipped_bit_in_a_table_is_an_error_on_read(self) -> None:
        """Checksums are verified at every read, not only by paranoid opening."""
        store, edge = self.filled()
        for _ in range(6):
            edge, batch = make_batch(edge, [bytes([n]) * 40_000 for n in range(40)])
            store.commit(batch)
        assert isinstance(store, LevelDBStore)
        store._log.compact_range()
        store.close()
        path = self.directory / str(self.made)
        for table in (path / "log").glob("*.ldb"):
            data = bytearray(table.read_bytes())
            data[len(data) // 2] ^= 1
            table.write_bytes(data)
        with pytest.raises(StoreError):
            LevelDBStore(path).read_leaves(0, 241)

    def test_keys_only_grow(self) -> None:
        """Every batch's keys lie above all keys before it."""
        store, edge = self.filled()
        assert isinstance(store, LevelDBStore)
        last = b""
        for count in (1, 255, 700, 3):
            before = set(store._log.iterator(include_value=False))
            edge, batch = make_batch(edge, entries(edge.size, edge.size + count))
            store.commit(batch)
            new = set(store._log.iterator(include_value=False)) - before
            assert min(new) > last
            last = max(new)
        store.close()

    def test_bodies_and_log_are_synced_in_that_order_and_the_index_after_them_is_not(
        self,
    ) -> None:
        """The order of durability, with transaction=True on every batch."""
        store, edge = self.filled()
        assert isinstance(store, LevelDBStore)
        writes: list[tuple[str, bool, bool]] = []
        with store._bodies._database("2026-10") as month:
            pass
        store._log = WatchedDatabase("log", store._log, writes)
        store._bodies._open["2026-10"] = WatchedDatabase("bodies", month, writes)
        store._index._database = WatchedDatabase("index", store._index._database, writes)
        _, batch = make_batch(edge, entries(1, 3), bodies=[b"one", b"two"])
        store.commit(batch)
        store.index(batch)
        assert writes == [("bodies", True, True), ("log", True, True), ("index", True, False)]
        store.close()

    def test_starting_reads_fewer_than_256_rows_a_level(self) -> None:
        """The right edge comes from entries of the last tile and at most 255 tiles a level."""
        store, edge = self.filled(65_536 * 2 - 2, 255)
        reads: Counter[str] = Counter()
        read_leaves, read_tile = store.read_leaves, store.read_tile

        def counted_leaves(start: int, end: int) -> list[bytes]:
            reads["entries"] += end - start
            return read_leaves(start, end)

        def counted_tile(level: int, index: int) -> bytes | None:
            reads[f"tiles of level {level}"] += 1
            return read_tile(level, index)

        with patch.multiple(store, read_leaves=counted_leaves, read_tile=counted_tile):
            assert load_right_edge(store, edge.size).root == edge.root
        assert reads == {"entries": 254, "tiles of level 1": 2}
        store.close()

    @pytest.mark.parametrize("left", ["2026-11.new", "2026-10.dropped"])
    def test_half_made_and_half_dropped_months_are_removed_at_opening(self, left: str) -> None:
        """A crash between the steps of making or dropping a month leaves nothing that stays."""
        path, edge = self.one(3)
        (path / "bodies" / left).mkdir()
        (path / "bodies" / left / "000003.log").write_bytes(b"somebody's words")
        store = LevelDBStore(path)
        assert sorted(p.name for p in (path / "bodies").iterdir()) == ["2026-10"]
        edge, batch = make_batch(edge, entries(4, 5), t=NOVEMBER + MONTH_S, bodies=[b"later"])
        store.commit(batch)
        assert store.months() == ("2026-10", "2026-11")
        store.close()

    def test_opening_an_older_copy_of_the_log_keeps_the_bodies_of_the_newest(self) -> None:
        """The head refuses such a log; with the newest log/ back, every body is there again."""
        path, edge = self.one(3)
        shutil.copytree(path / "log", path / "older log")
        store = LevelDBStore(path)
        _, batch = make_batch(edge, entries(4, 6), bodies=[b"four", b"five"])
        store.commit(batch)
        store.close()
        (path / "log").rename(path / "newest log")
        (path / "older log").rename(path / "log")
        store = LevelDBStore(path)
        assert store.newest_commit().size == 4
        assert store.read_body(4, NOVEMBER) is None
        store.close()
        (path / "log").rename(path / "older log")
        (path / "newest log").rename(path / "log")
        store = LevelDBStore(path)
        assert [store.read_body(index, NOVEMBER) for index in (4, 5)] == [b"four", b"five"]
        store.close()

    def test_a_dropped_month_stays_dropped(self) -> None:
        """Its new name is durable before anything of it is deleted."""
        store, _ = self.filled()
        bodies = self.directory / str(self.made) / "bodies"
        synced: list[list[str]] = []

        def sync(directory: Path) -> None:
            synced.append(
                [str(path.relative_to(directory)) for path in directory.glob("*/CURRENT")]
            )

        with patch("tlog.store.bodies.sync_directory", sync):
            store.drop_month("2026-10")
        assert synced == [["2026-10.dropped/CURRENT"]]
        assert not any(bodies.iterdir())
        store.close()

    def test_reading_many_months_at_once_never_stops_the_writer(self) -> None:
        """More months than are kept open, read by threads while bodies are committed."""
        store, edge = self.filled()
        for number in range(8):
            t = NOVEMBER + number * MONTH_S
            edge, batch = make_batch(edge, [b"x"], t=t, bodies=[b"body %d" % number])
            store.commit(batch)
        end = edge.size

        def read(seed: int) -> None:
            for step in range(200):
                number = (seed * 3 + step) % 8
                body = store.read_body(1 + number, NOVEMBER + number * MONTH_S)
                assert body == b"body %d" % number

        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read, seed) for seed in range(4)]
            for number in range(50):
                t = NOVEMBER + 7 * MONTH_S
                edge, batch = make_batch(edge, [b"y"], t=t, bodies=[b"more %d" % number])
                store.commit(batch)
            for reader in readers:
                reader.result(60)
        assert store.read_body(end + 49, NOVEMBER + 7 * MONTH_S) == b"more 49"
        store.close()

    def test_a_damaged_table_of_the_index_is_rebuilt_and_stops_nothing(self) -> None:
        """A flipped bit in index/ fails reads and writes of it; dropped, it comes back whole."""
        store, edge = self.filled(*[1000] * 3)
        assert isinstance(store, LevelDBStore)
        database = store._index._database
        assert database is not None
        database.compact_range()
        store.close()
        path = self.directory / str(self.made)
        for table in (path / "index").glob("*.ldb"):
            data = bytearray(table.read_bytes())
            data[100] ^= 1  # in its first block: the mark, which lies in the last, is whole
            table.write_bytes(data)
        store = LevelDBStore(path)
        assert store.indexed_size() == 3001
        first = min(leaf_hash(b"entry %d" % index) for index in range(1, 3001))
        with pytest.raises(StoreError):
            store.find_leaf(first, 3001)
        edge, batch = make_batch(edge, [b"after"])
        store.commit(batch)
        store.drop_index()
        assert store.indexed_size() == 0
        while store.indexed_size() < edge.size:
            store.index_missing(256)
        for index in (1, 1500, 3000):
            assert store.find_leaf(leaf_hash(b"entry %d" % index), 3002) == index
        store.close()


class WatchedDatabase:
    """A LevelDB database that notes with which options each batch is written."""

    def __init__(
        self, name: str, database: plyvel.DB, writes: list[tuple[str, bool, bool]]
    ) -> None:
        self._name = name
        self._database = database
        self._writes = writes

    def __getattr__(self, name: str) -> object:
        return getattr(self._database, name)

    def write_batch(
        self, *, transaction: bool = False, sync: bool = False
    ) -> plyvel._plyvel.WriteBatch:
        self._writes.append((self._name, transaction, sync))
        return self._database.write_batch(transaction=transaction, sync=sync)
