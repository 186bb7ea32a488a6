"""A full disk: appends are refused, reads and proofs go on, writing resumes as documented."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.faults.invariants import check_invariants
from tests.faults.load import read_entries
from tests.faults.server_process import ServerProcess, tlog

SIZE_MIB = 24
ENTRY_BYTES = 60_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


class Site:
    """A log on the small disk, its token and what was acknowledged."""

    def __init__(self, disk: Path) -> None:
        self.data_dir = disk / "data"
        self.vkey = tlog(
            *("log", "create", "a", "--data", str(self.data_dir), "--origin", "log.example/full")
        )
        scopes = ("--scope", "append", "--scope", "read")
        self.token = tlog("token", "create", "--data", str(self.data_dir), "--log", "a", *scopes)
        self.acked: dict[int, bytes] = {}
        self.heads: list[bytes] = []
        self.sent = 0

    async def append(self, url: str) -> tuple[int, str]:
        """Append one entry; the status, and the problem's type when it is refused."""
        self.sent += 1
        # Random bytes: LevelDB compresses others away.
        entry = os.urandom(ENTRY_BYTES) + b"%d" % self.sent
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{url}/add", data=entry) as answer,
        ):
            body = await answer.read()
            if answer.status != 200:
                return answer.status, json.loads(body)["type"]
            self.acked[int(body)] = entry
            return 200, ""

    async def fill(self, url: str, pause_s: float = 0) -> tuple[int, str]:
        """Append until it is refused; the status and problem type of the refusal."""
        for _ in range(3 * SIZE_MIB * 1024 * 1024 // ENTRY_BYTES):
            status, problem = await self.append(url)
            if status != 200:
                return status, problem
            await asyncio.sleep(pause_s)
        message = "the disk is never full"
        raise AssertionError(message)

    async def check_reads(self, url: str, wanted: int) -> None:
        """Every acknowledged entry up to the checkpoint is served, and a proof of one verifies."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{url}/checkpoint") as answer,
        ):
            self.heads.append(await answer.read())
        entries = await read_entries(url, self.token)
        assert len(entries) >= wanted
        acked = {index: entry for index, entry in self.acked.items() if index < len(entries)}
        proof = f"{url}/proof/inclusion/{len(entries) - 1}"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(proof) as answer,
        ):
            assert answer.status == 200
        check_invariants(self.vkey, entries, acked, self.heads)


def fill_up(disk: Path) -> Path:
    """Leave not one byte free; the file to remove."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)) == 4096:
            pass
    return ballast


async def test_without_a_reserve_what_cannot_fit_is_refused_and_the_log_goes_on(
    small_disk: Path,
) -> None:
    """507 before the commit fails; appends go on by themselves when space is free again."""
    ballast = small_disk / "ballast"
    site = Site(small_disk)
    with ServerProcess(site.data_dir) as server:
        await asyncio.to_thread(server.start)
        url = f"{server.url}/logs/a"
        assert (await site.append(url))[0] == 200
        free = shutil.disk_usage(small_disk).free
        ballast.write_bytes(bytes(free - ENTRY_BYTES))
        await asyncio.sleep(1.5)  # the watch looks every second
        assert await site.append(url) == (507, "urn:tlog:problem:disk-reserve")
        await site.check_reads(url, 1)
        ballast.unlink()
        for _ in range(100):
            status, _ = await site.append(url)
            if status == 200:
                break
            await asyncio.sleep(0.1)
        assert status == 200


async def test_a_full_disk_stops_appends_loses_nothing_and_ends_with_a_restart(
    small_disk: Path,
) -> None:
    """A commit that finds no space is in doubt; then 507 until space is free and a restart."""
    site = Site(small_disk)
    with ServerProcess(site.data_dir) as server:
        await asyncio.to_thread(server.start)
        url = f"{server.url}/logs/a"
        for _ in range(20):
            assert (await site.append(url))[0] == 200
            ballast = await asyncio.to_thread(fill_up, small_disk)
            found = await site.append(url)
            if found != (507, "urn:tlog:problem:disk-reserve"):
                break
            ballast.unlink()  # the watch came first: once more
            await asyncio.sleep(1.5)
        # Or the publisher met the full disk first.
        full = (507, "urn:tlog:problem:disk-full")
        assert found in ((503, "urn:tlog:problem:outcome-unknown"), full)
        assert await site.append(url) == full
        await site.check_reads(url, 1)
        ballast.unlink()
        assert await site.append(url) == full
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        url = f"{server.url}/logs/a"
        assert (await site.append(url))[0] == 200
        size = max(site.acked) + 1
        for _ in range(100):
            if len(await read_entries(url, site.token)) >= size:
                break
            await asyncio.sleep(0.05)
        await site.check_reads(url, size)


async def test_the_reserve_stops_appends_before_the_disk_is_full(small_disk: Path) -> None:
    """507 from the reserve on; appends go on by themselves when space is free again."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(6 * 1024 * 1024))
    site = Site(small_disk)
    reserve = 6 * 1024 * 1024
    with ServerProcess(site.data_dir, "--disk-reserve", str(reserve)) as server:
        await asyncio.to_thread(server.start)
        url = f"{server.url}/logs/a"
        # Slower than the watch looks: a second's appends must not jump over the reserve.
        status, problem = await site.fill(url, pause_s=0.05)
        assert (status, problem) == (507, "urn:tlog:problem:disk-reserve")
        await site.check_reads(url, 1)
        ballast.unlink()
        for _ in range(100):
            status, _ = await site.append(url)
            if status == 200:
                break
            await asyncio.sleep(0.1)
        assert status == 200
