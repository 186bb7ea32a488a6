"""A host that crashes at a named moment: what its disk held then is what the next one starts on."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from tests.server.doubles import FakeClock, until
from tlog.app import LevelDBStores
from tlog.checkpoints import CheckpointStore, Published
from tlog.config import Config
from tlog.creation import NewLog, init_directory
from tlog.heads import HeadStore
from tlog.host import Host
from tlog.ids import EntryId
from tlog.log import Log
from tlog.store.base import Batch
from tlog.store.leveldb import LevelDBStore

ORIGIN = "log.example/model"
IDLE = "idle"
BEFORE_COMMIT = "before the commit"
AFTER_COMMIT = "after the commit"
BEFORE_HEAD = "before the head"
AFTER_HEAD = "after the head"
AFTER_ROW = "after the checkpoint's row"
MOMENTS = (IDLE, BEFORE_COMMIT, AFTER_COMMIT, BEFORE_HEAD, AFTER_HEAD, AFTER_ROW)
NEVER_S = 3600.0
LIMIT_S = 90.0  # a busy disk may take many seconds for the five syncs of a publication

Answer = TypeVar("Answer")


class CrashingHost:
    """One data directory with one log, opened again and again; `log` is the open one.

    Publishes only for who waits. Every call runs the event loop until it is answered.
    """

    def __init__(self, data_dir: Path) -> None:
        self.clock = FakeClock()
        self._data_dir = data_dir
        self._image = data_dir.with_name("image")
        self._moment: str | None = None
        self._loop = asyncio.new_event_loop()
        init_directory(data_dir)
        self._open()
        self.run(self._host.create_log(NewLog("a", ORIGIN)))
        self._arm()

    @property
    def log(self) -> Log:
        """The open log."""
        return self._host.log("a")

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """The answer of a call, LIMIT_S at most."""
        return self._loop.run_until_complete(asyncio.wait_for(work, LIMIT_S))

    def reopen(self) -> None:
        """Stop in order and start again."""
        self._stop()
        self._open()
        self._arm()

    def crash(self, moment: str, entries: list[bytes], ids: list[EntryId]) -> None:
        """Die at a moment of an append and its publication, unanswered; start on what was left.

        Everything before must be published: then nothing else writes at that moment.
        """
        self._moment = moment
        if moment == IDLE:
            self._reach(IDLE)
        else:
            placed = self.run(self.log.append(entries, ids))
            self.run(self.log.wait_published(placed.size, LIMIT_S))
        assert self._image.exists(), f"{moment} never came"
        # What the old process still does, it does to files that are thrown away.
        self._stop()
        shutil.rmtree(self._data_dir)
        self._image.rename(self._data_dir)
        self._open()
        self._arm()

    def close(self) -> None:
        """Stop for good."""
        self._stop()
        self._loop.close()

    def _reach(self, moment: str) -> None:
        if moment == self._moment:
            copy_at_rest(self._data_dir, self._image)
            self._moment = None

    def _open(self) -> None:
        config = Config(data_dir=self._data_dir, disk_reserve_bytes=0, publish_interval_s=NEVER_S)
        self._host = Host.open(config, HookedStores(self), self.clock)
        self.run(self._host.start())

    def _arm(self) -> None:
        self.run(until(lambda: self.log.state != "starting"))
        assert self.log.reason is None, self.log.reason
        assert self.log._parts is not None
        writer = self.log._parts.writer
        writer.heads = HookedHeads(self, writer.heads)
        writer.checkpoints = HookedCheckpoints(self, writer.checkpoints)

    def _stop(self) -> None:
        self.run(self._host.stop())
        self._host.release()


def copy_at_rest(source: Path, target: Path) -> None:
    """Copy a directory as it is at one moment: again, if a compaction of LevelDB came between.

    Nothing else writes meanwhile; a copy of files of two moments is no state that a crash leaves.
    """
    for _ in range(200):
        before = _files(source)
        try:
            shutil.copytree(source, target)
        except (shutil.Error, OSError):
            pass
        else:
            if _files(source) == before:
                return
        shutil.rmtree(target, ignore_errors=True)
        time.sleep(0.02)
    message = "the directory is never at rest"
    raise AssertionError(message)


def _files(directory: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file below a directory; of one that vanishes meanwhile, nothing."""
    found = {}
    for path in directory.rglob("*"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


class HookedStores(LevelDBStores):
    """Opens stores that tell when they commit."""

    def __init__(self, host: CrashingHost) -> None:
        self._host = host

    def __call__(self, directory: Path) -> LevelDBStore:
        return HookedStore(self._host, directory)


class HookedStore(LevelDBStore):
    """A store that tells when it commits."""

    def __init__(self, host: CrashingHost, directory: Path) -> None:
        super().__init__(directory)
        self._host = host

    def commit(self, batch: Batch) -> None:
        self._host._reach(BEFORE_COMMIT)
        super().commit(batch)
        self._host._reach(AFTER_COMMIT)


class HookedHeads:
    """A head store that tells when it is written."""

    def __init__(self, host: CrashingHost, heads: HeadStore) -> None:
        self._host = host
        self._heads = heads

    def fetch(self, origin: str) -> bytes | None:
        return self._heads.fetch(origin)

    def compare_and_set(self, origin: str, old: bytes | None, new: bytes) -> None:
        self._host._reach(BEFORE_HEAD)
        self._heads.compare_and_set(origin, old, new)
        self._host._reach(AFTER_HEAD)


class HookedCheckpoints(CheckpointStore):
    """Published checkpoints that tell when one is added."""

    def __init__(self, host: CrashingHost, checkpoints: CheckpointStore) -> None:
        self._host = host
        self._checkpoints = checkpoints

    def add(self, published: Published) -> None:
        self._checkpoints.add(published)
        self._host._reach(AFTER_ROW)

    def settle(self) -> None:
        self._checkpoints.settle()
