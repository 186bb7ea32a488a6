"""The head store in files: whole contents compared, durable step by step, one writer at a time."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from pathlib import Path

import pytest

from tlog.errors import HeadConflictError, StoreError
from tlog.heads import FileHeadStore

ORIGIN = "log.example/heads"


def test_a_head_is_the_note_byte_for_byte_under_the_hash_of_its_origin(tmp_path: Path) -> None:
    """The file is named hex(SHA-256(origin)) and holds exactly the note."""
    heads = FileHeadStore(tmp_path)
    assert heads.fetch(ORIGIN) is None
    heads.compare_and_set(ORIGIN, None, b"note\n")
    path = tmp_path / hashlib.sha256(ORIGIN.encode()).hexdigest()
    assert path.read_bytes() == b"note\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert heads.fetch(ORIGIN) == b"note\n"
    assert FileHeadStore(tmp_path).fetch(ORIGIN) == b"note\n"
    assert heads.fetch("log.example/other") is None


@pytest.mark.parametrize(
    ("stored", "old"),
    [(None, b"a"), (b"a", None), (b"a", b"b"), (b"a", b""), (b"a\n", b"a"), (b"a", b"a\n")],
)
def test_another_stored_head_is_a_conflict_and_changes_nothing(
    tmp_path: Path, stored: bytes | None, old: bytes | None
) -> None:
    """Compare-and-set compares whole contents."""
    heads = FileHeadStore(tmp_path)
    if stored is not None:
        heads.compare_and_set(ORIGIN, None, stored)
    with pytest.raises(HeadConflictError):
        heads.compare_and_set(ORIGIN, old, b"new")
    assert heads.fetch(ORIGIN) == stored


def test_the_steps_are_write_sync_rename_sync_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves the old head or the new one: each step is durable before the next."""
    heads = FileHeadStore(tmp_path)
    heads.compare_and_set(ORIGIN, None, b"old")
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append("sync directory" if name == tmp_path else f"sync {name.suffix}")
        if name.suffix == ".tmp":
            assert name.read_bytes() == b"new"
        fsync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    heads.compare_and_set(ORIGIN, b"old", b"new")
    assert steps == ["sync .tmp", "rename", "sync directory"]


def test_a_removal_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head of a log that was never made must not come back: its origin would stay taken."""
    heads = FileHeadStore(tmp_path)
    heads.compare_and_set(ORIGIN, None, b"old")
    synced: list[list[str]] = []
    fsync = os.fsync

    def noted_fsync(descriptor: int) -> None:
        assert Path(f"/proc/self/fd/{descriptor}").readlink() == tmp_path
        synced.append([path.name for path in tmp_path.iterdir()])
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    heads.remove(ORIGIN, b"old")
    assert synced == [["lock"]]


def _raise_to(directory: Path, rounds: int) -> int:
    """Count up the number in the head; how often this process won."""
    heads, won = FileHeadStore(directory), 0
    for _ in range(rounds):
        old = heads.fetch(ORIGIN)
        try:
            heads.compare_and_set(ORIGIN, old, b"%d" % (int(old or b"0") + 1))
        except HeadConflictError:
            continue
        won += 1
    return won


def test_two_processes_never_both_replace_one_head(tmp_path: Path) -> None:
    """Every success raised the number by one: no update was lost."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = [pool.apply_async(_raise_to, (tmp_path, 150)) for _ in range(2)]
        won = sum(result.get(60) for result in results)
    assert FileHeadStore(tmp_path).fetch(ORIGIN) == b"%d" % won


def test_a_head_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The directory gone: StoreError, not a crash."""
    heads = FileHeadStore(tmp_path / "gone")
    with pytest.raises(StoreError):
        heads.compare_and_set(ORIGIN, None, b"new")
    with pytest.raises(StoreError):
        heads.fetch(ORIGIN)


def test_an_absurd_head_is_refused_unread(tmp_path: Path) -> None:
    """A file over the bound is an error."""
    path = tmp_path / hashlib.sha256(ORIGIN.encode()).hexdigest()
    path.write_bytes(bytes(64 * 1024 + 1))
    with pytest.raises(StoreError, match="over 65536 bytes"):
        FileHeadStore(tmp_path).fetch(ORIGIN)
