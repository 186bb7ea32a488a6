"""The commands that work on a data directory, and their exit codes, without a running server."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

import tlog.app
from tlog.cli import main
from tlog.lock import DirectoryLock
from tlog_proofs import parse_vkey

ORIGIN = "example.com/audit"


@pytest.fixture(autouse=True)
def _own_log_configuration() -> Iterator[None]:
    """Commands direct the program's log to their stderr; later tests shall not write there."""
    yield
    structlog.reset_defaults()


def run(*arguments: object, code: int = 0) -> Result:
    """Run `tlog` in this process and check its exit code."""
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert (result.exit_code, result.stderr) == (code, result.stderr)
    return result


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with the log `audit`."""
    directory = tmp_path / "data"
    run("log", "create", "audit", "--data", directory, "--origin", ORIGIN)
    return directory


def test_creating_a_log_makes_the_directory_and_prints_the_vkey(tmp_path: Path) -> None:
    """Stdout is the vkey alone; the directory is private and holds nothing of the command's."""
    directory = tmp_path / "new" / "data"
    result = run("log", "create", "audit", "--data", directory, "--origin", ORIGIN, "--public")
    key = parse_vkey(result.stdout.strip())
    assert key.name == ORIGIN
    assert result.stdout == f"{key.vkey}\n"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    names = {path.name for path in directory.iterdir()}
    assert names == {"lock", "control.db", "heads", "logs"}
    facts = json.loads(run("log", "show", "audit", "--data", directory, "--json").stdout)
    assert (
        facts.items()
        >= {
            "name": "audit",
            "origin": ORIGIN,
            "kind": "opaque/1",
            "public": True,
            "vkey": key.vkey,
            "size": 1,
            "state": "stopped",
            "reason": None,
        }.items()
    )
    (listed,) = json.loads(run("log", "list", "--data", directory, "--json").stdout)
    assert listed == facts
    shown = run("log", "show", "audit", "--data", directory).stdout
    assert key.vkey in shown


def test_a_directory_may_be_initialised_before(tmp_path: Path) -> None:
    """Init takes an absent or empty directory only, and heads may lie elsewhere."""
    directory, heads = tmp_path / "data", tmp_path / "heads"
    directory.mkdir()
    run("init", "--data", directory, "--heads", heads)
    run("init", "--data", directory, "--heads", heads, code=2)
    run("log", "create", "a", "--data", directory, "--origin", ORIGIN, "--kind", "event")
    assert len(list(heads.glob("?" * 64))) == 1
    (facts,) = json.loads(run("log", "list", "--data", directory, "--json").stdout)
    assert facts["kind"] == "event/1"


def test_tokens_are_printed_once_listed_and_revoked(data: Path) -> None:
    """Stdout of `token create` is the token alone; the list has no part of its secret."""
    arguments = ("--data", data, "--log", "audit", "--scope", "append", "--scope", "read")
    token = run("token", "create", *arguments, "--expires-days", 3).stdout
    assert token.startswith("tlog_")
    assert token.count("\n") == 1
    listed = run("token", "list", "--data", data, "--json").stdout
    (row,) = json.loads(listed)
    assert row["scopes"] == ["append", "read"]
    assert row["expires"] - row["created"] == 3 * 86_400
    assert token.strip().split("_", 2)[2] not in listed
    run("token", "revoke", row["id"], "--data", data)
    (row,) = json.loads(run("token", "list", "--data", data, "--json").stdout)
    assert row["revoked"] >= row["created"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("log", "create", "Audit", "--origin", "example.com/x"), 2, "[a-z0-9]"),
        (("log", "create", "a", "--origin", "tlog/x"), 2, "origin"),
        (("log", "create", "a", "--origin", "ex ample"), 2, "origin"),
        (("log", "create", "a", "--origin", "example.com/x", "--kind", "odd"), 2, "odd"),
        (("log", "create", "audit", "--origin", "example.com/x"), 4, "taken"),
        (("log", "create", "b", "--origin", ORIGIN), 4, "taken"),
        (("log", "show", "absent"), 4, "no such log"),
        (("log", "confirm-clock", "absent"), 4, "no such log"),
        (("log", "confirm-clock", "audit"), 4, "start it first"),
        (("log", "confirm-ids", "absent"), 4, "no log named absent"),
        (("log", "confirm-ids", "audit"), 2, "its ids are known"),
        (("token", "create", "--log", "absent", "--scope", "read"), 4, "absent"),
        (("token", "create", "--log", "audit", "--scope", "root"), 2, "root"),
        (("token", "create", "--log", "audit"), 2, "--scope"),
        (("token", "revoke", "aaaaaaaaaa"), 4, "aaaaaaaaaa"),
        (("token", "revoke", "../logs"), 2, "id"),
        (("serve", "--listen", "0.0.0.0:0"), 2, "--behind-tls-proxy"),
        (("serve", "--listen", "[::]:0"), 2, "--behind-tls-proxy"),
        (("serve", "--listen", "localhost"), 2, "HOST:PORT"),
        (("serve", "--listen", "localhost:65536"), 2, "port"),
        (("init",), 2, "not empty"),
    ],
)
def test_refusals_have_their_exit_codes(
    data: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """2 for usage, 4 for what the log or the table of tokens refuses; a sentence on stderr."""
    result = run(*arguments, "--data", data, code=code)
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("log", "list"), ("token", "list"), ("serve", "--listen", "127.0.0.1:0")],
)
def test_a_directory_without_data_is_never_filled(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Only `init` and `log create` make a data directory; the others name them."""
    result = run(*arguments, "--data", tmp_path / "absent", code=2)
    assert "tlog init" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_held_lock_is_waited_for_and_then_not_reachable(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands wait for whoever holds the directory, then exit 3; `serve` exits 4."""
    monkeypatch.setattr(tlog.app, "COMMAND_WAIT_S", 0.2)
    monkeypatch.setattr(tlog.app, "SERVE_WAIT_S", 0.2)
    with DirectoryLock(data):
        run("log", "list", "--data", data, code=3)
        run("serve", "--data", data, "--listen", "127.0.0.1:0", code=4)


def test_what_the_system_refuses_is_no_wrong_usage(data: Path) -> None:
    """A socket or a lock that cannot be made is an input/output error: exit 3, and named."""
    (data / "tlog.sock").mkdir()
    result = run("serve", "--data", data, "--listen", "127.0.0.1:0", code=3)
    assert "tlog.sock" in result.stderr
    run("log", "list", "--data", data)
    (data / "lock").unlink()
    (data / "lock").mkdir()
    result = run("log", "list", "--data", data, code=3)
    assert "lock" in result.stderr


@pytest.mark.parametrize("damage", ["row", "header", "empty"])
def test_an_unreadable_control_database_stops_serve(data: Path, damage: str) -> None:
    """Without a control.db that can be believed nothing is served: exit 3."""
    path = data / "control.db"
    content = bytearray(path.read_bytes())
    match damage:
        case "row":
            where = content.index(b"example.com/audit+")
            content[where] ^= 1
        case "header":
            content[:100] = bytes(100)
        case "empty":
            content.clear()
    path.write_bytes(content)
    result = run("serve", "--data", data, "--listen", "127.0.0.1:0", code=3)
    assert "control.db" in result.stderr or "damaged" in result.stderr
    assert "Traceback" not in result.stderr
