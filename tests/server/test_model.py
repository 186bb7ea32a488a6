"""Store, sequencer and publisher against a list: whatever is done in whatever order, they agree."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests import reference
from tests.faults.invariants import check_invariants, roots_by_size
from tests.server.crashing_host import (
    AFTER_HEAD,
    AFTER_ROW,
    BEFORE_COMMIT,
    IDLE,
    LIMIT_S,
    MOMENTS,
    ORIGIN,
    CrashingHost,
)
from tlog.errors import IdConflictError, NotFoundError
from tlog.ids import EntryId
from tlog_proofs import open_checkpoint, parse_vkey

# Few different ones: equal entries and ids that come again are what is hard.
ENTRIES = st.sampled_from([b"", b"a", b"b", b"c" * 300])
IDS = st.sampled_from(["x", "y", "z"])
POSITIONS = st.integers(0, 2**32)


class LogMachine(RuleBasedStateMachine):
    """The model: `entries` is the log, `ids` what each id stands for, `heads` what was signed."""

    @initialize()
    def create(self) -> None:
        """A log of its genesis."""
        self.directory = Path(mkdtemp(prefix="tlog-model-"))
        self.host = CrashingHost(self.directory / "data")
        self.entries = [self.host.run(self.host.log.read_entry(0))]
        self.ids: dict[str, tuple[bytes, int]] = {}
        self.heads: list[bytes] = []
        self.unanswered: tuple[list[bytes], list[EntryId]] | None = None

    @rule(entry=ENTRIES)
    def append(self, entry: bytes) -> None:
        """One entry."""
        self.place([entry])

    @rule(count=st.sampled_from([2, 3, 100, 255, 256]), entry=ENTRIES)
    def append_batch(self, count: int, entry: bytes) -> None:
        """Many entries at once, so that tiles fill."""
        self.place([entry + b"%d" % n for n in range(count)])

    @rule(entry=ENTRIES, name=IDS)
    def append_with_id(self, entry: bytes, name: str) -> None:
        """An id stands for its first entry, and for no other one."""
        entry_id = EntryId("model", name)
        if name not in self.ids:
            self.place([entry], [entry_id])
        elif self.ids[name][0] == entry:
            placed = self.host.run(self.host.log.append([entry], [entry_id]))
            assert placed.indexes[0] == self.ids[name][1]
            assert placed.first_new is None
        else:
            with pytest.raises(IdConflictError):
                self.host.run(self.host.log.append([entry], [entry_id]))

    @rule()
    def publish(self) -> None:
        """What is committed is published for who waits, under the root of the list."""
        published = self.host.run(self.host.log.wait_published(len(self.entries), LIMIT_S))
        assert published is not None
        assert published.size == len(self.entries)
        assert published.root == roots_by_size(self.entries, [published.size])[published.size]
        self.heads.append(published.note)

    @rule(at=POSITIONS)
    def read(self, at: int) -> None:
        """An entry is at its index, and is found by its hash."""
        index = at % self.host.log.published.size
        entry = self.entries[index]
        assert self.host.run(self.host.log.read_entry(index)) == entry
        found = self.host.run(self.host.log.find_leaf(reference.leaf(entry)))
        assert self.entries[found] == entry

    @rule()
    def miss(self) -> None:
        """What was never appended is not found."""
        with pytest.raises(NotFoundError):
            self.host.run(self.host.log.find_leaf(bytes(32)))

    @rule(one=POSITIONS, other=POSITIONS)
    def prove(self, one: int, other: int) -> None:
        """Proofs are those of the RFC's recursion over the list."""
        size = one % self.host.log.published.size + 1
        small = other % size
        leaves = tuple(reference.leaf(entry) for entry in self.entries[:size])
        leaf, path = self.host.run(self.host.log.inclusion(small, size))
        assert leaf == leaves[small]
        assert list(path) == reference.path(small, leaves)
        if small:
            consistency = self.host.run(self.host.log.consistency(small, size))
            assert list(consistency) == reference.consistency(small, leaves)

    @rule(seconds=st.integers(0, 100))
    def let_time_pass(self, seconds: int) -> None:
        """The clock goes on."""
        self.host.clock.wall_s += seconds
        self.host.clock.boot += seconds

    @rule()
    def reopen(self) -> None:
        """A stop in order publishes everything; nothing is different after it."""
        self.host.reopen()
        assert self.host.log.published.size == len(self.entries)

    @rule(moment=st.sampled_from(MOMENTS), count=st.sampled_from([1, 2, 256]), entry=ENTRIES)
    def crash(self, moment: str, count: int, entry: bytes) -> None:
        """The batch of the moment stands whole or not at all, as the moment says."""
        self.publish()
        size = len(self.entries)
        entries = [entry + b"%d" % n for n in range(count)]
        ids = [EntryId("model", f"crash at {size}, {n}") for n in range(count)]
        self.host.crash(moment, entries, ids)
        if moment not in (IDLE, BEFORE_COMMIT):
            self.note(entries, ids, size)
        self.unanswered = (entries, ids) if moment != IDLE else None
        published = self.host.log.published
        # Without the row the new process publishes it by itself, at some moment.
        allowed = (len(self.entries), size if moment != AFTER_ROW else 0)
        assert published.size in allowed, (moment, published.size, allowed, self.host.log.facts)
        if moment in (AFTER_HEAD, AFTER_ROW):
            key = parse_vkey(self.host.log.row.vkey)
            # It is in the head store: the next signature must agree with it.
            self.heads.append(self.head())
            assert open_checkpoint(self.heads[-1], key).size == len(self.entries)

    @precondition(lambda self: self.unanswered is not None)
    @rule()
    def retry(self) -> None:
        """An append that was not answered, sent again: it stands once, wherever it stood first."""
        assert self.unanswered is not None
        entries, ids = self.unanswered
        if ids[0].text not in self.ids:
            self.place(entries, ids)
            return
        placed = self.host.run(self.host.log.append(entries, ids))
        assert list(placed.indexes) == [self.ids[entry_id.text][1] for entry_id in ids]
        assert placed.first_new is None

    def teardown(self) -> None:
        """All of it once more, from what is served in the end."""
        if not hasattr(self, "host"):
            return
        try:
            self.publish()
            bound = range(len(self.entries))
            served = [self.host.run(self.host.log.read_entry(index)) for index in bound]
            acked = dict(enumerate(self.entries))
            check_invariants(self.host.log.row.vkey, served, acked, self.heads)
        finally:
            self.host.close()
            shutil.rmtree(self.directory)
            reference.root.cache_clear()

    def place(self, entries: list[bytes], ids: list[EntryId] | None = None) -> None:
        """Append what is new, and note where it must stand."""
        size = len(self.entries)
        placed = self.host.run(self.host.log.append(entries, ids or []))
        assert list(placed.indexes) == list(range(size, size + len(entries)))
        assert placed.first_new == size
        self.note(entries, ids or [], size)

    def note(self, entries: list[bytes], ids: list[EntryId], first: int) -> None:
        """Add to the model."""
        self.entries += entries
        for offset, entry_id in enumerate(ids):
            self.ids[entry_id.text] = (entries[offset], first + offset)

    def head(self) -> bytes:
        """The signed head in the head store."""
        name = hashlib.sha256(ORIGIN.encode()).hexdigest()
        return (self.directory / "data" / "heads" / name).read_bytes()


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=100, stateful_step_count=30)
