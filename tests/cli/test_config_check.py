"""`tlog config check` beside a data directory: it looks, and leaves every file as it is."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.faults.server_process import ServerProcess, tlog
from tlog.cli import main
from tlog.control import ControlDatabase
from tlog.local import bind_socket
from tlog.sqlite import Column, row_digest

IN_USE = "the heads were not looked for: a server or a command has the data directory"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with one log."""
    tlog("log", "create", "a", "--data", str(tmp_path / "data"), "--origin", "example.com/a")
    return tmp_path / "data"


def _check(data: Path) -> tuple[list[str], list[str]]:
    """The problems and the notes of a file that names the directory."""
    file = data.with_name("tlog.toml")
    file.write_text(f'data = "{data.name}"\nlisten = "127.0.0.1:0"\n', encoding="utf-8")
    result = CliRunner().invoke(main, ["config", "check", str(file), "--json"])
    found = json.loads(result.stdout)
    return [problem["message"] for problem in found["problems"]], found["notes"]


def _files(data: Path) -> dict[str, tuple[int, int, bytes]]:
    """Each file's number, time and content."""
    return {
        str(path.relative_to(data)): (path.stat().st_ino, path.stat().st_mtime_ns, content)
        for path in data.rglob("*")
        for content in [path.read_bytes() if path.is_file() else b""]
    }


@pytest.mark.parametrize(
    "removed",
    [
        (),
        ("lock",),
        ("lock", "control.db-shm"),
        ("control.db-wal", "control.db-shm"),
        ("lock", "control.db-wal", "control.db-shm"),
    ],
    ids=lambda removed: " ".join(removed) or "nothing",
)
def test_what_a_crash_left_stays_as_it_is(data: Path, removed: Sequence[str]) -> None:
    """No lock is made, no write-ahead log emptied or removed; the heads are looked for."""
    with ServerProcess(data) as server:
        server.start()
        server.kill()
    for name in removed:
        (data / name).unlink()
    before = _files(data)
    assert _check(data) == ([], [])
    assert _files(data) == before
    (data / "heads").rename(data / "elsewhere")
    ((problem,), _) = _check(data)
    assert "the directory of its heads" in problem


def test_a_server_without_its_lock_file_gets_no_other(data: Path) -> None:
    """It is known by its socket, were it not to answer: with a new lock it would end."""
    (data / "lock").unlink()
    with bind_socket(data) as stopped:
        stopped.listen(1)
        before = _files(data)
        for _ in range(4):  # more than may wait to be accepted: no check waits
            assert _check(data) == ([], [IN_USE])
        assert _files(data) == before
    assert _check(data) == ([], [])
    assert _files(data) == before


def test_what_is_in_the_write_ahead_log_is_read(data: Path, tmp_path: Path) -> None:
    """A commit that a crash kept from the database itself counts, and is not moved there."""
    copied = tmp_path / "copied"
    row: list[Column] = ["b", "example.com/b", "opaque/1", 0, "vkey", 1]
    with closing(sqlite3.connect(data / "control.db")) as database:
        columns = [*row, row_digest("logs", row)]
        database.execute("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, ?)", columns)
        database.commit()
        shutil.copytree(data, copied)
    before = _files(copied)
    control = ControlDatabase(copied / "control.db", unchanged=True)
    assert [log.name for log in control.logs()] == ["a", "b"]
    control.close()
    assert _files(copied) == before
    assert before["control.db-wal"][2] != b""
