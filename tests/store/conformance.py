"""What every store must do: one suite, run against each kind (see test_stores.py)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import pytest

from tests import reference
from tlog.errors import StoreError
from tlog.store.base import Batch, Store
from tlog.store.commit_record import CommitRecord, EmitterRow, IdRow
from tlog.tree import EMPTY_EDGE, RightEdge, load_right_edge
from tlog_proofs import leaf_hash

NOVEMBER = 1_793_000_000  # 2026-10-26 in UTC
MONTH_S = 31 * 24 * 3600


def make_batch(
    edge: RightEdge,
    leaves: Sequence[bytes],
    t: int = NOVEMBER,
    bodies: Sequence[bytes | None] = (),
) -> tuple[RightEdge, Batch]:
    """A batch that appends leaves to a tree, and the tree after it."""
    hashes = [leaf_hash(leaf) for leaf in leaves]
    after, tiles = edge.extend(hashes)
    record = CommitRecord(edge.size, after.size, after.root, t)
    return after, Batch(
        record=record, leaves=list(leaves), leaf_hashes=hashes, tiles=tiles, bodies=bodies
    )


def entries(start: int, end: int) -> list[bytes]:
    """Entries that tell their own index."""
    return [b"entry %d" % index for index in range(start, end)]


class StoreConformance(ABC):
    """The promises of tlog.store.base, by number."""

    @abstractmethod
    def create(self, genesis: Batch) -> Store:
        """A new store whose first batch is genesis."""

    @abstractmethod
    def reopen(self, store: Store) -> Store:
        """Close a store and open it again."""

    @abstractmethod
    def break_next(self, store: Store, step: str) -> None:
        """Make the next commit raise at `step`: bodies, log-lost or log-persisted."""

    def filled(self, *batches: int) -> tuple[Store, RightEdge]:
        """A store with a genesis and batches of so many entries."""
        edge, genesis = make_batch(EMPTY_EDGE, [b"genesis"])
        store = self.create(genesis)
        for count in batches:
            edge, batch = make_batch(edge, entries(edge.size, edge.size + count))
            store.commit(batch)
            store.index(batch)
        return store, edge

    def test_a_new_store_holds_its_genesis_and_its_record(self) -> None:
        """Creation makes the first batch readable."""
        store, edge = self.filled()
        assert store.newest_commit() == CommitRecord(0, 1, edge.root, NOVEMBER)
        assert store.read_leaves(0, 1) == [b"genesis"]
        assert store.indexed_size() == 1

    def test_1_what_commit_returned_from_is_there_after_reopening(self) -> None:
        """Leaves, tiles and record of every batch survive a close."""
        store, edge = self.filled(3, 600, 1)
        store = self.reopen(store)
        assert store.newest_commit().size == edge.size == 605
        assert store.newest_commit().root == edge.root
        assert store.read_leaves(1, 605) == entries(1, 605)
        hashes = [leaf_hash(leaf) for leaf in store.read_leaves(0, 605)]
        assert store.newest_commit().root == reference.root(tuple(hashes))
        for index in range(2):
            assert store.read_tile(0, index) == b"".join(hashes[index * 256 : index * 256 + 256])
        assert store.read_tile(0, 2) is None
        assert store.read_tile(1, 0) is None

    def test_1_the_record_keeps_ids_and_emitters(self) -> None:
        """Rows for idempotency and emitters come back as they were given."""
        store, edge = self.filled()
        after, batch = make_batch(edge, entries(1, 3))
        record = CommitRecord(
            1,
            3,
            after.root,
            NOVEMBER,
            2964,
            (IdRow(1, b"i" * 16, b"b" * 16), IdRow(2, b"j" * 16, b"c" * 16)),
            (EmitterRow(2, b"handle", 7),),
        )
        store.commit(Batch(record, batch.leaves, batch.leaf_hashes, batch.tiles))
        assert self.reopen(store).newest_commit() == record

    def test_2_the_edge_rebuilt_from_rows_is_the_edge_that_was_kept(self) -> None:
        """Start-up finds the same right edge, over one and two levels of full tiles."""
        for batches in ((), (254,), (255,), (256,), (4000, 4000), (65_536 - 1, 300)):
            store, edge = self.filled(*batches)
            rebuilt = load_right_edge(store, store.newest_commit().size)
            assert (rebuilt.size, rebuilt.root, rebuilt.peaks) == (edge.size, edge.root, edge.peaks)
            assert [tile for tile in rebuilt.tiles if tile] == [t for t in edge.tiles if t]
            store.close()

    @pytest.mark.parametrize("step", ["bodies", "log-lost", "log-persisted"])
    def test_2_and_4_a_failed_commit_is_whole_or_absent_and_final(self, step: str) -> None:
        """After a fault at any step the store refuses writes; reopened it holds whole batches."""
        store, edge = self.filled(5)
        after, batch = make_batch(edge, entries(6, 300), bodies=[b"body"] * 294)
        self.break_next(store, step)
        with pytest.raises(StoreError):
            store.commit(batch)
        with pytest.raises(StoreError, match="opened again"):
            store.commit(batch)
        with pytest.raises(StoreError, match="opened again"):
            store.index(batch)
        store = self.reopen(store)
        size = 300 if step == "log-persisted" else 6
        assert store.newest_commit().size == size
        assert store.newest_commit().root == (after if size == 300 else edge).root
        assert store.read_leaves(1, size) == entries(1, size)
        assert store.read_body(6, NOVEMBER) == (b"body" if size == 300 else None)
        if size == 6:
            _, other = make_batch(edge, [b"other"])
            store.commit(other)
            assert store.read_body(6, NOVEMBER) is None

    def test_3_a_batch_that_does_not_start_at_the_size_is_refused(self) -> None:
        """Nothing is overwritten and no gap is made."""
        store, edge = self.filled(5)
        for first in (5, 7):
            record = CommitRecord(first, first + 1, edge.root, NOVEMBER)
            with pytest.raises(StoreError, match="expected a batch at 6"):
                store.commit(Batch(record, [b"x"], [leaf_hash(b"x")]))
        assert store.newest_commit().size == 6

    def test_3_a_batch_that_is_not_as_long_as_its_record_says_is_refused(self) -> None:
        """Leaves, hashes and bodies are parallel, or there is no batch."""
        record = CommitRecord(5, 7, bytes(32), NOVEMBER)
        two, hashes = [b"x", b"y"], [leaf_hash(b"x"), leaf_hash(b"y")]
        for leaves, leaf_hashes, bodies in (
            (two[:1], hashes, ()),
            (two, hashes[:1], ()),
            (two, hashes, [b"b"]),
        ):
            with pytest.raises(StoreError, match="expected 2 leaves"):
                Batch(record, leaves, leaf_hashes, bodies=bodies)

    def test_5_a_missing_entry_is_an_error_not_a_short_answer(self) -> None:
        """Reading past the end raises."""
        store, _ = self.filled(5)
        with pytest.raises(StoreError):
            store.read_leaves(4, 7)
        with pytest.raises(StoreError):
            store.read_leaf(6)
        assert store.read_leaves(3, 3) == []

    def test_6_bodies_lie_in_the_month_of_their_batch(self) -> None:
        """Bodies are found by index and t, and a month is dropped whole."""
        edge, genesis = make_batch(EMPTY_EDGE, [b"genesis"])
        store = self.create(genesis)
        edge, first = make_batch(edge, entries(1, 3), bodies=[b"one", None])
        store.commit(first)
        later = NOVEMBER + MONTH_S
        edge, second = make_batch(edge, entries(3, 4), t=later, bodies=[b"three"])
        store.commit(second)
        store = self.reopen(store)
        assert store.months() == ("2026-10", "2026-11")
        assert store.read_body(1, NOVEMBER) == b"one"
        assert store.read_body(2, NOVEMBER) is None
        assert store.read_body(3, later) == b"three"
        assert store.read_body(3, NOVEMBER) is None
        store.drop_month("2026-10")
        assert store.months() == ("2026-11",)
        assert store.read_body(1, NOVEMBER) is None
        assert self.reopen(store).read_body(3, later) == b"three"

    def test_6_a_missing_month_is_never_made_again(self) -> None:
        """Bodies of a month that should be there are an error, not an empty database."""
        store, edge = self.filled()
        store.drop_month("2026-10")
        _, batch = make_batch(edge, entries(1, 2), bodies=[b"body"])
        with pytest.raises(StoreError, match="bodies of 2026-10 are missing"):
            store.commit(batch)
        assert self.reopen(store).newest_commit().size == 1

    def test_7_the_index_finds_the_lowest_index_of_a_hash_below_a_size(self) -> None:
        """Equal entries are found at the first one, if it is below the size asked for."""
        store, edge = self.filled(3)
        edge, batch = make_batch(edge, [b"twice", b"other", b"twice"])
        store.commit(batch)
        store.index(batch)
        edge, again = make_batch(edge, [b"twice"])
        store.commit(again)
        store.index(again)
        assert store.find_leaf(leaf_hash(b"twice"), 8) == 4
        assert store.find_leaf(leaf_hash(b"twice"), 5) == 4
        assert store.find_leaf(leaf_hash(b"twice"), 4) is None
        assert store.find_leaf(leaf_hash(b"absent"), 8) is None
        assert self.reopen(store).find_leaf(leaf_hash(b"other"), 8) == 5

    def test_7_the_index_takes_rows_from_its_mark_only(self) -> None:
        """No hole can come into the index."""
        store, edge = self.filled(3)
        _, batch = make_batch(edge, entries(4, 6))
        store.commit(batch)
        _, later = make_batch(edge.extend(batch.leaf_hashes)[0], entries(6, 7))
        with pytest.raises(StoreError, match="expected index rows from 4"):
            store.index(later)
        assert self.reopen(store).indexed_size() == 4

    def test_a_closed_store_refuses_writes(self) -> None:
        """Using a store after close is an error, closing twice is not."""
        store, edge = self.filled()
        store.close()
        store.close()
        _, batch = make_batch(edge, entries(1, 2))
        with pytest.raises(StoreError):
            store.commit(batch)
