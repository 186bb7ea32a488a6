"""What the operator takes upon himself while no server runs: a log goes on without its ids."""

from __future__ import annotations

from pathlib import Path

from tlog.clock import Clock
from tlog.control import ControlDatabase, LogRow
from tlog.errors import DataDirectoryError, LockHeldError, NotFoundError, UsageError
from tlog.heads import FileHeadStore
from tlog.ids import new_key
from tlog.lock import DirectoryLock
from tlog.startup import OpenStore, open_log


def confirm_ids(data_dir: Path, name: str, open_store: OpenStore, clock: Clock) -> int:
    """Store a new key for the week of a log's newest ids, which are known no more; that week.

    The week before gets one too if it has none: its ids are as unknown.

    Raises:
        LockHeldError: a server or another command has the directory open.
        DataDirectoryError: it is none. NotFoundError: it has no log of that name.
        UsageError: the log does not wait for that.
    """
    path = data_dir / "control.db"
    if not path.exists():
        message = f"{data_dir} is no data directory: it has no control.db"
        raise DataDirectoryError(message)
    try:
        lock = DirectoryLock(data_dir)
    except LockHeldError as error:
        message = f"{error}: ids are confirmed while no server runs, so stop it first"
        raise LockHeldError(message) from error
    with lock:
        control = ControlDatabase(path)
        try:
            row = next((row for row in control.logs() if row.name == name), None)
            if row is None:
                message = f"no log named {name}"
                raise NotFoundError(message)
            return _confirm(data_dir, row, control, open_store, clock)
        finally:
            control.close()


def _confirm(
    data_dir: Path, row: LogRow, control: ControlDatabase, open_store: OpenStore, clock: Clock
) -> int:
    id_keys = control.id_keys(row.name)
    opened = open_log(
        row,
        data_dir / "logs" / row.name,
        FileHeadStore(control.heads),
        open_store,
        id_keys,
        clock.wall_ms() // 1000,
    )
    for part in (opened.store, opened.checkpoints):
        if part is not None:
            part.close()
    week = opened.unknown_ids
    if week is None or opened.newest is None:
        why = "its ids are known" if opened.refusal is None else f"it says: {opened.refusal}"
        message = f"{row.name} does not wait for a confirmation of its ids: {why}"
        raise UsageError(message)
    if all(key.week != week - 1 for key in id_keys):
        control.add_id_key(row.name, new_key(week - 1, opened.newest.size))
    control.replace_id_key(row.name, new_key(week, opened.newest.size))
    return week
