"""What each worker may hold, and that what it holds is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.fakes import FakeHost
from tlog.budget import QueueBudget
from tlog.config import Config
from tlog.metrics import Scrape
from tlog.workers.messages import State
from tlog.workers.pool import share
from tlog.workers.remote import Link, RemoteBackend

LARGEST_BUNDLE_BYTES = 256 * (2 + 65535)
MIB = 1024 * 1024


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
