"""What LevelDB and plyvel do when they are trusted, and that the server does not trust them.

One test for each hazard that was measured on plyvel 1.5.1 with LevelDB 1.22. Shown elsewhere:

- kill -9 under load loses nothing: tests/faults/test_kill.py
- synced puts are grouped by us, not by LevelDB: test_what_arrives_during_a_commit_is_the_next_batch
  in test_sequencer.py
- a lost CURRENT, with create_if_missing, would be an empty database:
  test_opening_never_creates_what_is_lost in tests/store/test_stores.py
- any bit of any file: tests/faults/test_bit_flips.py
"""

from __future__ import annotations

import ast
import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import plyvel
import pytest

import tlog
from tests.server.doubles import until
from tests.server.failing_store import make_store
from tests.server.hosts import filled, open_host
from tests.server.watched_leveldb import Watch
from tlog.app import check_log
from tlog.config import Config
from tlog.errors import LockHeldError, StoreError
from tlog.host import Host
from tlog.store.leveldb import LevelDBStore
from tlog_proofs import EntryBundle, Tile, leaf_hash

ROOT = Path(__file__).parents[2]
SOURCES = sorted(Path(tlog.__file__).parent.rglob("*.py"))
FAILING = (sys.executable, "-m", "tests.server.failing_store")
MIB = 1024 * 1024


def run(*command: object, preload: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, within 60 s."""
    environment = {"PATH": "/usr/bin:/bin"} | ({"LD_PRELOAD": str(preload)} if preload else {})
    return subprocess.run(
        list(map(str, command)),
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=environment,
    )


def write_ahead_log(data_dir: Path) -> Path:
    """The write-ahead log of log a's `log/`."""
    return next((data_dir / "logs" / "a" / "log").glob("*.log"))


def test_the_engine_is_pinned_by_hash_to_the_version_that_was_measured() -> None:
    """Another LevelDB may have other hazards: a change of the pin is a reason to measure again."""
    lock = (ROOT / "requirements.lock").read_text()
    pin = re.search(r"^plyvel==(\S+) \\\n    --hash=sha256:", lock, re.MULTILINE)
    assert pin is not None
    assert pin[1] == plyvel.__version__ == "1.5.1"


async def test_leveldbs_lock_is_lost_by_any_close_of_its_file_and_ours_is_not(
    tmp_path: Path,
) -> None:
    """A second opening in the process, or a backup that reads LOCK, lets others in; not in DIR."""
    await filled(tmp_path, 1)
    lock = tmp_path / "logs" / "a" / "log" / "LOCK"
    is_free = (
        "import fcntl, sys\n"
        "try: fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except OSError: sys.exit(7)"
    )
    async with open_host(tmp_path):
        assert (await asyncio.to_thread(run, sys.executable, "-c", is_free, lock)).returncode == 7
        with pytest.raises(plyvel.Error):
            plyvel.DB(str(lock.parent))
        lock.read_bytes()
        assert (await asyncio.to_thread(run, sys.executable, "-c", is_free, lock)).returncode == 0
        with pytest.raises(LockHeldError):
            Host.open(Config(data_dir=tmp_path), LevelDBStore)
        command = (sys.executable, "-m", "tlog", "fsck", "--data", tmp_path, "--log", "a")
        assert (await asyncio.to_thread(run, *command)).returncode == 4


def test_a_flipped_bit_in_the_write_ahead_log_is_refused_not_skipped(tmp_path: Path) -> None:
    """By default LevelDB opens with a hole where the record was; paranoid_checks refuses."""
    make_store(tmp_path / "store", 5, 5, 5).close()
    path = next((tmp_path / "store" / "log").glob("*.log"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    shutil.copytree(tmp_path / "store" / "log", tmp_path / "trusting")
    trusting = plyvel.DB(str(tmp_path / "trusting"))
    assert 0 < len(list(trusting)) < 16 + 4
    trusting.close()
    with pytest.raises(StoreError, match="Corruption"):
        LevelDBStore(tmp_path / "store")


@pytest.mark.parametrize("loss", ["torn", "deleted"])
async def test_a_write_ahead_log_that_lost_its_end_is_seen_by_the_head(
    tmp_path: Path, loss: str
) -> None:
    """LevelDB says nothing of a torn tail or a missing file: the signed head outside does."""
    await filled(tmp_path, 5)
    await filled(tmp_path, 5)
    path = write_ahead_log(tmp_path)
    if loss == "torn":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        path.unlink()
    async with open_host(tmp_path) as host:
        assert "has 6 entries, but a head of size 11 was signed" in (host.log("a").reason or "")


async def test_no_read_goes_without_its_checksum_and_no_write_without_its_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is an option of each call, easily forgotten: watched over a log's whole life and fsck.

    A plain batch writes what it has when its block raises; a plain read answers rotten rows.
    """
    watch = Watch()
    monkeypatch.setattr(plyvel, "DB", watch.open)
    await filled(tmp_path, 300)
    await filled(tmp_path, 300)
    shutil.rmtree(tmp_path / "logs" / "a" / "index")
    async with open_host(tmp_path) as host:
        log = host.log("a")
        await log.wait_published(601, 20)
        await log.read_tile(Tile(0, 1))
        await log.read_bundle(EntryBundle(2, 89))
        await log.read_entry(5)
        await log.inclusion(5, 601)
        await log.consistency(300, 601)
        await until(lambda: log.state == "ready")
        assert await log.find_leaf(leaf_hash(b"entry 5")) == 5
    check_log(tmp_path, "a", lambda _done, _total: None)
    assert len(watch.reads) > 30
    assert [options for options in watch.reads if not options.get("verify_checksums")] == []
    assert len(watch.writes) > 5
    assert [write for write in watch.writes if not write[1].get("transaction")] == []


async def test_every_database_is_opened_the_one_safe_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paranoid_checks; made only where nothing is; bounded buffers; iterators do not outlive a use.

    An open iterator pins old tables; one that outlives its database raises.
    """
    watch = Watch()
    monkeypatch.setattr(plyvel, "DB", watch.open)
    await filled(tmp_path, 300)
    await filled(tmp_path, 300)
    assert len(watch.opened) >= 6
    for options in watch.opened:
        assert options["paranoid_checks"]
        assert options["create_if_missing"] == options["error_if_exists"]
        assert 0 < options["write_buffer_size"] <= 16 * MIB
        assert options["lru_cache_size"] <= 8 * MIB
        assert options["bloom_filter_bits"] == 10
        assert options["max_open_files"] <= 500  # mapped; LevelDB keeps fewer of them as files
    made = [Path(options["path"]) for options in watch.opened if options["create_if_missing"]]
    databases = [path.relative_to(tmp_path / "logs").parts[1] for path in made]
    assert databases == ["log", "bodies", "index"]
    assert watch.open_iterators == 0


async def test_one_thread_writes_one_batch_of_a_database_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under load a commit is one call: the interpreter's lock is given up and taken once."""
    await filled(tmp_path, 0)
    watch = Watch()
    monkeypatch.setattr(plyvel, "DB", watch.open)
    async with open_host(tmp_path) as host:
        log = host.log("a")
        appends = (log.append([b"%d %d" % (client, n) for n in range(9)]) for client in range(200))
        await asyncio.gather(*appends)
        await log.wait_published(1801, 20)
    batches = [path for path, _ in watch.writes if path.endswith("/log")]
    assert 0 < len(batches) < 100
    assert watch.overlaps == 0


def test_a_closed_store_raises_and_does_not_crash(tmp_path: Path) -> None:
    """What plyvel raises from a closed database, RuntimeError, becomes one of our kinds."""
    store = make_store(tmp_path / "store", 3)
    store.close()
    for read in (
        lambda: store.read_leaf(1),
        lambda: store.read_leaves(0, 2),
        lambda: store.read_tile(0, 0),
        lambda: store.find_leaf(bytes(32), 4),
        lambda: store.commit_of(1),
    ):
        with pytest.raises(StoreError):
            read()


def test_a_lost_manifest_is_refused_and_nothing_repairs(tmp_path: Path) -> None:
    """repair_db can bring rows back that were dropped, and drop others: no module calls it."""
    make_store(tmp_path / "store", 3).close()
    next((tmp_path / "store" / "log").glob("MANIFEST-*")).unlink()
    before = sorted((tmp_path / "store" / "log").iterdir())
    with pytest.raises(StoreError):
        LevelDBStore(tmp_path / "store")
    assert {path.name for path in before} <= {
        path.name for path in (tmp_path / "store" / "log").iterdir()
    }
    assert [path.name for path in SOURCES if "repair_db" in path.read_text()] == []


def test_nothing_forks_with_an_open_database() -> None:
    """No module of the server starts processes."""
    names = {"multiprocessing", "subprocess", "pty"}
    calls = {"fork", "forkpty", "ProcessPoolExecutor", "posix_spawn", "system", "popen"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not names & {alias.name for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert node.module not in names, path
                assert not calls & {alias.name for alias in node.names}, path
            elif isinstance(node, ast.Attribute):
                assert node.attr not in calls, path


def test_a_full_disk_stops_the_store_until_it_is_opened_again_and_loses_nothing(
    tmp_path: Path,
) -> None:
    """Reads go on, every later write fails even with space again; nothing acked is lost."""
    finished = run(*FAILING, "full", tmp_path / "store")
    assert finished.stdout.startswith("acked "), finished.stderr


def test_a_failed_sync_leaves_the_outcome_open_until_the_store_is_opened_again(
    tmp_path: Path,
) -> None:
    """EIO: the batch is absent before and may be there after: whole, and nothing beside it."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for the failing sync")
    shim = tmp_path / "sync.so"
    source = Path(__file__).with_name("failing_sync.c")
    built = run(compiler, "-shared", "-fPIC", "-o", shim, source, "-ldl")
    assert built.returncode == 0, built.stderr
    arguments = ("unsynced", tmp_path / "store", tmp_path / "flag")
    finished = run(*FAILING, *arguments, preload=shim)
    assert re.fullmatch(r"failed: .*\nafter reopening: 1[12]\n", finished.stdout), finished.stderr
