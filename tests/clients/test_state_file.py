"""Files that a client keeps: durable in the right order, private, locked for a bounded time."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from tests.clients.simulator import LogSimulator, make_entries
from tlog_clients import HeadFile, StateFileError, state_file
from tlog_proofs import open_checkpoint

LOG = LogSimulator(make_entries(5))
HEAD = open_checkpoint(LOG.checkpoint(), LOG.key)


def test_durable_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are synced before the rename, and the directory after it."""
    events: list[str] = []
    sync, rename = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("sync directory" if is_directory else "sync file")
        sync(descriptor)

    def note_rename(source: str, target: str) -> None:
        events.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    HeadFile(tmp_path / "heads.json").replace(LOG.key, None, HEAD)
    assert events == ["sync file", "rename", "sync directory"]


def test_private_directory(tmp_path: Path) -> None:
    """A directory that is made for the file is its owner's alone."""
    HeadFile(tmp_path / "made" / "heads.json").replace(LOG.key, None, HEAD)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700


def test_locked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another process never gives back is waited for so long and no longer."""
    monkeypatch.setattr(state_file, "LOCK_TIMEOUT_S", 0)
    path = tmp_path / "heads.json"
    with (tmp_path / "heads.json.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StateFileError, match="another process keeps it locked"):
            HeadFile(path).replace(LOG.key, None, HEAD)
        assert HeadFile(path).read(LOG.key) is None
    assert HeadFile(path).replace(LOG.key, None, HEAD)
