"""kill -9 under load: nothing that was acknowledged is lost, no two heads disagree.

CRASH_CYCLES says how often the server is killed: 20 times by default, more by `make crash`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from pathlib import Path

import pytest

from tests.faults.invariants import check_invariants, roots_by_size
from tests.faults.load import LoadProcess, Told, read_entries
from tests.faults.server_process import ServerProcess, tlog
from tests.faults.slow_server import commits_file
from tests.server.doubles import until
from tlog.publisher import sign_head
from tlog_proofs import Ed25519Signer

CYCLES = int(os.environ.get("CRASH_CYCLES", "20"))
LOGS = ("a", "b")
CONNECTIONS = 16  # to each log, one entry at a time; one more sends batches
ACKS = 300  # of both logs in each cycle: killing an idle server would show nothing


async def test_kill_9_under_load_loses_nothing_and_forks_nothing(tmp_path: Path) -> None:
    """Load, SIGKILL at a moment drawn by seed, restart, again and again; then all is compared."""
    data_dir = tmp_path / "data"
    vkeys = {
        name: tlog(
            "log", "create", name, "--data", str(data_dir), "--origin", f"log.example/{name}"
        )
        for name in LOGS
    }
    token = tlog(
        *("token", "create", "--data", str(data_dir), "--log", "a", "--log", "b"),
        *("--scope", "append", "--scope", "read"),
    )
    told = {name: Told(tmp_path / name) for name in LOGS}
    with (
        ServerProcess(data_dir) as server,
        LoadProcess(tmp_path, token, CONNECTIONS, *LOGS) as load,
    ):
        in_commits = await crash_again_and_again(server, load, told, data_dir)
        print(f"{CYCLES} cycles, {in_commits} ended in a commit")  # noqa: T201
        assert in_commits >= CYCLES // 3
        server.module = "tlog"
        await asyncio.to_thread(server.start)
        for name in LOGS:
            url = f"{server.url}/logs/{name}"
            entries = await audited_entries(url, token, vkeys[name], told[name])
            head = hashlib.sha256(f"log.example/{name}".encode()).hexdigest()
            told[name].heads.append((data_dir / "heads" / head).read_bytes())
            check_invariants(vkeys[name], entries, told[name].acked, told[name].heads)
        assert await asyncio.to_thread(server.stop) == 0


async def crash_again_and_again(
    server: ServerProcess, load: LoadProcess, told: dict[str, Told], data_dir: Path
) -> int:
    """Kill the server in each cycle; how many times a commit was under way."""
    moments = random.Random(1)
    in_commits = 0
    for cycle in range(CYCLES):
        # In every second cycle nearly every moment lies inside a commit.
        server.module = "tlog" if cycle % 2 else "tests.faults.slow_server"
        await asyncio.to_thread(server.start)
        await load.start(server.url)
        goal = acks(told) + ACKS
        await until(lambda goal=goal: acks(told) >= goal)  # type: ignore[misc]
        await asyncio.sleep(moments.uniform(0, 0.3))
        await asyncio.to_thread(server.kill)
        await load.stop()
        if cycle % 2 == 0:
            in_commits += any(commits_file(data_dir).read_bytes())
    acks(told)
    return in_commits


def acks(told: dict[str, Told]) -> int:
    """How many entries were acknowledged so far, by the journals."""
    for log in told.values():
        log.read()
    return sum(len(log.acked) for log in told.values())


async def audited_entries(log_url: str, token: str, vkey: str, told: Told) -> list[bytes]:
    """All that a log serves in the end; `tlog audit` agrees with it."""
    entries = await read_entries(log_url, token)
    for _ in range(100):
        # Published within a moment of the start; if not, the checker says what is missing.
        if len(entries) > max(told.acked):
            break
        await asyncio.sleep(0.05)
        entries = await read_entries(log_url, token)
    state = str(told.path.with_suffix(".state"))
    where = ("--url", log_url, "--vkey", vkey, "--token", token, "--state", state)
    assert str(len(entries)) in await asyncio.to_thread(tlog, "audit", *where)
    assert len(told.heads) > CYCLES
    # Every entry was sent under its own id until it was acknowledged.
    assert len(set(entries)) == len(entries), "an entry stands twice"
    return entries


def test_the_checker_finds_what_it_is_there_to_find() -> None:
    """A lost entry, a changed one, a forked head and a head that shrank are each reported."""
    signer = Ed25519Signer("log.example/check", bytes(32))
    vkey = signer.verifier.vkey
    entries = [b"%d" % n for n in range(10)]
    roots = roots_by_size(entries, range(1, 11))
    heads = [sign_head(signer, size, roots[size]) for size in (3, 7, 10)]
    acked = dict(enumerate(entries))
    check_invariants(vkey, entries, acked, heads)
    with pytest.raises(AssertionError, match="entry 10 is lost"):
        check_invariants(vkey, entries, {**acked, 10: b"x"}, heads)
    with pytest.raises(AssertionError, match="entry 4 is another one"):
        check_invariants(vkey, entries, {**acked, 4: b"x"}, heads)
    with pytest.raises(AssertionError, match="size 7 is of another tree"):
        check_invariants(
            vkey, entries, acked, [heads[0], sign_head(signer, 7, bytes(32)), heads[2]]
        )
    with pytest.raises(AssertionError, match="smaller head"):
        check_invariants(vkey, entries, acked, [heads[1], heads[0], heads[2]])
