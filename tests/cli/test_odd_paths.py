"""Data directories whose path is not UTF-8: a path is bytes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from tlog.cli import main
from tlog.sqlite import create_database, open_database


@pytest.fixture(autouse=True)
def _own_log_configuration() -> Iterator[None]:
    """Commands direct the program's log to their stderr; later tests shall not write there."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A path with a byte that is not UTF-8, and with what means something in a URI."""
    return tmp_path / os.fsdecode(b"a\xffb?c#d%41 e")


def test_a_database_lies_where_its_path_says(odd: Path) -> None:
    """What is created at such a path is opened there, and nothing is made beside it."""
    odd.mkdir()
    create_database(odd / "x.db", "CREATE TABLE x (y INTEGER) STRICT;")
    database = open_database(odd / "x.db")
    assert database.execute("SELECT count(*) FROM x").fetchone() == (0,)
    database.close()
    assert [path.name for path in odd.iterdir()] == ["x.db"]
    assert [path.name for path in odd.parent.iterdir()] == [odd.name]


def test_commands_take_such_a_data_directory(odd: Path) -> None:
    """It is made, and asked for its logs."""
    assert CliRunner().invoke(main, ["init", "--data", str(odd)]).exit_code == 0
    listed = CliRunner().invoke(main, ["log", "list", "--data", str(odd), "--json"])
    assert (listed.exit_code, json.loads(listed.stdout)) == (0, [])
