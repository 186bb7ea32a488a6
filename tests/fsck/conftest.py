"""A sound log, made once, and copies of it to plant faults in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fsck.stored_log import NEXT_MONTH, append, entries, make_log


@pytest.fixture(scope="session", name="sound")
def make_sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """605 entries: a genesis, batches of 3, 597, 1 and, in the next month, 3; each published."""
    path = tmp_path_factory.mktemp("sound") / "data"
    make_log(path)
    append(path, entries(1, 4))
    append(path, entries(4, 601), [b"entry 2"])
    append(path, entries(602, 605), t=NEXT_MONTH)
    return path


@pytest.fixture(name="data")
def copy_sound(sound: Path, tmp_path: Path) -> Path:
    """A copy to plant a fault in."""
    shutil.copytree(sound, tmp_path / "data")
    return tmp_path / "data"
