"""The command: what it prints, its exit codes, and that it needs the server stopped."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from tests.fsck.stored_log import NAME, ORIGIN, check, database
from tlog.cli import main
from tlog.lock import DirectoryLock
from tlog.store.keys import LEAF, log_key
from tlog_proofs import encode_base64


def run(data_dir: Path, *options: str, name: str = NAME) -> Result:
    """`tlog fsck` in this process."""
    return CliRunner().invoke(main, ["fsck", "--data", str(data_dir), "--log", name, *options])


def test_a_clean_log_prints_its_counts(data: Path) -> None:
    """Exit code 0, the counts as lines or as JSON."""
    result = run(data)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("clean: every stored row is right\n")
    assert "size         605\n" in result.stdout
    facts = json.loads(run(data, "--json").stdout)
    root = encode_base64(check(data).root)
    assert facts == {
        "clean": True,
        "origin": ORIGIN,
        "size": 605,
        "root": root,
        "commits": 5,
        "tiles": 2,
        "checkpoints": 4,
        "months": 2,
        "bodies": 0,
        "index_rows": 608,
        "tokens": 1,
        "notes": [],
    }


def test_a_wrong_row_is_one_sentence_and_exit_code_1(data: Path) -> None:
    """File, key in hex, kind and index; as JSON the same in fields."""
    with database(data, "log") as log:
        log.put(log_key(300, LEAF), b"x")
    result = run(data)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("tlog: log/, key 000000000000012c00: leaf, index 300: ")
    assert result.stderr.count("\n") == 1
    result = run(data, "--json")
    assert result.exit_code == 1
    facts = json.loads(result.stdout)
    assert facts.pop("what").startswith("is not the entry that was indexed")
    assert facts == {
        "clean": False,
        "file": "log/",
        "kind": "leaf",
        "key": "000000000000012c00",
        "index": 300,
    }


def test_a_held_lock_is_exit_code_4_and_says_what_to_do(data: Path) -> None:
    """The server, or whatever has the directory, must be stopped first."""
    with DirectoryLock(data):
        result = run(data)
    assert result.exit_code == 4
    assert "stop the server first" in result.stderr


def test_an_unknown_log_is_4_and_no_data_directory_is_2(data: Path, tmp_path: Path) -> None:
    """As for the other commands on a data directory; nothing is made."""
    assert run(data, name="absent").exit_code == 4
    assert run(tmp_path / "absent").exit_code == 2
    assert not (tmp_path / "absent").exists()
