"""kill -9 under load: nothing that was acknowledged is lost, no two heads disagree."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.invariants import check_invariants, roots_by_size
from tests.faults.load import Journal, Load, read_entries
from tests.faults.server_process import ServerProcess, tlog
from tests.server.doubles import until
from tlog.publisher import sign_head
from tlog_proofs import Ed25519Signer

CYCLES = 5
CONNECTIONS = 32


async def test_kill_9_under_load_loses_nothing_and_forks_nothing(tmp_path: Path) -> None:
    """Five times: load, SIGKILL at a moment drawn by seed, restart; then everything is compared."""
    data_dir = tmp_path / "data"
    vkey = tlog("log", "create", "a", "--data", str(data_dir), "--origin", "log.example/kill")
    token = tlog(
        *("token", "create", "--data", str(data_dir), "--log", "a"),
        *("--scope", "append", "--scope", "read"),
    )
    journal = Journal()
    moments = random.Random(1)
    with ServerProcess(data_dir) as server:
        for cycle in range(CYCLES):
            # In three of five cycles nearly every moment lies inside a commit.
            server.module = "tlog" if cycle % 2 else "tests.faults.slow_server"
            await asyncio.to_thread(server.start)
            load = Load(f"{server.url}/logs/a", token, journal)
            await load.start(CONNECTIONS)
            try:
                # Past a moment in which appends flow: killing an idle server would show nothing.
                goal = len(journal.acked) + 500
                await until(lambda goal=goal: len(journal.acked) >= goal)  # type: ignore[misc]
                await asyncio.sleep(moments.uniform(0, 0.3))
                await asyncio.to_thread(server.kill)
            finally:
                await load.stop()
        server.module = "tlog"
        await asyncio.to_thread(server.start)
        log_url = f"{server.url}/logs/a"
        entries = await read_entries(log_url, token)
        for _ in range(100):
            # Published within a moment of the start; if not, the checker says what is missing.
            if len(entries) > max(journal.acked):
                break
            await asyncio.sleep(0.05)
            entries = await read_entries(log_url, token)
        state = str(tmp_path / "heads.json")
        where = ("--url", log_url, "--vkey", vkey, "--token", token, "--state", state)
        assert str(len(entries)) in await asyncio.to_thread(tlog, "audit", *where)
        assert await asyncio.to_thread(server.stop) == 0
    head = next(path for path in (data_dir / "heads").iterdir() if path.name != "lock")
    journal.heads.append(head.read_bytes())
    assert len(journal.heads) > CYCLES
    check_invariants(vkey, entries, journal.acked, journal.heads)


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
