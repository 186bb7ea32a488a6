"""A clock, a head store and a store that tests hold in their hands, and a running log of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from tlog.budget import QueueBudget
from tlog.checkpoints import CheckpointStore, Published
from tlog.clock import LogTime
from tlog.config import Config
from tlog.errors import HeadConflictError, StoreError
from tlog.idempotency import Idempotency
from tlog.ids import IdKeys, WeekKey
from tlog.publisher import HeadWriter, Publisher
from tlog.sequencer import Sequencer
from tlog.store.base import Batch
from tlog.store.commit_record import CommitRecord
from tlog.store.memory import MemoryDisk, MemoryStore
from tlog.tree import EMPTY_EDGE
from tlog_proofs import Ed25519Signer, leaf_hash

START_S = 1_793_000_000
ORIGIN = "log.example/doubles"


class FakeClock:
    """A clock that stands still until it is moved."""

    def __init__(self, wall_s: int = START_S) -> None:
        self.wall_s = wall_s
        self.boot = 1000.0

    def wall_ms(self) -> int:
        return self.wall_s * 1000

    def boot_s(self) -> float:
        return self.boot


class MemoryHeads:
    """A head store in memory; fault: "", "lost" or "persisted" for the next compare-and-set."""

    def __init__(self) -> None:
        self.heads: dict[str, bytes] = {}
        self.fault = ""
        self.writes: list[bytes] = []

    def fetch(self, origin: str) -> bytes | None:
        return self.heads.get(origin)

    def compare_and_set(self, origin: str, old: bytes | None, new: bytes) -> None:
        if self.heads.get(origin) != old:
            message = "another head"
            raise HeadConflictError(message)
        if self.fault == "lost":
            message = "fault before the head"
            raise StoreError(message)
        self.heads[origin] = new
        self.writes.append(new)
        if self.fault == "persisted":
            message = "fault after the head"
            raise StoreError(message)


class GatedStore(MemoryStore):
    """A store whose commits wait for `gate`, are counted, and fail as `fault` says."""

    def __init__(self, disk: MemoryDisk) -> None:
        super().__init__(disk)
        self.disk = disk
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.fault = ""
        self.batches: list[int] = []
        self.index_faults = 0  # so many writes of the index will fail
        self.index_bug: Exception | None = None  # what every write of the index ends with
        self.index_gate = threading.Event()  # that a batch's index waits for
        self.index_gate.set()

    def index(self, batch: Batch) -> None:
        wait_at(self.index_gate)
        self._fail_index()
        super().index(batch)

    def index_missing(self, entries: int) -> None:
        self._fail_index()
        super().index_missing(entries)

    def _fail_index(self) -> None:
        if self.index_bug is not None:
            raise self.index_bug
        if self.index_faults:
            self.index_faults -= 1
            message = "fault in the index"
            raise StoreError(message)

    def write_log(self, batch: Batch) -> None:
        self.entered.set()
        wait_at(self.gate)
        if self.fault == "lost":
            message = "fault before the log"
            raise StoreError(message)
        super().write_log(batch)
        self.batches.append(len(batch.leaves))
        if self.fault == "persisted":
            message = "fault after the log"
            raise StoreError(message)


def wait_at(gate: threading.Event) -> None:
    """Wait until the test opens a gate."""
    if not gate.wait(20):
        message = "the test forgot the gate"
        raise AssertionError(message)


class StoredKeys:
    """The keys of ids as control.db would hold them."""

    def __init__(self) -> None:
        self.keys: dict[int, WeekKey] = {}
        self.fault: Exception | None = None  # of every drop

    async def save(self, key: WeekKey) -> None:
        self.keys[key.week] = key

    async def drop(self, before_week: int) -> None:
        if self.fault is not None:
            raise self.fault
        self.keys = {week: key for week, key in self.keys.items() if week >= before_week}


class RunningLog:
    """A sequencer and a publisher on doubles, wired as in tlog.log."""

    def __init__(self, path: Path, config: Config, signer: Ed25519Signer) -> None:
        self.clock = FakeClock()
        self.heads = MemoryHeads()
        self.store = GatedStore(MemoryDisk())
        self.budget = QueueBudget(config.queue_bytes)
        self.checkpoints = CheckpointStore.create(path / "checkpoints.db")
        self.reasons: list[str] = []
        self.signer = signer
        self.threads = ThreadPoolExecutor(3)
        edge, _ = EMPTY_EDGE.extend([leaf_hash(b"genesis")])
        record = CommitRecord(0, 1, edge.root, START_S)
        genesis = Batch(record, [b"genesis"], [leaf_hash(b"genesis")])
        self.store.create_month(START_S)
        self.store.commit(genesis)
        self.store.index(genesis)
        self.writer = HeadWriter(
            store=self.store,
            heads=self.heads,
            checkpoints=self.checkpoints,
            signer=signer,
            clock=self.clock,
            edge=EMPTY_EDGE,
            head=None,
        )
        published: Published = self.writer.publish(record)
        self.publisher = Publisher(
            writer=self.writer,
            published=published,
            newest=record,
            interval_s=config.publish_interval_s,
            executor=self.threads,
            on_fatal=self.on_fatal,
        )
        self.keys = StoredKeys()
        id_keys = IdKeys((), self.keys.save, self.keys.drop)
        log_time = LogTime(self.clock, START_S, config.clock_wait_s, config.clock_jump_s)
        self.sequencer = Sequencer(
            store=self.store,
            edge=edge,
            log_time=log_time,
            budget=self.budget,
            config=config,
            id_keys=id_keys,
            writer=self.threads,
            on_commit=self.publisher.committed,
            on_fatal=self.on_fatal,
        )
        self.store.batches.clear()
        self.store.entered.clear()
        self.idempotency = Idempotency(
            store=self.store,
            sequencer=self.sequencer,
            id_keys=id_keys,
            budget=self.budget,
            readers=self.threads,
            now_s=lambda: max(self.clock.wall_s, log_time.newest_t),
        )

    def on_fatal(self, reason: str) -> None:
        self.reasons.append(reason)
        self.sequencer.fail(reason)
        self.publisher.fail()


@asynccontextmanager
async def running_log(
    path: Path,
    *,
    config: Config | None = None,
    signer: Ed25519Signer | None = None,
    publish: bool = True,
) -> AsyncIterator[RunningLog]:
    """A log whose tasks run for the time of the block; publish=False leaves out the publisher."""
    log = RunningLog(
        path,
        config or Config(data_dir=path),
        signer or Ed25519Signer(ORIGIN, bytes(range(32))),
    )
    tasks = [asyncio.create_task(log.sequencer.run())]
    if publish:
        tasks.append(asyncio.create_task(log.publisher.run()))
    try:
        yield log
    finally:
        log.store.gate.set()
        log.store.index_gate.set()
        async with asyncio.timeout(20):
            log.sequencer.stop()
            await tasks[0]
            log.publisher.stop()
            await asyncio.gather(*tasks)
        log.threads.shutdown()
        log.checkpoints.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, 20 seconds at most."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition belongs to threads
            await asyncio.sleep(0.002)
