"""The clients' wheel alone in a fresh environment, used against a server."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.site import ORIGIN, Site
from tests.packaging.wheels import Wheel

TIMEOUT_S = 60

USE = """
import asyncio, sys
from pathlib import Path
from tlog_clients import AsyncLog, EntryProof, Log, verify_entry

try:
    import tlog
except ModuleNotFoundError:
    pass
else:
    sys.exit("the server is installed")

url, vkey, token = sys.argv[1:]
with Log(url, trust=vkey, token=token) as log:
    assert log.append(b"first").index == 1
    assert log.append_many([b"%d" % number for number in range(300)]).inclusion_verified
    assert list(log.read_range(1))[:2] == [b"first", b"0"]
    log.prove(1).save("proof")

async def follow():
    async with AsyncLog(url, trust=vkey, token=token) as log:
        return [index async for index, _ in log.follow(300, timeout_s=0)]

assert asyncio.run(follow()) == [300, 301]
head = verify_entry(EntryProof.load("proof"), b"first", vkey)
print(head.origin, head.size, *sorted(path.name for path in Path("cache/tlog").glob("*/*")))
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A real server with an empty log."""
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    with site.server:
        yield site


def make_environment(directory: Path, installed: Path) -> Path:
    """A fresh environment with the wheel and what it requires, but nothing of this checkout."""
    venv.create(directory, with_pip=False)
    requirements = directory / "requirements"
    requirements.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "tlog" not in entry.name and entry.suffix != ".pth":
            (requirements / entry.name).symlink_to(entry)
    (packages,) = directory.glob("lib/python*/site-packages")
    (packages / "installed.pth").write_text(f"{installed}\n{requirements}\n")
    return directory / "bin" / "python"


def test_used_alone(site: Site, wheel: Callable[[str], Wheel], tmp_path: Path) -> None:
    """It appends, reads, proves and follows without a warning, and there is no server package."""
    python = make_environment(tmp_path / "environment", wheel("tlog_clients").folder)
    (tmp_path / "user").mkdir()
    used = subprocess.run(
        [python, "-I", "-W", "error", "-c", USE, site.url, site.vkey, site.token],
        cwd=tmp_path / "user",
        env={
            "PATH": os.defpath,
            "XDG_STATE_HOME": str(tmp_path / "user" / "state"),
            "XDG_CACHE_HOME": str(tmp_path / "user" / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert (used.returncode, used.stderr) == (0, "")
    assert used.stdout == f"{ORIGIN} 302 0-0\n"
    assert Path(sys.prefix) not in python.parents
