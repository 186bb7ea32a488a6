"""Tessera's hammer loads our server, follows its checkpoints; what it wrote is read back."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest

from tests.peers.fsck import Fsck
from tests.peers.hammer import Hammer, HammerFailedError, HammerReport, Load
from tests.peers.peer_log import PeerLog, PeerServer
from tests.peers.static_tiles import read_entries

pytestmark = pytest.mark.peers

MIN_HEADS = 3  # it looks for a new checkpoint twice a second, for 5 s and more


def check_written(log: PeerLog, load: Load, report: HammerReport) -> None:
    """Compare what hammer was told and saw with what the log holds.

    Its n-th entry is filler in hex and the decimal n, and it begins with the log's size, here 1.
    """
    entries = read_entries(log)
    # At its goal hammer ends; each writer may have one entry under way that it tells nothing of.
    assert len(entries) - 1 >= load.entries
    assert len(entries) - 1 - load.writers <= len(report.written) <= len(entries) - 1
    assert len(set(report.written)) == len(report.written)
    assert set(report.written) <= set(range(1, len(entries)))
    numbers: dict[int, bytes] = {}
    counts: Counter[int] = Counter()
    for entry in entries[1:]:
        assert len(entry) >= load.min_bytes
        made = re.fullmatch(rb"[0-9a-f]{%d} (\d+)" % load.min_bytes, entry)
        assert made is not None
        number = int(made[1])
        assert numbers.setdefault(number, entry) == entry
        counts[number] += 1
    if load.duplicates:
        # A writer's number may be drawn before an earlier number is appended, or never be.
        assert max(counts) - len(counts) <= load.writers
        assert len(counts) < counts.total()
    else:
        assert set(counts.values()) == {1}
        assert max(counts) - len(counts) <= load.writers


def check_heads(load: Load, report: HammerReport) -> None:
    """The verified checkpoints make a chain from size 1 to the goal."""
    assert len(report.heads) >= MIN_HEADS
    assert report.heads[0][0] == 1
    assert all(older[1] == newer[0] for older, newer in pairwise(report.heads))
    assert report.heads[-1][1] >= 1 + load.entries
    assert report.reads > 0


def check_tree(log: PeerLog, load: Load, fsck: Fsck) -> None:
    """All of it is one tree under a published head, whichever: last entries may be under way."""
    size, root = fsck.check(log.url, log.vkey, origin=log.origin, token=log.read_token)
    assert size >= 1 + load.entries
    head = log.head_of(size)
    assert (head.size, head.root) == (size, root)


def test_hammer_loads_a_public_log(server: PeerServer, hammer: Hammer, fsck: Fsck) -> None:
    """20 s at 400 writes/s, a tenth of them repeats: no warning, nothing lost, heads consistent."""
    log = server.create_log("hammered")
    load = Load(entries=8_000, writes_per_s=400, duplicates=0.1)
    report = hammer.run(log, load, append_token=log.append_token)
    check_heads(load, report)
    check_written(log, load, report)
    check_tree(log, load, fsck)


def test_hammer_loads_a_private_log(server: PeerServer, hammer: Hammer, fsck: Fsck) -> None:
    """Entries of 1,200 bytes and more, with one token for reading and one for appending."""
    log = server.create_log("hammered-private", public=False)
    load = Load(entries=1_000, writes_per_s=200, min_bytes=1_200)
    tokens = {"append_token": log.append_token, "read_token": log.read_token}
    report = hammer.run(log, load, **tokens)
    check_heads(load, report)
    check_written(log, load, report)
    check_tree(log, load, fsck)


def test_index_answered_is_where_the_entry_stands(server: PeerServer, hammer: Hammer) -> None:
    """A single writer numbers its entries in order: each stands at the index that it was told."""
    log = server.create_log("hammered-once")
    load = Load(entries=300, writes_per_s=100, writers=1)
    report = hammer.run(log, load, append_token=log.append_token)
    entries = read_entries(log)
    assert len(report.written) >= load.entries - 1
    told = [entries[index] for index in report.written]
    assert told == [b" %d" % number for number in range(1, 1 + len(told))]


def test_refused_writes_are_a_failure(server: PeerServer, hammer: Hammer) -> None:
    """Without the append token each write is answered 401, and the run fails by that."""
    log = server.create_log("refused")
    load = Load(entries=10, writes_per_s=10, writers=2, max_runtime_s=4)
    with pytest.raises(HammerFailedError, match=r"write leaf was not OK\. Status code: 401"):
        hammer.run(log, load, append_token="")
    assert log.head().size == 1


def test_unreadable_log_is_a_failure(server: PeerServer, hammer: Hammer) -> None:
    """Without the read token of a private log hammer does not begin."""
    log = server.create_log("unreadable", public=False)
    load = Load(entries=10, writes_per_s=10, writers=2, max_runtime_s=4)
    with pytest.raises(HammerFailedError, match=r"Failed to create LogStateTracker.*\b401\b"):
        hammer.run(log, load, append_token=log.append_token)
