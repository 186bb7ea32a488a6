"""The whole check of one log: every stored row, in an order in which each proves the next.

control.db, key, genesis, `log/` together with every signed root, `bodies/`, `index/`. It stops
at the first wrong row: what was built on that one proves nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tlog.errors import DataDirectoryError, LockHeldError, StoreError
from tlog.fsck.blame import nearest
from tlog.fsck.bodies import check_bodies
from tlog.fsck.damage import DamageError, Progress, Report, leaf_place
from tlog.fsck.ids import IdCheck
from tlog.fsck.index import check_index
from tlog.fsck.records import check_control, check_genesis, check_head, check_key, read_claims
from tlog.fsck.tables import open_tables
from tlog.fsck.tree import check_log_rows
from tlog.fsck.unreadable import check_opens
from tlog.heads import FileHeadStore
from tlog.lock import DirectoryLock
from tlog.store.base import StoredRows
from tlog.store.keys import LEAF, log_key

OpenRows = Callable[[Path], StoredRows]


def check_log(
    data_dir: Path, name: str, open_rows: OpenRows, progress: Progress, now_s: int
) -> Report:
    """Check every stored row of a log, holding the lock of its data directory.

    Nothing is mended. Memory does not grow with the log; time does, by some seconds a million
    entries. progress(done, total) is called now and then. now_s: POSIX seconds.

    Raises:
        DamageError: names the first wrong row.
        LockHeldError: a server or another command has the directory open.
        DataDirectoryError: it is none. NotFoundError: it has no log of that name.
    """
    control = data_dir / "control.db"
    if not control.exists():
        message = f"{data_dir} is no data directory: it has no control.db"
        raise DataDirectoryError(message)
    try:
        lock = DirectoryLock(data_dir)
    except LockHeldError as error:
        message = f"{error}: fsck reads every file itself, so stop the server first"
        raise LockHeldError(message) from error
    with lock:
        stated = check_control(control, name)
        row = stated.row
        directory = data_dir / "logs" / name
        report = Report(row.origin, tokens=stated.tokens)
        check_key(directory / "key", row)
        head = check_head(FileHeadStore(stated.heads), row)
        ids = IdCheck(stated.id_keys, now_s)
        stored = open_rows(directory)
        genesis = check_genesis(_read_genesis(stored), row)
        with open_tables(directory / "checkpoints.db") as checkpoints:
            claims = read_claims(checkpoints, row, head, report)
            try:
                check_log_rows(stored, claims, ids, report, progress, head.size)
            except DamageError as damage:
                raise nearest(stored, damage) from damage
        if genesis.created != report.first_t:
            what = f"says created {genesis.created}, the first batch has t {report.first_t}"
            raise DamageError(leaf_place(0), what)
        if head.size < report.size:
            report.notes.append(
                f"entries {head.size} to {report.size - 1} are not signed yet: "
                "the next start signs them"
            )
        check_bodies(stored, row.kind, report)
        check_index(stored, ids, report)
        return report


def _read_genesis(stored: StoredRows) -> bytes:
    check_opens(stored, "log", "log/")
    try:
        with closing(stored.values("log", [log_key(0, LEAF)])) as values:
            genesis = next(values)
    except StoreError as error:
        raise DamageError(leaf_place(0), f"cannot be read ({error})") from error
    if genesis is None:
        raise DamageError(leaf_place(0), "is missing")
    return genesis
