"""A data directory as a whole: creation, many logs, tokens, restarts, reads up to the head."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
from pathlib import Path
from unittest.mock import AsyncMock, patch

import plyvel
import pytest

from tests import reference
from tests.server.doubles import START_S, FakeClock, until
from tests.server.hosts import ORIGIN, filled, open_host
from tlog import creation
from tlog.config import Config
from tlog.creation import NewLog, init_directory
from tlog.errors import (
    AlreadyExistsError,
    ControlDatabaseError,
    DataDirectoryError,
    DiskReserveError,
    LockHeldError,
    NotFoundError,
    NotPublishedError,
    OutcomeUnknownError,
    OutOfRangeError,
    ReadOnlyError,
    StoppingError,
    StoreError,
    UnreadableError,
    UsageError,
    WrongKindError,
)
from tlog.heads import FileHeadStore
from tlog.host import Host
from tlog.store.files import sync_directory
from tlog.store.keys import LEAF, log_key
from tlog.store.leveldb import LevelDBStore
from tlog.tokens import Scope
from tlog_proofs import (
    KIND_EVENT,
    KIND_OPAQUE,
    EntryBundle,
    Tile,
    leaf_hash,
    open_checkpoint,
    parse_entry_bundle,
    parse_genesis,
    parse_vkey,
    verify_consistency,
    verify_inclusion,
)


async def test_a_new_log_has_its_genesis_signed_and_served_from_the_first_second(
    tmp_path: Path,
) -> None:
    """Size 1 is published by `log create`, and entry 0 says origin, kind, time and key."""
    async with open_host(tmp_path) as host:
        facts = await host.create_log(NewLog("a", ORIGIN))
        log = host.log("a")
        assert (facts.size, facts.state, facts.reason) == (1, "ready", None)
        signed = open_checkpoint(log.published.note, parse_vkey(facts.vkey))
        assert (signed.origin, signed.size) == (ORIGIN, 1)
        genesis = await log.read_entry(0)
        assert signed.root == leaf_hash(genesis)
        parsed = parse_genesis(genesis)
        assert (parsed.origin, parsed.kind, parsed.created) == (ORIGIN, KIND_OPAQUE, START_S)
        assert parsed.vkeys == (facts.vkey,)
        assert parsed.predecessor is None
        assert host.accepting


async def test_everything_answers_up_to_the_published_size_only(tmp_path: Path) -> None:
    """Committed entries beyond the served checkpoint are not there yet, for any read."""
    config = Config(data_dir=tmp_path, disk_reserve_bytes=0, publish_interval_s=3600)
    async with open_host(tmp_path, config=config) as host:
        await host.create_log(NewLog("a", ORIGIN))
        log = host.log("a")
        appended = await log.append([b"%d" % n for n in range(300)])
        await log.wait_published(appended.size, 20)
        await log.append([b"unpublished"])
        size = log.published.size
        assert size == 301
        beyond = [
            log.read_entry(301),
            log.read_tile(Tile(0, 1, 46)),
            log.read_tile(Tile(1, 0, 2)),
            log.read_bundle(EntryBundle(1, 46)),
            log.inclusion(0, 302),
            log.consistency(1, 302),
        ]
        for read in beyond:
            with pytest.raises(NotPublishedError):
                await read
        with pytest.raises(NotFoundError):
            await log.find_leaf(leaf_hash(b"unpublished"))
        assert await log.read_tile(Tile(0, 1, 45)) == b"".join(
            leaf_hash(b"%d" % n) for n in range(255, 300)
        )


async def test_every_proof_and_every_partial_tile_is_right(tmp_path: Path) -> None:
    """Proofs at many sizes verify against the recursion; each width of the edge is served."""
    await filled(tmp_path, 600)
    async with open_host(tmp_path) as host:
        log = host.log("a")
        entries = [await log.read_entry(index) for index in range(601)]
        hashes = tuple(reference.leaf(entry) for entry in entries)
        for size in (1, 2, 3, 255, 256, 257, 511, 512, 513, 600, 601):
            root = reference.root(hashes[:size])
            for index in {0, size // 2, size - 1}:
                hashed, proof = await log.inclusion(index, size)
                assert hashed == hashes[index]
                verify_inclusion(index, size, hashed, proof, root)
                assert list(proof) == reference.path(index, hashes[:size])
            for old in {1, (size + 1) // 2, size}:
                proof = await log.consistency(old, size)
                verify_consistency(old, size, proof, reference.root(hashes[:old]), root)
        for width in range(1, 90):
            assert await log.read_tile(Tile(0, 2, width)) == b"".join(hashes[512 : 512 + width])
            data = await log.read_bundle(EntryBundle(2, width))
            assert list(parse_entry_bundle(data, width)) == entries[512 : 512 + width]
        assert await log.read_tile(Tile(0, 1, 7)) == b"".join(hashes[256:263])
        assert await log.read_tile(Tile(1, 0, 2)) == b"".join(
            reference.root(hashes[start : start + 256]) for start in (0, 256)
        )
        assert await log.find_leaf(hashes[400]) == 400
        for index, size in ((3, 3), (601, 601)):
            with pytest.raises(OutOfRangeError):
                await log.inclusion(index, size)
        for old, new in ((0, 3), (4, 3)):
            with pytest.raises(OutOfRangeError):
                await log.consistency(old, new)


async def test_a_restart_serves_the_published_checkpoint_at_once(tmp_path: Path) -> None:
    """The newest stored checkpoint is there before anything new is signed, with the same bytes."""
    await filled(tmp_path, 10)
    head = next(path for path in (tmp_path / "heads").iterdir() if path.name != "lock")
    note = head.read_bytes()
    async with open_host(tmp_path) as host:
        log = host.log("a")
        assert log.published.note == note
        assert log.published.size == 11
        assert await log.checkpoint_at(11) == note
        assert await log.checkpoint_at(1) != note
        with pytest.raises(NotFoundError):
            await log.checkpoint_at(5)
        assert host.accepting
    assert head.read_bytes() == note


async def test_what_was_committed_but_not_published_is_published_after_a_restart(
    tmp_path: Path,
) -> None:
    """A crash between commit and publication: start-up signs what is durable."""
    config = Config(data_dir=tmp_path, disk_reserve_bytes=0, publish_interval_s=3600)
    async with open_host(tmp_path, config=config) as host:
        await host.create_log(NewLog("a", ORIGIN))
        log = host.log("a")
        log.halt()
        await log.append([b"committed"])
        await asyncio.sleep(0.05)
        assert log.published.size == 1
    async with open_host(tmp_path) as host:
        log = host.log("a")
        assert (await log.wait_published(2, 20)) is not None
        assert await log.read_entry(1) == b"committed"


async def test_many_logs_live_in_one_host_and_share_nothing(tmp_path: Path) -> None:
    """Logs made while the host runs take entries at once, beside each other."""
    async with open_host(tmp_path) as host:
        for name in "abcde":
            await host.create_log(NewLog(name, f"log.example/{name}"))

        async def fill(name: str) -> None:
            for number in range(20):
                await host.log(name).append([f"{name}{number}".encode()])

        await asyncio.gather(*(fill(name) for name in "abcde"))
        for name in "abcde":
            log = host.log(name)
            await log.wait_published(21, 20)
            assert await log.read_entry(20) == f"{name}19".encode()
    async with open_host(tmp_path) as host:
        assert [host.log(name).published.size for name in "abcde"] == [21] * 5
        assert len({log.row.vkey for log in host.logs.values()}) == 5


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (NewLog("a", "log.example/other"), AlreadyExistsError),
        (NewLog("other", ORIGIN), AlreadyExistsError),
        (NewLog("A", "log.example/x"), UsageError),
        (NewLog("-a", "log.example/x"), UsageError),
        (NewLog("a" * 64, "log.example/x"), UsageError),
        (NewLog("../a", "log.example/x"), UsageError),
        (NewLog("x\n", "log.example/x"), UsageError),
        (NewLog("x", ""), UsageError),
        (NewLog("x", "log example"), UsageError),
        (NewLog("x", "a+b"), UsageError),
        (NewLog("x", "tlog/x"), UsageError),
        (NewLog("x", "l" * 256), UsageError),
        (NewLog("x", "lög"), UsageError),
        (NewLog("x", "log.example/x", "other/1"), UsageError),
    ],
)
async def test_a_log_that_cannot_be_is_refused(
    tmp_path: Path, new: NewLog, error: type[Exception]
) -> None:
    """Names, origins and kinds out of the rules, and those that are taken."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        with pytest.raises(error):
            await host.create_log(new)
        assert list(host.logs) == ["a"]
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["a"]


async def test_origins_are_compared_by_their_bytes(tmp_path: Path) -> None:
    """Case and a trailing slash make another origin."""
    async with open_host(tmp_path) as host:
        for number, origin in enumerate(("log.example/a", "log.example/a/", "Log.example/a")):
            await host.create_log(NewLog(f"log{number}", origin))
        assert len(host.logs) == 3


@pytest.mark.parametrize("another_origin", [False, True], ids=["same origin", "another"])
@pytest.mark.parametrize("step", ["key", "store", "checkpoints", "head", "row"])
async def test_a_creation_that_was_interrupted_leaves_no_log_and_can_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, *, another_origin: bool
) -> None:
    """The row of control.db alone makes a log exist; leavings before it are removed."""
    targets = {
        "key": "tlog.creation.sync_directory",
        "store": "tlog.creation.CheckpointStore.create",
        "checkpoints": "tlog.creation.HeadWriter.publish",
        "head": "tlog.checkpoints.CheckpointStore.add",
        "row": "tlog.control.ControlDatabase.add_log",
    }

    def interrupted(*_: object, **__: object) -> None:
        message = "power cut"
        raise OSError(message)

    async with open_host(tmp_path) as host:
        with monkeypatch.context() as patch:
            patch.setattr(targets[step], interrupted)
            with pytest.raises((OSError, Exception), match="power cut"):
                await host.create_log(NewLog("a", ORIGIN))
        assert list(host.logs) == []
        left = tmp_path / "logs" / ("a" if step == "row" else "a.new")
        assert left.exists()
    async with open_host(tmp_path) as host:
        assert list(host.logs) == []
        if another_origin:
            facts = await host.create_log(NewLog("a", "log.example/another"))
            assert (facts.size, facts.state) == (1, "ready")
            assert [path.name for path in (tmp_path / "logs").iterdir()] == ["a"]
            await host.create_log(NewLog("b", ORIGIN))
            return
        facts = await host.create_log(NewLog("a", ORIGIN))
        assert (facts.size, facts.state) == (1, "ready")


@pytest.mark.parametrize("origin", [ORIGIN, "log.example/another"])
@pytest.mark.parametrize("state", ["whole", "database of size 1", "cannot be opened"])
async def test_a_log_that_lived_is_never_taken_for_a_leaving(
    tmp_path: Path, origin: str, state: str
) -> None:
    """Its row lost, by an older control.db say: no creation touches its entries, key or head."""
    data_dir = tmp_path / "data"
    await filled(data_dir, 0)
    shutil.copytree(data_dir, tmp_path / "size 1")
    await filled(data_dir, 3)
    log_dir = data_dir / "logs" / "a"
    if state == "database of size 1":
        shutil.rmtree(log_dir)
        shutil.copytree(tmp_path / "size 1" / "logs" / "a", log_dir)
    elif state == "cannot be opened":
        (log_dir / "log" / "CURRENT").unlink()
    with sqlite3.connect(data_dir / "control.db") as control:
        control.execute("DELETE FROM logs")
    control.close()
    before = {path.name for path in log_dir.rglob("*")} - {"LOG", "LOG.old"}
    heads = {path.name: path.read_bytes() for path in (data_dir / "heads").iterdir()}
    async with open_host(data_dir) as host:
        with pytest.raises(AlreadyExistsError, match=r"logs/a (is kept|holds a log that lived)"):
            await host.create_log(NewLog("a", origin))
        with pytest.raises(AlreadyExistsError, match="existed"):
            await host.create_log(NewLog("b", ORIGIN))
    assert (log_dir / "key").exists()
    assert {path.name for path in (log_dir / "log").iterdir()} & before
    assert {path.name: path.read_bytes() for path in (data_dir / "heads").iterdir()} == heads


async def test_an_event_log_takes_no_raw_entries(tmp_path: Path) -> None:
    """The server alone builds the leaves of an event log."""
    async with open_host(tmp_path) as host:
        facts = await host.create_log(NewLog("e", "log.example/e", KIND_EVENT))
        assert facts.kind == KIND_EVENT
        with pytest.raises(WrongKindError):
            await host.log("e").append([b"x"])


async def test_one_process_at_a_time_holds_a_directory(tmp_path: Path) -> None:
    """A second opener is refused, also by another path to the same directory."""
    async with open_host(tmp_path / "data"):
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "data")
        for path in (tmp_path / "data", link):
            with pytest.raises(LockHeldError):
                Host.open(Config(data_dir=path), LevelDBStore)
    async with open_host(tmp_path / "data"):
        pass


async def test_opening_and_closing_leveldbs_own_lock_does_not_let_a_second_process_in(
    tmp_path: Path,
) -> None:
    """The hole of fcntl locks is closed by the flock of ours."""
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", ORIGIN))
        (tmp_path / "logs" / "a" / "log" / "LOCK").read_bytes()
        # In another process: fcntl locks never hold against one's own.
        script = (
            "import plyvel, sys; from pathlib import Path; from tlog.config import Config;"
            "from tlog.host import Host; from tlog.store.leveldb import LevelDBStore;"
            "plyvel.DB(sys.argv[1] + '/logs/a/log').close();"  # LevelDB alone lets it in
            "Host.open(Config(data_dir=Path(sys.argv[1])), LevelDBStore)"
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, str(tmp_path)), stderr=asyncio.subprocess.PIPE
        )
        _, errors = await process.communicate()
        assert b"LockHeldError" in errors


def test_a_directory_that_is_none_is_refused_and_names_init(tmp_path: Path) -> None:
    """No control.db: nothing is made, and the error says what to run."""
    with pytest.raises(DataDirectoryError, match="tlog init"):
        Host.open(Config(data_dir=tmp_path / "absent"), LevelDBStore)
    assert not (tmp_path / "absent").exists()


def test_init_takes_an_empty_or_absent_directory_only(tmp_path: Path) -> None:
    """Anything in the directory that init does not leave itself is refused."""
    init_directory(tmp_path / "absent" / "deep")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(DataDirectoryError, match="it holds file"):
        init_directory(tmp_path / "full")
    with pytest.raises(DataDirectoryError, match=r"control\.db"):
        init_directory(tmp_path / "absent" / "deep")
    assert (tmp_path / "absent" / "deep").stat().st_mode & 0o777 == 0o700


def test_init_makes_the_name_of_every_directory_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut must not take away a parent that init made, and every log with it."""
    synced: list[Path] = []

    def sync(directory: Path) -> None:
        sync_directory(directory)
        synced.append(directory.absolute())

    monkeypatch.setattr(creation, "sync_directory", sync)
    monkeypatch.chdir(tmp_path)
    init_directory(Path("one/two/data"), tmp_path / "three" / "heads")
    made = [path for path in tmp_path.rglob("*") if path.is_dir() and path.name != "logs"]
    assert len(made) == 5
    assert {path.parent for path in made} <= set(synced)


async def test_a_data_directory_may_be_moved(tmp_path: Path) -> None:
    """Heads inside DIR are found wherever DIR is."""
    await filled(tmp_path / "data", 3)
    (tmp_path / "data").rename(tmp_path / "moved")
    async with open_host(tmp_path / "moved") as host:
        assert host.log("a").state == "ready"
        await host.log("a").append([b"x"])


async def test_two_first_uses_at_once_never_replace_each_others_work(tmp_path: Path) -> None:
    """Whoever comes second to an absent directory is refused under the lock, or waits for it."""
    outcomes = await asyncio.gather(
        *(asyncio.to_thread(init_directory, tmp_path / "data") for _ in range(8)),
        return_exceptions=True,
    )
    made = [outcome for outcome in outcomes if outcome is None]
    assert len(made) == 1
    assert all(isinstance(o, DataDirectoryError) for o in outcomes if o is not None)
    async with open_host(tmp_path / "data"):
        pass


async def test_no_more_logs_than_the_bound_even_at_once(tmp_path: Path) -> None:
    """The bound of open logs holds for creations that overlap."""
    config = Config(data_dir=tmp_path, disk_reserve_bytes=0, open_logs=2)
    async with open_host(tmp_path, config=config) as host:
        outcomes = await asyncio.gather(
            *(host.create_log(NewLog(f"l{n}", f"log.example/{n}")) for n in range(5)),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, UsageError) for outcome in outcomes) == 3
        assert len(host.logs) == 2


async def test_shut_down_waits_for_a_creation_under_way(tmp_path: Path) -> None:
    """A log that is being made when the end begins is closed with the others."""
    async with open_host(tmp_path) as host:
        creating = asyncio.create_task(host.create_log(NewLog("a", ORIGIN)))
        await asyncio.sleep(0)
    facts = await creating
    assert facts.state in {"ready", "stopping"}
    async with open_host(tmp_path) as host:
        assert host.log("a").state == "ready"


async def test_a_creation_whose_caller_left_is_finished(tmp_path: Path) -> None:
    """A log that exists on disk is open in the host, or its name would be taken for nothing."""
    async with open_host(tmp_path) as host:
        creating = asyncio.create_task(host.create_log(NewLog("a", ORIGIN)))
        await until((tmp_path / "logs" / "a.new").exists)
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
        await host.log("a").append([b"x"])


async def test_a_revocation_is_durable_whoever_cannot_be_told(tmp_path: Path) -> None:
    """A token that was revoked is not valid again after a restart."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        row = host.tokens.find(await host.create_token(["a"], [Scope.READ]))
        assert row is not None
        host.observe(AsyncMock(side_effect=OSError))
        with pytest.raises(OSError):  # noqa: PT011 - whatever the observer raises
            await host.revoke_token(row.id)
    async with open_host(tmp_path) as host:
        assert host.tokens.rows[row.id].revoked is not None


async def test_a_host_that_only_looks_signs_nothing(tmp_path: Path) -> None:
    """publish=False: what is committed and unsigned stays so, and everything can be read."""
    config = Config(data_dir=tmp_path, disk_reserve_bytes=0, publish_interval_s=3600)
    async with open_host(tmp_path, config=config) as host:
        await host.create_log(NewLog("a", ORIGIN))
        host.log("a").halt()
        await host.log("a").append([b"committed"])
    host = Host.open(config, LevelDBStore)
    await host.start(publish=False)
    await asyncio.sleep(0.05)
    assert (host.log("a").state, host.log("a").published.size) == ("stopped", 1)
    assert not host.accepting
    assert leaf_hash(await host.log("a").read_entry(0)) == host.log("a").published.root
    await host.stop()
    host.release()


async def test_heads_may_lie_elsewhere_and_are_found_again(tmp_path: Path) -> None:
    """The place of the head store is recorded in control.db."""
    init_directory(tmp_path / "data", tmp_path / "disk2" / "heads")
    await filled(tmp_path / "data", 2)
    assert not (tmp_path / "data" / "heads").exists()
    assert len(list((tmp_path / "disk2" / "heads").iterdir())) == 2
    async with open_host(tmp_path / "data") as host:
        assert host.log("a").published.size == 3


async def test_a_damaged_row_of_control_db_is_refused(tmp_path: Path) -> None:
    """A changed column is noticed by the row's digest."""
    await filled(tmp_path, 0)
    with sqlite3.connect(tmp_path / "control.db") as control:
        control.execute("UPDATE logs SET public = 1")
    control.close()
    host = Host.open(Config(data_dir=tmp_path, disk_reserve_bytes=0), LevelDBStore)
    with pytest.raises(ControlDatabaseError, match="row of logs is damaged"):
        await host.start()
    await host.stop()
    host.release()


async def test_tokens_live_die_and_are_stored_as_hashes_only(tmp_path: Path) -> None:
    """A token is found until it expires or is revoked, over restarts; its text is nowhere."""
    clock = FakeClock()
    await filled(tmp_path, 0)
    async with open_host(tmp_path, clock) as host:
        text = await host.create_token(["a"], [Scope.READ, Scope.APPEND])
        short = await host.create_token(["a"], [Scope.READ], 60)
        for bad in ([], ["a"]):
            with pytest.raises(UsageError):
                await host.create_token(bad, [])
        with pytest.raises(NotFoundError):
            await host.create_token(["absent"], [Scope.READ])
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert text.encode() not in path.read_bytes()
    async with open_host(tmp_path, clock) as host:
        row = host.tokens.find(text)
        assert row is not None
        assert row.scopes == {Scope.READ, Scope.APPEND}
        assert row.logs == {"a"}
        assert host.tokens.find(short) is not None
        clock.wall_s += 60
        assert host.tokens.find(short) is None
        changed = text[:-1] + ("A" if text[-1] != "A" else "B")
        for wrong in ("", "tlog_", changed, text + "x", text.upper(), short[:16] + text[16:]):
            assert host.tokens.find(wrong) is None
        await host.revoke_token(row.id)
        assert host.tokens.find(text) is None
        with pytest.raises(NotFoundError):
            await host.revoke_token("aaaaaaaaaa")
    async with open_host(tmp_path, clock) as host:
        assert host.tokens.find(text) is None
        assert host.tokens.rows[row.id].revoked == clock.wall_s
        clock.wall_s += 366 * 24 * 3600


async def test_the_disk_reserve_stops_appends_and_nothing_else(tmp_path: Path) -> None:
    """Free space below the reserve: 507 for appends, reads go on."""
    await filled(tmp_path, 3)
    config = Config(data_dir=tmp_path, disk_reserve_bytes=1 << 62)
    async with open_host(tmp_path, config=config) as host:
        with pytest.raises(DiskReserveError):
            await host.log("a").append([b"x"])
        assert not host.accepting
        assert await host.log("a").read_entry(1) == b"entry 1"


async def test_an_index_that_was_deleted_is_rebuilt_before_the_first_append(
    tmp_path: Path,
) -> None:
    """index/ is derived: it comes back from the log, and reads by index go on meanwhile."""
    await filled(tmp_path, 500)
    shutil.rmtree(tmp_path / "logs" / "a" / "index")
    async with open_host(tmp_path) as host:
        log = host.log("a")
        assert await log.read_entry(7) == b"entry 7"
        await until(lambda: log.state == "ready")
        assert await log.find_leaf(leaf_hash(b"entry 7")) == 7
        assert (await log.append([b"x"])).first_new == 501


async def test_an_index_that_a_search_finds_rotten_is_begun_anew(tmp_path: Path) -> None:
    """The search is an error; soon after it is answered, and appends are taken again."""
    hashes = sorted(leaf_hash(b"entry %d" % n) for n in range(1, 3001))
    sought = hashes[0]
    # The row of the genesis, which is another each time, is read at opening: it must be whole too.
    for attempt in range(100):
        directory = tmp_path / str(attempt)
        await filled(directory, 3000)
        database = plyvel.DB(str(directory / "logs" / "a" / "log"))
        genesis = leaf_hash(database.get(log_key(0, LEAF)))
        database.close()
        if genesis > hashes[1000]:
            break
    index = directory / "logs" / "a" / "index"
    database = plyvel.DB(str(index))
    database.compact_range()
    database.close()
    for table in index.glob("*.ldb"):
        data = bytearray(table.read_bytes())
        data[100] ^= 1  # in its first block: the mark, which lies in the last, is whole
        table.write_bytes(data)
    async with open_host(directory) as host:
        log = host.log("a")
        await until(lambda: log.state == "ready")
        with pytest.raises(StoreError, match="checksum"):
            await log.find_leaf(sought)
        await until(lambda: log.state == "ready")
        assert await log.read_entry(await log.find_leaf(sought)) is not None
        assert (await log.append([b"x"])).first_new == 3001


async def test_a_search_in_half_an_index_never_says_that_there_is_nothing(tmp_path: Path) -> None:
    """A log that may not write keeps its index as it is: what it lacks may stand in the log."""
    await filled(tmp_path, 5)
    shutil.rmtree(tmp_path / "logs" / "a" / "index")
    (tmp_path / "logs" / "a" / "key").rename(tmp_path / "key")
    async with open_host(tmp_path) as host:
        assert host.log("a").state == "read-only"
        with pytest.raises(UnreadableError, match="only 0 of 6 entries"):
            await host.log("a").find_leaf(leaf_hash(b"entry 3"))
    (tmp_path / "key").rename(tmp_path / "logs" / "a" / "key")
    async with open_host(tmp_path) as host:
        await until(lambda: host.log("a").state == "ready")
        with pytest.raises(NotFoundError):
            await host.log("a").find_leaf(leaf_hash(b"entry 9"))


async def test_a_bug_in_a_commit_or_a_publication_leaves_nobody_waiting(tmp_path: Path) -> None:
    """Whatever was raised, and not only storage errors: outcome unknown, and the log read-only."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        log = host.log("a")
        with (
            patch.object(LevelDBStore, "commit", side_effect=ValueError),
            pytest.raises(OutcomeUnknownError),
        ):
            await asyncio.wait_for(log.append([b"x"]), 20)
        assert "a commit was interrupted" in (log.reason or "")
    async with open_host(tmp_path) as host:
        log = host.log("a")
        with patch.object(FileHeadStore, "compare_and_set", side_effect=ValueError):
            appended = await log.append([b"x"])
            assert await log.wait_published(appended.size, 20) is None
        assert "a publication was interrupted" in (log.reason or "")
        with pytest.raises(ReadOnlyError):
            await log.append([b"y"])


async def test_after_shut_down_began_nothing_is_taken(tmp_path: Path) -> None:
    """begin_stop: not ready, appends refused, waits released."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        host.begin_stop()
        assert not host.accepting
        assert host.log("a").state == "stopping"
        with pytest.raises(StoppingError):
            await host.log("a").append([b"x"])
        with pytest.raises(StoppingError):
            await host.create_log(NewLog("b", "log.example/b"))
        assert await host.log("a").wait_published(99, 20) is None
