"""The state file: durable, private, shared, and never silently reset."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.simulator import OTHER_SEED, LogSimulator, make_entries
from tlog_clients import HeadFile, StateFileError, default_state_path
from tlog_proofs import SignedCheckpoint, open_checkpoint

LOG = LogSimulator(make_entries(5))


def head(log: LogSimulator, size: int | None = None) -> SignedCheckpoint:
    """A signed head of the log."""
    return open_checkpoint(log.checkpoint(size), log.key)


def test_kept_and_read_back(tmp_path: Path) -> None:
    """A head that was kept is read back, byte for byte, by another object."""
    path = tmp_path / "deep" / "heads.json"
    assert HeadFile(path).read(LOG.key) is None
    assert HeadFile(path).replace(LOG.key, None, head(LOG, 3))
    assert HeadFile(path).read(LOG.key) == head(LOG, 3)
    assert HeadFile(path).replace(LOG.key, head(LOG, 3), head(LOG, 5))
    assert HeadFile(path).read(LOG.key) == head(LOG, 5)


def test_private(tmp_path: Path) -> None:
    """The file is readable by its owner alone, and no other file is left beside the lock."""
    path = tmp_path / "heads.json"
    HeadFile(path).replace(LOG.key, None, head(LOG))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"heads.json", "heads.json.lock"}


def test_replace_compares(tmp_path: Path) -> None:
    """A head is not replaced by a client that decided against another one."""
    heads = HeadFile(tmp_path / "heads.json")
    assert not heads.replace(LOG.key, head(LOG, 1), head(LOG, 5))
    assert heads.replace(LOG.key, None, head(LOG, 3))
    assert not heads.replace(LOG.key, None, head(LOG, 5))
    assert not heads.replace(LOG.key, head(LOG, 2), head(LOG, 5))
    assert heads.read(LOG.key) == head(LOG, 3)


def test_logs_by_key(tmp_path: Path) -> None:
    """Two keys of one origin have heads of their own."""
    other = LogSimulator(make_entries(2), seed=OTHER_SEED)
    heads = HeadFile(tmp_path / "heads.json")
    heads.replace(LOG.key, None, head(LOG))
    assert heads.read(other.key) is None
    heads.replace(other.key, None, head(other))
    assert heads.read(LOG.key) == head(LOG)
    assert heads.read(other.key) == head(other)


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    """Writers of different logs at the same time, each with its own lock descriptor, all stand."""
    logs = [LogSimulator(make_entries(3), origin=f"log.example/{name}") for name in range(24)]
    path = tmp_path / "heads.json"
    with ThreadPoolExecutor(8) as pool:
        kept = pool.map(lambda log: HeadFile(path).replace(log.key, None, head(log)), logs)
        assert all(kept)
    assert [HeadFile(path).read(log.key) for log in logs] == [head(log) for log in logs]


def test_concurrent_writers_of_one_log_agree(tmp_path: Path) -> None:
    """Of writers that replace the same head at the same time exactly one succeeds."""
    path = tmp_path / "heads.json"
    with ThreadPoolExecutor(8) as pool:
        sizes = range(1, 6)
        kept = list(pool.map(lambda s: HeadFile(path).replace(LOG.key, None, head(LOG, s)), sizes))
    assert kept.count(True) == 1
    assert HeadFile(path).read(LOG.key) == head(LOG, sizes[kept.index(True)])


def state(notes: object) -> bytes:
    """A state file around notes."""
    return json.dumps({"version": 1, "heads": notes}).encode()


OTHER_NOTE = LogSimulator(make_entries(5), seed=OTHER_SEED).checkpoint().decode()
GOOD_NOTE = LOG.checkpoint().decode()
DAMAGE = {
    "empty": b"",
    "no JSON": b"\x00\xff",
    "cut off": state({LOG.key.vkey: GOOD_NOTE})[:-5],
    "another version": b'{"version": 2, "heads": {}}',
    "version true": b'{"version": true, "heads": {}}',
    "version 1.0": b'{"version": 1.0, "heads": {}}',
    "no heads": b'{"version": 1}',
    "an unknown member": b'{"version": 1, "heads": {}, "more": 1}',
    "heads are a list": state([]),
    "a head is a number": state({"other": 7}),
    "a name twice": b'{"version": 1, "heads": {}, "heads": {}}',
    "deeply nested": b"[" * 100_000,
    "a list": b"[]",
    "too long": b" " * (4 * 1024 * 1024) + state({}),
    "signature by another key": state({LOG.key.vkey: OTHER_NOTE}),
    "another size": state({LOG.key.vkey: GOOD_NOTE.replace("\n5\n", "\n4\n")}),
    "no note": state({LOG.key.vkey: "nothing"}),
    "a lone surrogate": b'{"version": 1, "heads": {"%s": "\\ud800"}}' % LOG.key.vkey.encode(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_an_error_and_never_reset(tmp_path: Path, damage: bytes) -> None:
    """A damaged file is refused for reading and writing, named, and left as it is."""
    path = tmp_path / "heads.json"
    path.write_bytes(damage)
    with pytest.raises(StateFileError, match=r"heads\.json"):
        HeadFile(path).read(LOG.key)
    with pytest.raises(StateFileError):
        HeadFile(path).replace(LOG.key, None, head(LOG))
    assert path.read_bytes() == damage


def test_not_a_file(tmp_path: Path) -> None:
    """A pipe or a directory in the file's place is refused, without hanging."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(StateFileError):
            HeadFile(tmp_path / name).read(LOG.key)


def test_leftover_of_a_crash(tmp_path: Path) -> None:
    """What a writer left behind when it died before the rename changes nothing."""
    path = tmp_path / "heads.json"
    HeadFile(path).replace(LOG.key, None, head(LOG, 2))
    (tmp_path / "heads.json.tmp").write_bytes(b'{"version": 1, "he')
    assert HeadFile(path).read(LOG.key) == head(LOG, 2)
    assert HeadFile(path).replace(LOG.key, head(LOG, 2), head(LOG, 5))
    assert HeadFile(path).read(LOG.key) == head(LOG, 5)


def test_symbolic_link(tmp_path: Path) -> None:
    """A link in the file's place stays one; the file it names is replaced."""
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert HeadFile(tmp_path / "link").replace(LOG.key, None, head(LOG))
    assert (tmp_path / "link").is_symlink()
    assert HeadFile(tmp_path / "real").read(LOG.key) == head(LOG)


def test_default_path() -> None:
    """$XDG_STATE_HOME where it is absolute, else ~/.local/state."""
    assert default_state_path({"XDG_STATE_HOME": "/x"}) == Path("/x/tlog/heads.json")
    for ignored in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert default_state_path(ignored) == Path.home() / ".local/state/tlog/heads.json"
