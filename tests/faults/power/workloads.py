"""What runs under the shim: `python -m tests.faults.power.workloads NAME MACHINE RUN [MUTANT]`.

The real host on the real store, without HTTP. The first run ends without closing anything; the
second one starts on what is left, works and stops in order. What clients would be told
goes to the file `told`, a line a write, so that the record has it in order with everything else.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from tests.faults.power import mutants
from tests.server.doubles import START_S, FakeClock, until
from tlog.config import Config
from tlog.creation import NewLog, init_directory
from tlog.host import Host
from tlog.ids import EntryId
from tlog.log import Log
from tlog.publisher import HeadWriter
from tlog.store import bodies, leaf_index, leveldb
from tlog.store.base import Batch
from tlog.store.commit_record import CommitRecord
from tlog.tokens import Scope
from tlog_proofs import leaf_hash

ORIGIN = "log.example/power"
PRINCIPAL = "abcdefghij"
# LevelDB's least: WALs, tables and manifests of log/ and bodies/ change often.
WRITE_BUFFER_BYTES = 64 * 1024
SINGLES = 3
ROUNDS = 12
BATCHES = (1, 40, 255, 2, 300, 100, 600)  # entries
MONTH_S = 31 * 86_400


class Teller:
    """Writes what clients are told."""

    def __init__(self, machine: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(machine / "told", flags, 0o600)

    def __call__(self, what: str, value: object) -> None:
        """Tell one thing."""
        os.write(self._descriptor, json.dumps({what: value}).encode())

    def acks(self, first_index: int, entries: list[bytes]) -> None:
        """Tell that entries are durable."""
        texts = [base64.b64encode(entry).decode() for entry in entries]
        self("acks", [first_index, texts])

    def head(self, log: Log) -> None:
        """Tell the head that is served."""
        self("head", log.published.note.decode())


def body_of(entry: bytes) -> bytes:
    """The body that belongs to an entry of the bodies' workload: 1,280 bytes."""
    return hashlib.sha256(entry).digest() * 40


async def appends(log: Log, tell: Teller, mutant: str) -> None:
    """Three lone appenders and one of batches, all at once; with a mutant one after the other."""

    async def append(entries: list[bytes], ids: Sequence[EntryId] = ()) -> None:
        placed = await log.append(entries, ids)
        tell.acks(placed.indexes[0], entries)
        for entry_id in ids:
            tell("id", [entry_id.text, placed.indexes[0]])
        if await log.wait_published(placed.size, 20) is not None:
            tell.head(log)

    async def singles(number: int) -> None:
        for n in range(ROUNDS):
            text = f"single {n} of {number}, from {log.published.size}"
            await append([text.encode()], [EntryId(PRINCIPAL, text)])

    async def batches() -> None:
        for n, count in enumerate(BATCHES):
            size = log.published.size
            await append([b"%d of batch %d from %d;" % (m, n, size) * 12 for m in range(count)])

    if mutant in (mutants.ACKS_FIRST, mutants.SIGNS_FIRST):
        await singles(0)
        return
    await asyncio.gather(batches(), *(singles(number) for number in range(SINGLES)))


def commit_bodies(writer: HeadWriter, tell: Teller, newest: CommitRecord, t: int) -> CommitRecord:
    """Commit batches whose entries have bodies, publish each: the store and publisher directly."""
    for count in (1, 3, 60, 2, 1, 30):
        first = newest.size
        entries = [b'{"index":%d,"t":%d}' % (first + n, t) for n in range(count)]
        hashes = [leaf_hash(entry) for entry in entries]
        edge, tiles = writer.edge.extend(hashes)
        newest = CommitRecord(first, edge.size, edge.root, t)
        bodies_of = [body_of(entry) for entry in entries]
        writer.store.commit(Batch(newest, entries, hashes, tiles, bodies_of))
        tell.acks(first, entries)
        tell("head", writer.publish(newest).note.decode())
    return newest


def work_on_bodies(log: Log, clock: FakeClock, tell: Teller) -> None:
    """Bodies in two months, the second of which is made on the way."""
    if log._parts is None:
        raise AssertionError(log.reason)
    writer = log._parts.writer
    newest = writer.store.newest_commit()
    for _ in range(2):
        t = max(newest.t, clock.wall_ms() // 1000)
        newest = commit_bodies(writer, tell, newest, t)
        clock.wall_s = t + MONTH_S
        tell("clock", clock.wall_s)


async def work(name: str, machine: Path, run: str, mutant: str) -> None:
    """One run of a workload."""
    tell = Teller(machine)
    # Months pass between the runs of the one, and no id expires in the other.
    later = 2 * MONTH_S if name == "bodies" else 60
    clock = FakeClock(START_S if run == "first" else START_S + later)
    data_dir = machine / "data"
    if run == "first":
        init_directory(data_dir)
    config = Config(data_dir=data_dir, disk_reserve_bytes=0, publish_interval_s=0.005)
    host = Host.open(config, mutants.stores(mutant), clock)
    await host.start()
    if run == "first":
        facts = await host.create_log(NewLog("a", ORIGIN))
        tell("vkey", facts.vkey)
        tell("token", await host.create_token(["a"], [Scope.READ]))
    log = host.log("a")
    mutants.arm(log)
    await until(lambda: log.state == "ready")
    tell.head(log)
    tell("clock", clock.wall_s)
    if name == "bodies":
        with ThreadPoolExecutor(1) as thread:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(thread, work_on_bodies, log, clock, tell)
    else:
        await appends(log, tell, mutant)
    if run == "first":
        os._exit(0)
    await host.stop()
    host.release()


async def main(name: str, machine: str, run: str, mutant: str) -> None:
    """Run with small buffers, and the mutant if there is one."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(leveldb, "LOG_WRITE_BUFFER_BYTES", WRITE_BUFFER_BYTES))
        stack.enter_context(patch.object(bodies, "WRITE_BUFFER_BYTES", WRITE_BUFFER_BYTES))
        flushed_by = "WRITE_BUFFER_BYTES" if mutant == mutants.INDEX_UNFLUSHED else "FLUSH_BYTES"
        stack.enter_context(patch.object(leaf_index, flushed_by, WRITE_BUFFER_BYTES))
        stack.enter_context(patch("tlog.log_parts.Sequencer", mutants.sequencer(mutant)))
        await work(name, Path(machine), run, mutant)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
