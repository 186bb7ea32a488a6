"""What each worker may hold, and that what it holds is counted."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.api.fakes import FakeHost
from tlog import measures
from tlog.budget import QueueBudget
from tlog.config import Config
from tlog.host import Host
from tlog.measures import ProcessFacts
from tlog.metrics import Scrape
from tlog.workers import process
from tlog.workers.messages import Measured, State
from tlog.workers.pool import share
from tlog.workers.remote import Link, RemoteBackend
from tlog.workers.worker import Worker

LARGEST_BUNDLE_BYTES = 256 * (2 + 65535)
MIB = 1024 * 1024
LIMIT_S = 10


@pytest.mark.parametrize("count", [2, 3, 5, 9, 64])
def test_every_worker_has_room_for_the_largest_request(count: int) -> None:
    """However many there are: a batch, and a bundle in the half that one address may hold."""
    config = Config(data_dir=Path("data"))
    part = share(config, count)
    queue, answers = QueueBudget(part.queue_bytes), part.response_bytes
    queue.take(config.batch_bytes)
    assert answers // 2 >= LARGEST_BUNDLE_BYTES
    assert part.connections == 4096 // count
    if count <= 3:
        assert (part.queue_bytes, answers) == (64 * MIB // count, 128 * MIB // count)


def test_the_smallest_share_is_one_connection() -> None:
    """With more workers than connections each may have one."""
    assert share(Config(data_dir=Path("data"), connections=3), 4).connections == 1


def test_what_arrives_at_workers_is_in_the_metrics(tmp_path: Path) -> None:
    """Queue and arriving bytes are one number, and what is gone is not in it."""
    host = FakeHost(tmp_path)
    host.queue_bytes = 1000
    rows = [log.row for log in host.logs.values()]

    def queue_line() -> str:
        text = Scrape(host.as_host(), []).format("text/plain")[0].decode()
        return next(line for line in text.splitlines() if line.startswith("tlog_queue_bytes "))

    for name in ("worker-0", "worker-1"):
        backend = RemoteBackend(host.config, Link(lambda message: None), State(1, rows, []))
        with backend.logs["public"].reserve() as first, backend.logs["private"].reserve() as other:
            first.grow(20)
            other.grow(3)
            host.measures.reported(name, backend.http_measures.take())
    assert queue_line() == "tlog_queue_bytes 1046.0"
    host.measures.reported("worker-1", backend.http_measures.take())
    assert queue_line() == "tlog_queue_bytes 1023.0"
    host.measures.forget("worker-0")
    assert queue_line() == "tlog_queue_bytes 1000.0"


async def test_a_worker_without_descriptors_still_says_that_it_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No report can be made then; what was counted meanwhile is in the next one."""
    results: list[ProcessFacts | OSError] = [
        ProcessFacts(1, 1.0, 1),
        OSError(errno.EMFILE, "Too many open files"),
        ProcessFacts(2, 2.0, 2),
    ]

    def read_facts() -> ProcessFacts:
        result = results.pop(0)
        if isinstance(result, OSError):
            raise result
        return result

    monkeypatch.setattr(measures, "read_process_facts", read_facts)
    monkeypatch.setattr(process, "REPORT_S", 0.0)
    said: list[Measured] = []
    counting = measures.HttpMeasures()

    def send(message: Measured) -> None:
        said.append(message)
        counting.answered("/x", "GET", 200, 0.001)

    worker = process._Worker()
    monkeypatch.setattr(worker._channel, "send", send)
    reporting = asyncio.create_task(worker._report(counting))
    async with asyncio.timeout(LIMIT_S):
        while results:  # noqa: ASYNC110 - a task empties it
            await asyncio.sleep(0)
    reporting.cancel()
    first, nothing, last = (message.report for message in said)
    assert first is not None
    assert nothing is None
    assert last is not None
    assert last.requests == [("/x", "GET", 2, 2)]
    host = SimpleNamespace(measures=measures.ServerMeasures())
    place = Worker("worker-0", cast("Host", host), lambda: None)
    place._received(said[0])
    place._received(said[1])
    assert host.measures.workers == {"worker-0": first}
