"""The appender and the real server, either of them killed: every durable entry once, in order."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cli.site import TIMEOUT_S, Site
from tests.cli.test_client_kill import free_port, read_log
from tests.faults.server_process import ROOT
from tlog_clients import HttpFetcher, LogReader
from tlog_clients.appender import Appender
from tlog_clients.appender_options import AppenderOptions
from tlog_proofs import parse_vkey

COUNT = 20_000
OPTIONS = AppenderOptions(first_pause_s=0.05, max_pause_s=0.5)

CHILD = """
import sys
from tlog_clients.appender import Appender
url, vkey, token, spool, run = sys.argv[1:]
appender = Appender(url, trust=vkey, token=token, spool=spool)
last = None
for number in range(1_000_000):
    if number % 500 == 499:
        last.durable().result()
        print(number, flush=True)
    last = appender.append(f"run {run} entry {number}".encode())
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A new log behind a server that comes back on the same port."""
    site = Site(tmp_path, "--listen", f"127.0.0.1:{free_port()}")
    yield site
    site.server.kill()


async def all_entries(site: Site) -> list[bytes]:
    """The log as the server has it, without the genesis."""
    async with HttpFetcher(site.url, token=site.token) as fetcher:
        size = (await LogReader(fetcher, parse_vkey(site.vkey)).head()).size
    return (await read_log(site, size))[1:]


def test_server_killed(site: Site, tmp_path: Path) -> None:
    """A server that is killed and started again while 20,000 entries come in costs none."""
    entries = [b"entry %d" % number for number in range(COUNT)]
    appender = Appender(
        site.url, trust=site.vkey, token=site.token, spool=tmp_path / "spool", options=OPTIONS
    )
    cuts = [0, 4_000, 9_000, 14_000, COUNT]
    for start, end in pairwise(cuts):
        tickets = [appender.append(entry) for entry in entries[start:end]]
        if end == COUNT:
            break
        # A batch has come back, and others are on their way: now.
        tickets[100].committed().result(TIMEOUT_S)
        site.server.kill()
        tickets[-1].durable().result(TIMEOUT_S)
        site.server.start()
    assert appender.flush(TIMEOUT_S) == 0
    stats = appender.stats()
    assert appender.close(TIMEOUT_S) == 0
    assert (stats.committed, stats.may_be_duplicate) == (COUNT, 0)
    assert stats.failures > 0
    assert asyncio.run(all_entries(site)) == entries
    assert site.run("audit").returncode == 0


def run_and_kill(site: Site, spool: Path, run: int, count: int) -> int:
    """Append in a process of its own, kill it, and return how many entries it knew durable."""
    arguments = [site.url, site.vkey, site.token, str(spool), str(run)]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, cwd=ROOT, text=True
    ) as child:
        assert child.stdout is not None
        durable = 0
        while durable < count:
            durable = int(child.stdout.readline())
        child.kill()
        # What it printed before the end counts too; the last line may be cut.
        rest = child.stdout.read().splitlines(keepends=True)
        return max([durable, *(int(line) for line in rest if line.endswith("\n"))])


def test_process_killed(site: Site, tmp_path: Path) -> None:
    """Of a process that is killed, every entry known to be durable comes once, in order."""
    spool = tmp_path / "spool"
    durable = [
        run_and_kill(site, spool, run, count) for run, count in enumerate((500, 6_000, 9_000))
    ]
    site.server.kill()
    durable.append(run_and_kill(site, spool, 3, 3_000))
    site.server.start()
    with Appender(site.url, trust=site.vkey, token=site.token, spool=spool) as appender:
        assert appender.flush(TIMEOUT_S) == 0
    found = [
        re.fullmatch(rb"run (\d) entry (\d+)", entry) for entry in asyncio.run(all_entries(site))
    ]
    places = [(int(match[1]), int(match[2])) for match in found if match is not None]
    assert len(places) == len(found)
    taken = [sum(run == number for run, _ in places) for number in range(4)]
    assert places == [(run, number) for run in range(4) for number in range(taken[run])]
    assert all(count >= known for count, known in zip(taken, durable, strict=True))
    assert site.run("audit").returncode == 0
