"""Appending: what the answer claims is compared with one's own bytes, the key and the tree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.clients.simulator import OTHER_SEED, LogSimulator, make_entries
from tlog_clients import (
    MAX_BATCH_ENTRIES,
    EntryTooLargeError,
    ForkDetectedError,
    HttpStatusError,
    LogClient,
    LogMisbehaviourError,
    MalformedAnswerError,
    MemoryHeads,
    OutcomeUnknownError,
    PostAnswer,
    Problem,
    Retries,
    RetryPolicy,
    Trust,
)
from tlog_proofs import (
    MalformedTlogProofError,
    RootMismatchError,
    TlogError,
    UnknownKeyError,
    VerificationError,
    leaf_hash,
    open_checkpoint,
)

Answer = dict[str, Any]


def make_log(size: int = 300) -> LogSimulator:
    """A log that has entries already."""
    return LogSimulator(make_entries(size))


@pytest.mark.parametrize("entry", [b"", b"an entry", b"x" * 65_535], ids=["empty", "one", "long"])
async def test_append(entry: bytes) -> None:
    """An appended entry is proved under the head that came with it, and the head is trusted."""
    log, heads = make_log(), MemoryHeads()
    client = LogClient(log, log.key, heads)
    for index in (300, 301):
        result = await client.append(entry)
        assert (result.index, result.leaf_hash) == (index, leaf_hash(entry))
        assert (result.state, result.trust) == ("published", Trust.TRUSTED)
        assert result.head == heads.read(log.key)
        assert await client.get(index) == entry


async def test_append_batch() -> None:
    """An appended batch is found in the tree of the head that came with it."""
    log, heads = make_log(250), MemoryHeads()
    client = LogClient(log, log.key, heads)
    for first in (250, 600):
        entries = make_entries(350, salt="new ")
        result = await client.append_batch(entries)
        assert (result.first_index, result.indexes) == (first, tuple(range(first, first + 350)))
        assert result.leaf_hashes == tuple(map(leaf_hash, entries))
        assert (result.trust, result.inclusion_verified) == (Trust.TRUSTED, True)
        assert result.head == heads.read(log.key)


class Reversing(LogSimulator):
    """Puts what is new in a batch down in the reverse of the order sent."""

    def _place(self, lines: list[tuple[bytes, str]]) -> list[int]:
        return super()._place(lines[::-1])[::-1]


@pytest.mark.parametrize(
    ("ids", "is_published"),
    [(None, True), (None, False), (["before", "b", "c", "d"], True)],
)
async def test_batch_in_another_order(ids: list[str] | None, *, is_published: bool) -> None:
    """New entries that do not stand in the order sent are no honest answer; known ones may."""
    log = Reversing(make_entries(3))
    client = LogClient(log, log.key)
    await client.append(b"0", entry_id="before")
    if not is_published:
        log.post_status = 202
        log.answer_post = lambda value: {"entries": value["entries"], "state": "committed"}
    entries = [b"0", b"debit", b"credit", b"close"]
    with pytest.raises(LogMisbehaviourError, match="order"):
        await client.append_batch(entries, ids=ids, is_fresh=ids is None)


async def test_known_entries_of_a_batch_may_stand_anywhere() -> None:
    """Of entries with ids of one's own only what is new must stand in the order sent."""
    log = make_log()
    client = LogClient(log, log.key)
    await client.append_batch([b"a", b"b", b"c"], ids=["a", "b", "c"])
    result = await client.append_batch(
        [b"c", b"d", b"a", b"e", b"d"], ids=["c", "d", "a", "e", "d"]
    )
    assert result.indexes == (302, 303, 300, 304, 303)
    assert (result.first_index, result.trust) == (303, Trust.TRUSTED)


async def test_scope_append_alone() -> None:
    """Without the right to read, a later head is reported and the trusted one stays."""
    log, heads = make_log(), MemoryHeads()
    log.may_read = False
    client = LogClient(log, log.key, heads)
    first = await client.append(b"one")
    assert first.trust is Trust.TRUSTED  # the first of its log needs no proof
    second = await client.append(b"two")
    assert second.trust is Trust.REPORTED
    assert "Forbidden" in second.reason
    assert second.head is not None
    batch = await client.append_batch([b"three", b"four"])
    assert (batch.trust, batch.inclusion_verified) == (Trust.REPORTED, False)
    assert heads.read(log.key) == first.head


async def test_pending() -> None:
    """When the wait for publication ended first, index and state are given, and no head."""
    log, heads = make_log(), MemoryHeads()
    log.post_status = 202
    log.answer_post = lambda value: {
        **{name: value[name] for name in ("index", "leaf_hash", "entries") if name in value},
        "state": "committed",
    }
    client = LogClient(log, log.key, heads)
    result = await client.append(b"one")
    assert (result.index, result.state, result.trust) == (300, "committed", Trust.PENDING)
    batch = await client.append_batch([b"two", b"three"])
    assert (batch.indexes, batch.state, batch.head) == ((301, 302), "committed", None)
    assert heads.read(log.key) is None


def other_log_proof(value: Answer) -> Answer:
    """A true proof of the same entry, in another log."""
    other = LogSimulator([*make_entries(300), b"one"], origin="log.example/other")
    return {**value, "proof": other.tlog_proof(300).decode()}


def other_key_proof(value: Answer) -> Answer:
    """The proof under a head signed by another key of that name."""
    other = LogSimulator([*make_entries(300), b"one"], seed=OTHER_SEED)
    return {**value, "proof": other.tlog_proof(300).decode()}


def proof_of(index: int) -> Callable[[Answer], Answer]:
    """The proof of another entry of the log."""
    log = LogSimulator([*make_entries(300), b"one"])
    return lambda value: {**value, "proof": log.tlog_proof(index).decode()}


def flipped_proof(value: Answer) -> Answer:
    """A proof with two hashes exchanged."""
    lines = value["proof"].split("\n")
    lines[2], lines[3] = lines[3], lines[2]
    return {**value, "proof": "\n".join(lines)}


LIES: dict[str, tuple[Callable[[Answer], Answer], type[TlogError]]] = {
    "other bytes committed": (
        lambda value: {**value, "leaf_hash": "A" * 43 + "="},
        LogMisbehaviourError,
    ),
    "another index answered": (lambda value: {**value, "index": 299}, LogMisbehaviourError),
    "index and proof of another entry": (
        lambda value: {**proof_of(299)(value), "index": 299},
        RootMismatchError,
    ),
    "proof of another entry": (proof_of(299), LogMisbehaviourError),
    "proof of another log": (other_log_proof, UnknownKeyError),
    "proof under another key": (other_key_proof, UnknownKeyError),
    "proof with exchanged hashes": (flipped_proof, RootMismatchError),
    "proof that is garbage": (lambda value: {**value, "proof": "garbage"}, MalformedTlogProofError),
    "proof with a lone surrogate": (
        lambda value: {**value, "proof": "\ud800"},
        MalformedTlogProofError,
    ),
    "no proof": (
        lambda value: {key: value[key] for key in ("index", "leaf_hash")},
        MalformedAnswerError,
    ),
    "index as text": (lambda value: {**value, "index": "300"}, MalformedAnswerError),
    "index true": (lambda value: {**value, "index": True}, MalformedAnswerError),
    "index negative": (lambda value: {**value, "index": -1}, MalformedAnswerError),
    "index as fraction": (lambda value: {**value, "index": 300.0}, MalformedAnswerError),
    "leaf hash in hex": (lambda value: {**value, "leaf_hash": "ab" * 32}, MalformedAnswerError),
}


@pytest.mark.parametrize(("lie", "error"), LIES.values(), ids=LIES.keys())
async def test_lies(lie: Callable[[Answer], Answer], error: type[TlogError]) -> None:
    """Every lie in the answer to an append is refused, and the head in it not trusted."""
    log, heads = make_log(), MemoryHeads()
    log.answer_post = lie
    with pytest.raises(error):
        await LogClient(log, log.key, heads).append(b"one")
    assert heads.read(log.key) is None


def in_entries(change: Callable[[list[Answer]], object]) -> Callable[[Answer], Answer]:
    """Change the list of answers in a batch."""

    def lie(value: Answer) -> Answer:
        items = [dict(item) for item in value["entries"]]
        change(items)
        return {**value, "entries": items}

    return lie


def checkpoint_of(log: LogSimulator) -> Callable[[Answer], Answer]:
    """The checkpoint of another state."""
    return lambda value: {**value, "checkpoint": log.checkpoint().decode()}


def exchange(items: list[Answer]) -> None:
    """Exchange two items whole."""
    items[1], items[2] = items[2], items[1]


def put_a_number(items: list[Any]) -> None:
    """Put something in an item's place that is no object."""
    items[0] = 7


BATCH_LIES: dict[str, tuple[Callable[[Answer], Answer], type[TlogError]]] = {
    "an entry missing": (in_entries(list.pop), MalformedAnswerError),
    "an entry more": (in_entries(lambda items: items.append(items[0])), MalformedAnswerError),
    "entries exchanged": (in_entries(exchange), LogMisbehaviourError),
    "a gap": (in_entries(lambda items: items[2].update(index=303)), MalformedAnswerError),
    "an index before": (in_entries(lambda items: items[2].update(index=9)), LogMisbehaviourError),
    "an index twice": (in_entries(lambda items: items[2].update(index=301)), MalformedAnswerError),
    "first_index of nothing": (lambda value: {**value, "first_index": 303}, MalformedAnswerError),
    "an item no object": (in_entries(put_a_number), MalformedAnswerError),
    "entries no list": (lambda value: {**value, "entries": 3}, MalformedAnswerError),
    "other bytes committed": (
        in_entries(lambda items: items[1].update(leaf_hash="A" * 43 + "=")),
        LogMisbehaviourError,
    ),
    "the head from before": (
        checkpoint_of(LogSimulator(make_entries(300))),
        LogMisbehaviourError,
    ),
    "a head of one entry less": (
        checkpoint_of(LogSimulator([*make_entries(300), b"one", b"two"])),
        LogMisbehaviourError,
    ),
    "the head of another log": (
        checkpoint_of(LogSimulator(make_entries(303), origin="log.example/other")),
        UnknownKeyError,
    ),
    "the head of a tree without them": (
        checkpoint_of(LogSimulator(make_entries(303))),
        VerificationError,
    ),
    "no head": (
        lambda value: {key: value[key] for key in ("first_index", "count", "entries")},
        MalformedAnswerError,
    ),
}


@pytest.mark.parametrize(("lie", "error"), BATCH_LIES.values(), ids=BATCH_LIES.keys())
async def test_lies_about_a_batch(lie: Callable[[Answer], Answer], error: type[TlogError]) -> None:
    """Every lie in the answer to a batch is refused."""
    log = make_log()
    log.answer_post = lie
    with pytest.raises(error):
        await LogClient(log, log.key).append_batch([b"one", b"two", b"three"])


async def test_batch_left_out_of_the_tree() -> None:
    """A log that acknowledges a batch and signs a tree with other entries there is caught."""
    log = make_log()
    without = LogSimulator([*make_entries(301), b"something", b"else"])
    log.answer_post = checkpoint_of(without)
    log.answer = lambda path, data: without.resource(path)
    with pytest.raises(LogMisbehaviourError) as caught:
        await LogClient(log, log.key).append_batch([b"one", b"two", b"three"])
    assert caught.value.__notes__ == [
        "the server answered that the entry stands at index 300 to 302"
    ]


@pytest.mark.parametrize("index", [300, 299])
async def test_fork_by_append(index: int) -> None:
    """A head that came with an append and conflicts with the trusted one is a fork, both shown."""
    log, heads = make_log(), MemoryHeads()
    before = await LogClient(log, log.key, heads).head()
    changed = make_entries(index)
    changed[3] = b"rewritten"
    fork = replace(log, entries=changed, requests=[])
    with pytest.raises(ForkDetectedError) as caught:
        await LogClient(fork, fork.key, heads).append(b"one")
    assert caught.value.old_note == before.note
    assert open_checkpoint(caught.value.new_note, log.key).size == index + 1
    assert caught.value.__notes__ == [f"the server answered that the entry stands at index {index}"]
    assert heads.read(log.key) == before


async def test_bounds_before_sending() -> None:
    """What no log takes is refused before anything is sent."""
    log = make_log()
    client = LogClient(log, log.key)
    with pytest.raises(EntryTooLargeError):
        await client.append(b"x" * 65_536)
    too_much: list[list[bytes]] = [
        [],
        [b""] * (MAX_BATCH_ENTRIES + 1),
        [b"fine", b"x" * 65_536],
        [b"x" * 65_535] * 100,
    ]
    for entries in too_much:
        with pytest.raises(EntryTooLargeError):
            await client.append_batch(entries)
    assert len(log.entries) == 300


REFUSALS = {
    "401": (401, "urn:tlog:problem:unauthorized", HttpStatusError),
    "413": (413, "", HttpStatusError),
    "429": (429, "urn:tlog:problem:queue-full", HttpStatusError),
    "503 read-only": (503, "urn:tlog:problem:read-only", HttpStatusError),
    "507": (507, "urn:tlog:problem:disk-reserve", HttpStatusError),
    "503 outcome-unknown": (503, "urn:tlog:problem:outcome-unknown", OutcomeUnknownError),
    "503 of a proxy": (503, "", OutcomeUnknownError),
    "500": (500, "urn:tlog:problem:internal", OutcomeUnknownError),
    "502": (502, "", OutcomeUnknownError),
    "504": (504, "", OutcomeUnknownError),
}


@pytest.mark.parametrize(("status", "problem", "error"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_refused_or_unknown(status: int, problem: str, error: type[TlogError]) -> None:
    """Only an answer that says so is a refusal; any other server error leaves the outcome open."""

    class Refusing(LogSimulator):
        async def post(self, path: str, *args: object, **kwargs: object) -> PostAnswer:
            raise HttpStatusError(path, status, Problem(problem, "No", "") if problem else None)

    log = Refusing(make_entries(3))
    never = Retries(RetryPolicy(0))
    with pytest.raises(error) as caught:
        await LogClient(log, log.key, retries=never).append(b"one")
    assert isinstance(caught.value, OutcomeUnknownError) is (error is OutcomeUnknownError)
