"""What was refused is let go of at once: the cycle collector counts objects, not megabytes."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.doubles import RunningLog, running_log, until
from tlog.errors import IdConflictError, OutcomeUnknownError
from tlog.ids import EntryId

ENTRY_ID = EntryId("token", "id")


class Entries(list[bytes]):
    """A list that can be referred to weakly."""


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def refused(
    log: RunningLog, entry: bytes, error: type[Exception]
) -> weakref.ReferenceType[Entries]:
    """Append an entry, which is refused; a reference to what was given."""
    entries = Entries([entry])
    try:
        await log.idempotency.append(entries, [ENTRY_ID])
    except error:
        return weakref.ref(entries)
    message = "it was not refused"
    raise AssertionError(message)


@pytest.mark.usefixtures("_no_collector")
async def test_a_conflict_keeps_nothing(tmp_path: Path) -> None:
    """Whoever sends large batches with an id that stands fills no memory."""
    async with running_log(tmp_path) as log:
        await log.idempotency.append([b"first"], [ENTRY_ID])
        reference = await refused(log, b"other", IdConflictError)
        await until(lambda: reference() is None)


@pytest.mark.usefixtures("_no_collector")
async def test_who_waits_for_a_request_that_fails_keeps_nothing(tmp_path: Path) -> None:
    """Neither the request that was under way, nor the one that came with the same id."""
    async with running_log(tmp_path) as log:
        log.store.gate.clear()
        both = [asyncio.create_task(refused(log, b"new", OutcomeUnknownError)) for _ in range(2)]
        await asyncio.sleep(0.05)
        log.store.fault = "lost"
        log.store.gate.set()
        references = await asyncio.gather(*both)
        both.clear()
        await until(lambda: [reference() for reference in references] == [None, None])
