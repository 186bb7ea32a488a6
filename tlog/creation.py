"""Making data directories and logs. The row of control.db comes last: it alone makes a log exist.

A log is made as `logs/NAME.new` and renamed when all of it is durable. Whatever a crash leaves
before the row is removed by the next creation of that name, but only what never can have lived.
"""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tlog.checkpoints import CheckpointStore
from tlog.clock import Clock
from tlog.control import LOG_NAME, ControlDatabase, LogRow
from tlog.errors import AlreadyExistsError, DataDirectoryError, StoreError, UsageError
from tlog.heads import FileHeadStore
from tlog.lock import DirectoryLock
from tlog.publisher import HeadWriter
from tlog.signer import read_key, write_key
from tlog.sqlite import wrapping
from tlog.store.base import Batch, Store
from tlog.store.commit_record import CommitRecord
from tlog.store.files import sync_directory
from tlog.tree import EMPTY_EDGE
from tlog_proofs import (
    KIND_EVENT,
    KIND_OPAQUE,
    Ed25519Signer,
    Genesis,
    TlogError,
    check_origin,
    format_genesis,
    leaf_hash,
    open_checkpoint,
)

DIRECTORY_MODE = 0o700
SEED_BYTES = 32
UNFINISHED = "control.new"
UNFINISHED_LOG = ".new"  # no name of a log has a dot


class StoreFactory(Protocol):
    """Opens and creates the stores of one kind; given by the composition root."""

    def __call__(self, directory: Path) -> Store:
        """Open an existing store (StoreError otherwise)."""

    def create(self, directory: Path, genesis: Batch) -> Store:
        """Make a store with its first batch, durably (StoreError otherwise)."""


@dataclass(frozen=True, slots=True)
class NewLog:
    """What a creator asks for; kind is `opaque/1` or `event/1`."""

    name: str
    origin: str
    kind: str = KIND_OPAQUE
    public: bool = False


def init_directory(data_dir: Path, heads: Path | None = None) -> None:
    """Make a data directory out of an absent or empty one; heads: where heads go if not inside.

    Raises:
        DataDirectoryError: it is not empty, or cannot be written. LockHeldError: it is in use.
    """
    heads_dir = heads.absolute() if heads else data_dir / "heads"
    try:
        parents = _parents_of_new(data_dir) | _parents_of_new(heads_dir)
        data_dir.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        with DirectoryLock(data_dir):
            _check_empty(data_dir)
            data_dir.chmod(DIRECTORY_MODE)
            heads_dir.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            (data_dir / "logs").mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            unfinished = data_dir / UNFINISHED
            for path in data_dir.glob(f"{UNFINISHED}*"):
                path.unlink()
            # Inside DIR by a relative path: DIR may be moved, or restored elsewhere.
            ControlDatabase.create(unfinished, heads_dir if heads else Path("heads"))
            unfinished.rename(data_dir / "control.db")
            for directory in (heads_dir, data_dir, *parents):
                sync_directory(directory)
    except (OSError, StoreError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"making {data_dir}: {reason}"
        raise DataDirectoryError(message) from error


def _parents_of_new(path: Path) -> set[Path]:
    """The directories that get a new name when path is made with its parents; always path's own."""
    path = path.absolute()
    return {path.parent, *(parent.parent for parent in path.parents if not parent.exists())}


def _check_empty(data_dir: Path) -> None:
    """Refuse a directory with anything but what an interrupted `init` leaves."""
    for path in data_dir.iterdir():
        leaving = path.name in ("lock", "heads", "logs") or path.name.startswith(UNFINISHED)
        if not leaving or (path.is_dir() and any(path.iterdir())):
            message = f"{data_dir} is not empty: it holds {path.name}"
            raise DataDirectoryError(message)


@dataclass(frozen=True, slots=True)
class LogMaker:
    """Makes logs in one data directory, by whoever holds its lock; calls block."""

    data_dir: Path
    control: ControlDatabase
    heads: FileHeadStore
    stores: StoreFactory
    clock: Clock

    def create(self, new: NewLog) -> LogRow:
        """Make a log: key, databases with the genesis, head of size 1, checkpoint, row.

        Raises:
            UsageError: a name, origin or kind that cannot be. AlreadyExistsError: taken.
            StoreError: it could not be written; nothing exists.
        """
        self._check(new)
        directory = self.data_dir / "logs" / new.name
        unfinished = directory.with_name(new.name + UNFINISHED_LOG)
        self._check_never_lived(directory)
        leavings = [path for path in (unfinished, directory) if path.exists()]
        unborn = dict(filter(None, map(self._unborn_head, leavings)))
        head = self.heads.fetch(new.origin)
        if head != unborn.get(new.origin):
            message = (
                f"the head store has a head of {new.origin}: a log of that origin exists or "
                "existed, and two logs must never share one"
            )
            raise AlreadyExistsError(message)
        # Nothing is touched before every refusal was possible.
        for origin, unborn_head in unborn.items():
            self.heads.remove(origin, unborn_head)
        with wrapping(new.name):
            for leaving in leavings:
                shutil.rmtree(leaving)
                sync_directory(directory.parent)
        with wrapping(new.name):
            unfinished.mkdir(mode=DIRECTORY_MODE)
            signer = Ed25519Signer(new.origin, secrets.token_bytes(SEED_BYTES))
            write_key(unfinished / "key", signer)
            sync_directory(unfinished)
            sync_directory(unfinished.parent)
        row = self._fill(unfinished, new, signer)
        with wrapping(new.name):
            unfinished.rename(directory)
            sync_directory(directory.parent)
        self.control.add_log(row)
        return row

    def _check(self, new: NewLog) -> None:
        if not LOG_NAME.fullmatch(new.name):
            message = f"expected a name of [a-z0-9][a-z0-9-]{{0,62}}, got {new.name!r}"
            raise UsageError(message)
        if new.kind not in (KIND_OPAQUE, KIND_EVENT):
            message = f"expected kind {KIND_OPAQUE} or {KIND_EVENT}, got {new.kind!r}"
            raise UsageError(message)
        try:
            check_origin(new.origin)
        except TlogError as error:
            message = f"origin: {error}"
            raise UsageError(message) from error
        for row in self.control.logs():
            # Only what was asked for: who asks may be no friend of the other log's.
            if row.name == new.name:
                message = f"a log {new.name} exists already"
                raise AlreadyExistsError(message)
            if row.origin == new.origin:
                message = f"a log of origin {new.origin} exists already"
                raise AlreadyExistsError(message)

    def _check_never_lived(self, directory: Path) -> None:
        """Refuse a directory without a row whose log took entries: they must not be lost.

        Raises:
            AlreadyExistsError: it holds more than a genesis, or cannot be looked into.
        """
        if not directory.exists():
            return
        try:
            store = self.stores(directory)
            size = store.newest_commit().size
            store.close()
            signer = read_key(directory / "key")
        except (StoreError, DataDirectoryError) as error:
            message = f"logs/{directory.name} is kept, since it cannot be opened: {error}"
            raise AlreadyExistsError(message) from error
        head = self.heads.fetch(signer.name)
        if size > 1 or (head is not None and not _is_first_head(head, signer)):
            message = (
                f"logs/{directory.name} holds a log that lived and that control.db does not "
                "know: bring the newest control.db back, or move that directory away"
            )
            raise AlreadyExistsError(message)

    def _unborn_head(self, leaving: Path) -> tuple[str, bytes] | None:
        """The origin and head of a leaving, if it is its own head of size 1 and no log's."""
        try:
            signer = read_key(leaving / "key")
        except DataDirectoryError:
            return None  # interrupted before the key was durable: there is no head yet
        head = self.heads.fetch(signer.name)
        if head is None or any(row.origin == signer.name for row in self.control.logs()):
            return None
        return (signer.name, head) if _is_first_head(head, signer) else None

    def _fill(self, directory: Path, new: NewLog, signer: Ed25519Signer) -> LogRow:
        """The databases with the genesis, and the first publication by the publisher's code."""
        created = self.clock.wall_ms() // 1000
        vkey = signer.verifier.vkey
        genesis = format_genesis(Genesis(new.origin, new.kind, created, (vkey,)))
        hashes = [leaf_hash(genesis)]
        edge, _ = EMPTY_EDGE.extend(hashes)
        record = CommitRecord(0, 1, edge.root, created)
        store = self.stores.create(
            directory, Batch(record=record, leaves=[genesis], leaf_hashes=hashes)
        )
        try:
            checkpoints = CheckpointStore.create(directory / "checkpoints.db")
            try:
                with wrapping(new.name):
                    sync_directory(directory)
                HeadWriter(
                    store=store,
                    heads=self.heads,
                    checkpoints=checkpoints,
                    signer=signer,
                    clock=self.clock,
                    edge=EMPTY_EDGE,
                    head=None,
                ).publish(record)
            finally:
                checkpoints.close()
        finally:
            store.close()
        return LogRow(new.name, new.origin, new.kind, new.public, vkey, created)


def _is_first_head(head: bytes, signer: Ed25519Signer) -> bool:
    """Whether a head is of size 1 and signed by that very key."""
    try:
        return open_checkpoint(head, signer.verifier).size == 1
    except TlogError:
        return False
