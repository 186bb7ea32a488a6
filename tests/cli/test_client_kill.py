"""`tlog append --lines` while the server, or the command itself, is killed: every line once."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.site import TIMEOUT_S, Site
from tests.faults.server_process import ROOT
from tlog_clients import HttpFetcher
from tlog_clients.tile_fetch import fetch_bundle
from tlog_proofs import EntryBundle

LINES = [b"line %d" % number for number in range(12_000)]


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A new log behind a server that comes back on the same port."""
    site = Site(tmp_path, "--listen", f"127.0.0.1:{free_port()}")
    (tmp_path / "lines").write_bytes(b"\n".join(LINES))
    yield site
    site.server.kill()


def start_append(site: Site, *options: str) -> subprocess.Popen[bytes]:
    """Begin to append the lines."""
    return subprocess.Popen(
        [sys.executable, "-m", "tlog", "append", "--lines", *options, site.directory / "lines"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=site.environment(),
        cwd=ROOT,
    )


def read_indexes(process: subprocess.Popen[bytes], count: int) -> list[int]:
    """Wait for so many indexes."""
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(count)]


async def read_log(site: Site, size: int) -> list[bytes]:
    """All entries, as the server has them."""
    entries: list[bytes] = []
    async with HttpFetcher(site.url, token=site.token) as fetcher:
        while len(entries) < size:
            width = min(256, size - len(entries))
            entries += await fetch_bundle(fetcher, EntryBundle(len(entries) // 256, width))
    return entries


async def test_server_killed(site: Site) -> None:
    """A server that is killed and started again thrice during the command costs no line."""
    indexes: list[int] = []
    with start_append(site) as process:
        for _ in range(3):
            indexes += read_indexes(process, 2_000)
            site.server.kill()
            site.server.start()
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, stderr
    indexes += map(int, stdout.split())
    assert stderr.count(b"trying again in") >= 3
    assert sorted(indexes) == list(range(1, len(LINES) + 1))
    log = await read_log(site, len(LINES) + 1)
    assert [log[index] for index in indexes] == LINES
    assert site.run("audit").returncode == 0


async def test_command_killed(site: Site) -> None:
    """A command that is killed and run again with the same ids appends the rest only."""
    ids = ("--id-prefix", "nightly")
    for _ in range(2):
        with start_append(site, *ids) as process:
            read_indexes(process, 3_000)
            process.kill()
    again = site.run("append", "--lines", *ids, str(site.directory / "lines"))
    assert again.returncode == 0, again.stderr
    assert again.stdout.split() == [b"%d" % index for index in range(1, len(LINES) + 1)]
    assert (await read_log(site, len(LINES) + 1))[1:] == LINES
