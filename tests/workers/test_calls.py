"""The two ends of a worker's calls: what is sent together, and what is left when they are over."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from tlog.budget import QueueBudget
from tlog.control import LogRow
from tlog.errors import IdConflictError, QueueFullError
from tlog.host import Host
from tlog.ids import EntryId
from tlog.workers.calls import Calls
from tlog.workers.messages import AppendEach, Call, Cancel, Failure
from tlog.workers.methods import APPEND, CHECK_ACCEPTING, failure_of
from tlog.workers.remote import GATHER_BYTES, GATHER_ENTRIES, Link, RemoteLog

LIMIT_S = 10
ENTRY = b"x" * 1000


@contextmanager
def no_collections() -> Iterator[None]:
    """Only what nothing refers to any more is freed."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class RefusingLink(Link):
    """A core that refuses every call, as soon as it is made."""

    def __init__(self) -> None:
        self.sent: list[msgspec.Struct] = []
        super().__init__(self._refuse)

    def _refuse(self, message: msgspec.Struct) -> None:
        self.sent.append(message)
        assert isinstance(message, AppendEach | Call)
        error = QueueFullError("full", 3)
        asyncio.get_running_loop().call_soon(self.answered, failure_of(message.call, error))


def remote_log(link: Link) -> RemoteLog:
    """A log `a` of the core."""
    return RemoteLog(cast("LogRow", SimpleNamespace(name="a")), link, QueueBudget(1))


@pytest.mark.parametrize("ids", [(), (EntryId("issuer", "id"),)], ids=["gathered", "batch"])
async def test_what_was_refused_is_freed_at_once(ids: Sequence[EntryId]) -> None:
    """Nothing of a refused request waits for the cycle collector, which comes rarely."""
    entry = bytes(bytearray(ENTRY))  # one that no constant refers to
    log = remote_log(RefusingLink())
    with no_collections():
        before = sys.getrefcount(entry)
        for _ in range(10):
            with pytest.raises(QueueFullError):
                await log.append([entry], ids)
        cast("RefusingLink", log._link).sent.clear()
        await asyncio.sleep(0)
        is_freed = sys.getrefcount(entry) == before  # not shown: pytest would refer to it
        assert is_freed


async def test_each_of_those_that_were_sent_together_has_an_error_of_its_own() -> None:
    """One error raised in many requests would gather the frames of all of them."""
    log = remote_log(RefusingLink())
    appends = [log.append([b"%d" % number]) for number in range(5)]
    errors = await asyncio.gather(*appends, return_exceptions=True)
    assert {type(error) for error in errors} == {QueueFullError}
    assert {vars(error)["retry_after_s"] for error in errors} == {3}
    assert len({id(error) for error in errors}) == len(errors)


@pytest.mark.parametrize(
    "entries",
    [
        [b"%d" % number for number in range(3 * GATHER_ENTRIES + 1)],
        [b"%d" % number + bytes(GATHER_BYTES // 10) for number in range(35)],
        [bytes(GATHER_BYTES + 1), b"small", bytes(GATHER_BYTES + 1)],
    ],
    ids=["many", "large", "larger than one message should be"],
)
async def test_single_appends_go_together_within_bounds(entries: Sequence[bytes]) -> None:
    """All of one turn of the loop, in their order, in the fewest messages that the bounds allow."""
    link = RefusingLink()
    log = remote_log(link)
    await asyncio.gather(*(log.append([entry]) for entry in entries), return_exceptions=True)
    parts = [message.entries for message in link.sent if isinstance(message, AppendEach)]
    assert [entry for part in parts for entry in part] == entries
    for number, part in enumerate(parts):
        assert 1 <= len(part) <= GATHER_ENTRIES
        assert len(part) == 1 or sum(map(len, part)) <= GATHER_BYTES
        if number:  # its first entry had no room in the one before
            before = parts[number - 1]
            size = sum(map(len, before)) + len(part[0])
            assert len(before) == GATHER_ENTRIES or size > GATHER_BYTES


class WaitingLog:
    """A log whose calls wait for ever."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0

    async def check_accepting(self) -> None:
        """Wait until cancelled."""
        self.begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1


def calls_on(log: object, sent: list[msgspec.Struct]) -> Calls:
    """The calls of a worker on a host whose log `a` is that one."""
    return Calls(cast("Host", SimpleNamespace(logs={"a": log})), sent.append)


CHECK = Call(1, "a", CHECK_ACCEPTING.name, CHECK_ACCEPTING.encode_arguments(()))


@pytest.mark.parametrize("turns", [0, 3])
async def test_a_cancelled_call_leaves_nothing_behind(turns: int) -> None:
    """Whether the Cancel comes with its call, before that has begun, or later."""
    log = WaitingLog()
    sent: list[msgspec.Struct] = []
    calls = calls_on(log, sent)
    calls.begin(CHECK)
    for _ in range(turns):
        await asyncio.sleep(0)
    calls.begin(Cancel(CHECK.call))
    for _ in range(3):
        await asyncio.sleep(0)
    assert log.begun == log.ended == bool(turns)
    assert not calls._tasks
    assert not sent


async def test_the_entries_of_a_refused_call_are_freed_at_once() -> None:
    """In the core too: a batch that is refused there is held by nothing."""
    kept: list[bytes] = []

    class ConflictingLog:
        async def append(self, entries: list[bytes], ids: Sequence[EntryId | None]) -> None:
            del ids
            kept.append(entries[0])
            message = "another entry has this id"
            raise IdConflictError(message)

    sent: list[msgspec.Struct] = []
    calls = calls_on(ConflictingLog(), sent)
    with no_collections():
        arguments = APPEND.encode_arguments(([ENTRY], [EntryId("issuer", "id")]))
        calls.begin(Call(1, "a", APPEND.name, arguments))
        async with asyncio.timeout(LIMIT_S):
            while not sent:  # noqa: ASYNC110 - a task fills it
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        answer = sent[0]
        assert isinstance(answer, Failure)
        assert answer.kind == IdConflictError.__name__
        entry, alone = kept.pop(), bytes(bytearray(ENTRY))
        is_alone = sys.getrefcount(entry) == sys.getrefcount(alone)
        assert is_alone
