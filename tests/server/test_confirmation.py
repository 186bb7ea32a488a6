"""A log whose newest ids control.db does not know, and how it goes on."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import plyvel
import pytest

from tests.server.doubles import START_S, FakeClock
from tests.server.hosts import ORIGIN, filled, open_host
from tlog.confirmation import confirm_ids
from tlog.creation import NewLog
from tlog.errors import LockHeldError, NotFoundError, ReadOnlyError, UsageError
from tlog.ids import WEEK_S, EntryId, week_of
from tlog.store.commit_record import format_commit_record, parse_commit_record
from tlog.store.keys import COMMIT_RECORD, log_key
from tlog.store.leveldb import LevelDBStore

WEEK = week_of(START_S)


def entry_id(text: str) -> EntryId:
    """An id of one client."""
    return EntryId("client", text)


async def place(data_dir: Path, text: str, clock: FakeClock | None = None) -> int:
    """Where the entry of an id stands, sent now."""
    async with open_host(data_dir, clock) as host:
        return (await host.log("a").append([text.encode()], [entry_id(text)])).indexes[0]


async def refusal_of(data_dir: Path, clock: FakeClock | None = None) -> str:
    """Why the log is read-only."""
    async with open_host(data_dir, clock) as host:
        log = host.log("a")
        assert (log.state, host.accepting) == ("read-only", False)
        with pytest.raises(ReadOnlyError):
            await log.append([b"x"])
        assert await log.read_entry(1) == b"entry 1"
        return log.reason or ""


def put_back(source: Path, data_dir: Path) -> None:
    """Put a kept control.db back."""
    for path in data_dir.glob("control.db*"):
        path.unlink()
    shutil.copy(source, data_dir / "control.db")


def confirm(data_dir: Path) -> int:
    """`tlog log confirm-ids`."""
    return confirm_ids(data_dir, "a", LevelDBStore, FakeClock())


def older(data_dir: Path, kept: Path) -> None:
    """control.db from before the first id."""
    put_back(kept, data_dir)


def without_keys(data_dir: Path, kept: Path) -> None:
    """The rows of the keys are gone."""
    del kept
    with sqlite3.connect(data_dir / "control.db") as database:
        database.execute("DELETE FROM id_keys")
    database.close()


LOSSES = [older, without_keys]


async def with_an_id(data_dir: Path) -> Path:
    """A log of five entries, of which the last has an id; a control.db that is older than that."""
    await filled(data_dir, 3)
    kept = data_dir.parent / "control.db.kept"
    shutil.copy(data_dir / "control.db", kept)
    assert await place(data_dir, "one") == 4
    return kept


@pytest.mark.parametrize("lose", LOSSES, ids=lambda value: value.__name__)
async def test_ids_that_would_be_logged_twice_keep_the_log_read_only(
    tmp_path: Path, lose: Callable[[Path, Path], None]
) -> None:
    """Until their window is over, or the newest control.db is back: then the entry stands."""
    data_dir = tmp_path / "data"
    kept = await with_an_id(data_dir)
    shutil.copy(data_dir / "control.db", tmp_path / "newest")
    lose(data_dir, kept)
    assert "control.db has no key for that week: it is an older copy" in await refusal_of(data_dir)
    next_week = FakeClock((WEEK + 1) * WEEK_S)
    assert f"ids of week {WEEK} at entry 4" in await refusal_of(data_dir, next_week)
    async with open_host(data_dir, FakeClock((WEEK + 2) * WEEK_S)) as host:
        assert host.log("a").state == "ready"
    put_back(tmp_path / "newest", data_dir)
    assert await place(data_dir, "one") == 4


async def test_entries_without_ids_after_them_hide_nothing(tmp_path: Path) -> None:
    """The newest record with ids is looked for behind the newest record."""
    data_dir = tmp_path / "data"
    kept = await with_an_id(data_dir)
    await filled(data_dir, 2)
    await filled(data_dir, 2)
    older(data_dir, kept)
    assert "at entry 4" in await refusal_of(data_dir)


async def test_another_key_of_the_same_week_is_no_better(tmp_path: Path) -> None:
    """After a confirmation the control.db from before it has a key that made none of the MACs."""
    data_dir = tmp_path / "data"
    kept = await with_an_id(data_dir)
    shutil.copy(data_dir / "control.db", tmp_path / "first key")
    older(data_dir, kept)
    assert confirm(data_dir) == WEEK
    assert await place(data_dir, "two") == 5
    put_back(tmp_path / "first key", data_dir)
    assert "control.db has another key" in await refusal_of(data_dir)


@pytest.mark.parametrize("lose", LOSSES, ids=lambda value: value.__name__)
async def test_a_confirmed_log_goes_on_for_good(
    tmp_path: Path, lose: Callable[[Path, Path], None]
) -> None:
    """The id may be logged once more, and from then on stands; no later start asks again."""
    data_dir = tmp_path / "data"
    lose(data_dir, await with_an_id(data_dir))
    await refusal_of(data_dir)
    assert confirm(data_dir) == WEEK
    async with open_host(data_dir) as host:
        assert host.log("a").state == "ready"
    assert await place(data_dir, "one") == 5
    assert await place(data_dir, "one") == 5
    with pytest.raises(UsageError, match="its ids are known"):
        confirm(data_dir)


async def test_one_wrong_mac_is_no_wrong_key(tmp_path: Path) -> None:
    """A record with one id that fits was made with the key: what else is wrong is for fsck."""
    data_dir = tmp_path / "data"
    async with open_host(data_dir) as host:
        await host.create_log(NewLog("a", ORIGIN))
        await host.log("a").append([b"x", b"y"], [entry_id("x"), entry_id("y")])
    database = plyvel.DB(str(data_dir / "logs" / "a" / "log"))
    key = log_key(2, COMMIT_RECORD)
    record = parse_commit_record(database.get(key))
    wrong = replace(record.ids[0], bytes_mac=bytes(16))
    database.put(key, format_commit_record(replace(record, ids=(wrong, record.ids[1]))))
    database.close()
    async with open_host(data_dir) as host:
        assert host.log("a").state == "ready"


async def test_only_what_waits_for_it_is_confirmed(tmp_path: Path) -> None:
    """Not a running server's log, not an unknown one, not one refused for another reason."""
    data_dir = tmp_path / "data"
    older(data_dir, await with_an_id(data_dir))
    async with open_host(data_dir):
        with pytest.raises(LockHeldError, match="stop it first"):
            confirm(data_dir)
    with pytest.raises(NotFoundError):
        confirm_ids(data_dir, "b", LevelDBStore, FakeClock())
    (data_dir / "logs" / "a" / "key").chmod(0o640)
    with pytest.raises(UsageError, match="has mode 0640"):
        confirm(data_dir)
