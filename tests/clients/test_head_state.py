"""The pure decision about a served head, against every pair of small trees."""

from __future__ import annotations

import pytest

from tests.clients.simulator import LogSimulator, make_entries
from tlog_clients import (
    ConsistencyNotProvedError,
    ForkDetectedError,
    Step,
    advance,
    consistency_sizes,
)
from tlog_proofs import SignedCheckpoint, open_checkpoint, prove_consistency

MAX_SIZE = 20


def head(log: LogSimulator, size: int) -> SignedCheckpoint:
    """The log's signed head of a size."""
    return open_checkpoint(log.checkpoint(size), log.key)


def proof(log: LogSimulator, sizes: tuple[int, int] | None) -> tuple[bytes, ...]:
    """The consistency proof over the log's own tree."""
    return () if sizes is None else prove_consistency(*sizes, log.tree.root)


def test_honest_heads_of_every_pair_of_sizes() -> None:
    """Whichever two heads of one tree come, the larger one is trusted afterwards."""
    log = LogSimulator(make_entries(MAX_SIZE))
    for old in range(MAX_SIZE + 1):
        for new in range(MAX_SIZE + 1):
            trusted, served = head(log, old), head(log, new)
            decision = advance(trusted, served, proof(log, consistency_sizes(trusted, served)))
            assert decision.signed.size == max(old, new)
            expected = Step.SAME if old == new else Step.FORWARD if old < new else Step.BACKWARD
            assert decision.step is expected
            assert decision.is_new is (expected is Step.FORWARD)


def test_first_use() -> None:
    """Without a trusted head the served one is trusted, and no proof is wanted."""
    served = head(LogSimulator(make_entries(5)), 5)
    assert consistency_sizes(None, served) is None
    decision = advance(None, served)
    assert (decision.signed, decision.step, decision.is_new) == (served, Step.FIRST, True)


def test_forks_of_every_pair_of_sizes() -> None:
    """Two trees that differ within the smaller size are a fork, whatever the sizes are."""
    log = LogSimulator(make_entries(MAX_SIZE))
    heads = [head(log, size) for size in range(MAX_SIZE + 1)]
    for differing in range(MAX_SIZE):
        changed = make_entries(MAX_SIZE)
        changed[differing] = b"another"
        fork = LogSimulator(changed)
        fork_heads = [head(fork, size) for size in range(MAX_SIZE + 1)]
        for old in range(1, MAX_SIZE + 1):
            for new in range(1, MAX_SIZE + 1):
                trusted, served = heads[old], fork_heads[new]
                larger = fork if new > old else log
                sizes = consistency_sizes(trusted, served)
                if differing >= min(old, new):
                    assert advance(trusted, served, proof(larger, sizes)).signed.size == max(
                        old, new
                    )
                    continue
                with pytest.raises(ForkDetectedError) as caught:
                    advance(trusted, served, proof(larger, sizes))
                assert caught.value.old_note == trusted.note
                assert caught.value.new_note == served.note


def test_fork_evidence_is_printable_and_whole() -> None:
    """The evidence shows both signed notes as text."""
    trusted = head(LogSimulator([b"a"]), 1)
    served = head(LogSimulator([b"b"]), 1)
    with pytest.raises(ForkDetectedError, match="size 1 was signed with two roots") as caught:
        advance(trusted, served)
    assert trusted.note.decode() in caught.value.evidence
    assert served.note.decode() in caught.value.evidence


@pytest.mark.parametrize("change", [0, 1, 2], ids=["a hash less", "a hash more", "a short hash"])
def test_impossible_proof_proves_no_fork(change: int) -> None:
    """A proof that no tree of these sizes has is a failure to prove, not evidence of a fork."""
    log = LogSimulator(make_entries(7))
    good = proof(log, (3, 7))
    bad = (good[:-1], (*good, bytes(32)), (*good[:-1], b"short"))[change]
    with pytest.raises(ConsistencyNotProvedError) as caught:
        advance(head(log, 3), head(log, 7), bad)
    assert not isinstance(caught.value, ForkDetectedError)
