"""Auditing a whole log: honest ones are clean, and the first wrong byte anywhere is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.simulator import ORIGIN, LogSimulator, make_entries
from tlog_clients import (
    AuditMismatchError,
    AuditReport,
    ForkDetectedError,
    HeadFile,
    HttpStatusError,
    LogMisbehaviourError,
    MemoryHeads,
    audit_log,
)
from tlog_clients.tree_rebuild import TreeRebuild
from tlog_proofs import (
    KIND_OPAQUE,
    Genesis,
    SignedCheckpoint,
    TlogError,
    UnknownKeyError,
    format_genesis,
    open_checkpoint,
)


def head(log: LogSimulator, size: int) -> SignedCheckpoint:
    """The log's signed head of a size."""
    return open_checkpoint(log.checkpoint(size), log.key)


def genesis(log: LogSimulator, origin: str = ORIGIN, vkey: str | None = None) -> bytes:
    """Entry 0 as tlog writes it."""
    return format_genesis(Genesis(origin, KIND_OPAQUE, 1_700_000_000, (vkey or log.key.vkey,)))


def tlog_log(size: int) -> LogSimulator:
    """A log that begins with its genesis."""
    log = LogSimulator(make_entries(size))
    log.entries[0] = genesis(log)
    return log


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 513, 700])
async def test_honest(size: int) -> None:
    """An honest log is clean; all its tiles and bundles were fetched, each once."""
    log, heads = tlog_log(size), MemoryHeads()
    seen: list[tuple[int, int]] = []
    report = await audit_log(
        log,
        log.key,
        heads=heads,
        progress=lambda *update: seen.append(update),
        now_s=lambda: 1_700_000_000.9,
    )
    tiles = {path for path in log.requests if path.startswith("tile/") and "entries" not in path}
    assert report == AuditReport(
        ORIGIN, size, log.root(), size, len(tiles), None, 1_700_000_000, None, KIND_OPAQUE, ()
    )
    assert len(log.requests) == len(set(log.requests))
    level_0 = -(-size // 256)
    level_1 = -(-(size // 256) // 256)
    assert len(tiles) == level_0 + level_1
    assert seen[-1] == (size, size)
    trusted = heads.read(log.key)
    assert trusted is not None
    assert trusted.note == log.checkpoint()


@pytest.mark.parametrize("size", [1, 255, 257, 513, 700])
async def test_partial_tiles_dropped(size: int) -> None:
    """Where the log has grown and dropped partial tiles and bundles, the full ones are cut."""
    log = tlog_log(1024)
    log.size, log.drops_partials = size, True
    report = await audit_log(log, log.key)
    assert (report.entries, report.root) == (size, log.root(size))


async def test_empty_tree() -> None:
    """A log of size 0, which other projects have, is clean."""
    log = LogSimulator([])
    report = await audit_log(log, log.key)
    assert (report.size, report.tiles, report.root) == (0, 0, hashlib.sha256(b"").digest())


async def test_full_tile_of_level_1() -> None:
    """Above 65,536 entries the full tile of level 1 and the tile of level 2 are compared too."""
    log = LogSimulator([b"%d" % number for number in range(65_536 + 300)])
    report = await audit_log(log, log.key)
    assert {"tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1"} <= set(log.requests)
    assert report.tiles == 258 + 2 + 1
    for wrong in ("tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1"):
        log.answer = lambda path, data, wrong=wrong: flip(data, 5) if path == wrong else data
        with pytest.raises(AuditMismatchError) as caught:
            await audit_log(log, log.key)
        assert caught.value.path == wrong


def flip(data: bytes | None, at: int) -> bytes:
    """The data with one bit changed."""
    assert data is not None
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


async def test_every_resource() -> None:
    """One wrong bit in any bundle or tile, full or partial, is found, and its place named."""
    log = tlog_log(600)
    await audit_log(log, log.key)
    used = {path: log.resource(path) or b"" for path in log.requests if path != "checkpoint"}
    assert len(used) == 7
    for wrong, data in used.items():
        for at in range(0, len(data), 127):
            log.answer = lambda path, data, wrong=wrong, at=at: (
                flip(data, at) if path == wrong else data
            )
            with pytest.raises(AuditMismatchError) as caught:
                await audit_log(log, log.key)
            assert caught.value.path in (wrong, wrong.replace("entries", "0"))


@pytest.mark.parametrize(
    ("path", "position", "index"),
    [("tile/0/001", 3, 259), ("tile/0/002.p/88", 87, 599), ("tile/1/000.p/2", 1, 256)],
)
async def test_place_is_named(path: str, position: int, index: int) -> None:
    """The error holds the tile and the first entry concerned."""
    log = tlog_log(600)
    log.answer = lambda asked, data: flip(data, position * 32 + 31) if asked == path else data
    with pytest.raises(AuditMismatchError, match=f"hash {position} ") as caught:
        await audit_log(log, log.key)
    assert (caught.value.path, caught.value.index) == (path, index)


def edit(entries: list[bytes]) -> None:
    """Change an entry."""
    entries[300] = b"edited"


def drop(entries: list[bytes]) -> None:
    """Leave one out, and put another at the end so that the count is right."""
    entries.append(entries.pop(300))


def reorder(entries: list[bytes]) -> None:
    """Exchange two."""
    entries[300], entries[301] = entries[301], entries[300]


@pytest.mark.parametrize("change", [edit, drop, reorder])
@pytest.mark.parametrize("tiles_too", [False, True], ids=["bundles only", "bundles and tiles"])
async def test_changed_entries(change: Callable[[list[bytes]], None], tiles_too: bool) -> None:
    """Entries that were edited, dropped or reordered are found, tiles made to match or not."""
    log = tlog_log(600)
    changed = tlog_log(600)
    change(changed.entries)
    log.answer = lambda path, data: (
        changed.resource(path)
        if path.startswith("tile/" if tiles_too else "tile/entries/")
        else data
    )
    with pytest.raises(AuditMismatchError) as caught:
        await audit_log(log, log.key)
    assert caught.value.path == ("checkpoint" if tiles_too else "tile/0/001")


@pytest.mark.parametrize("path", ["tile/0/001", "tile/entries/000", "tile/1/000.p/2"])
@pytest.mark.parametrize("answer", [None, b"", b"garbage"], ids=["absent", "empty", "garbage"])
async def test_missing_or_garbage(path: str, answer: bytes | None) -> None:
    """What the signed size requires and is not served, or has another length, is named."""
    log = tlog_log(600)
    log.answer = lambda asked, data: answer if asked == path else data
    with pytest.raises(AuditMismatchError) as caught:
        await audit_log(log, log.key)
    assert caught.value.path == path


async def test_unreachable_is_no_finding() -> None:
    """A log that answers with a server error could not be audited: nothing is held against it."""
    log = tlog_log(600)

    def broken(path: str, data: bytes | None) -> bytes | None:
        if path == "tile/0/001":
            raise HttpStatusError(path, 500)
        return data

    log.answer = broken
    with pytest.raises(HttpStatusError):
        await audit_log(log, log.key)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 599, 600])
async def test_trusted_head_on_the_way(tmp_path: Path, size: int) -> None:
    """The head trusted before is found on the rebuilt tree, and the audited one trusted then."""
    log, heads = tlog_log(600), HeadFile(tmp_path / "heads.json")
    heads.replace(log.key, None, head(log, size))
    report = await audit_log(log, log.key, heads=heads)
    assert report.trusted_size == size
    assert heads.read(log.key) == head(log, 600)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, 599])
async def test_fork_from_the_trusted_head(size: int) -> None:
    """A whole and consistent tree that is not the one trusted before is a fork."""
    before = tlog_log(600)
    before.entries[0] = b"as it was"
    log, heads = tlog_log(600), MemoryHeads()
    heads.replace(log.key, None, head(before, size))
    with pytest.raises(ForkDetectedError) as caught:
        await audit_log(log, log.key, heads=heads)
    assert caught.value.old_note == before.checkpoint(size)
    assert caught.value.new_note == log.checkpoint()
    assert heads.read(log.key) == head(before, size)


async def test_fork_of_the_same_size() -> None:
    """Two roots for one size are a fork, before anything else is fetched."""
    before = tlog_log(600)
    before.entries[5] = b"as it was"
    log, heads = tlog_log(600), MemoryHeads()
    heads.replace(log.key, None, head(before, 600))
    with pytest.raises(ForkDetectedError):
        await audit_log(log, log.key, heads=heads)
    assert log.requests == ["checkpoint"]


async def test_stale_checkpoint() -> None:
    """With an older checkpoint served, the larger trusted tree is audited and must contain it."""
    log, heads = tlog_log(600), MemoryHeads()
    heads.replace(log.key, None, head(log, 600))
    log.answer = lambda path, data: log.checkpoint(300) if path == "checkpoint" else data
    report = await audit_log(log, log.key, heads=heads)
    assert (report.size, report.trusted_size) == (600, 600)
    assert heads.read(log.key) == head(log, 600)

    other = tlog_log(600)
    other.entries[1] = b"another"
    log.answer = lambda path, data: other.checkpoint(300) if path == "checkpoint" else data
    with pytest.raises(ForkDetectedError):
        await audit_log(log, log.key, heads=heads)


async def test_head_moved_meanwhile() -> None:
    """When another client moved the trusted head during the audit, it must lie on that tree."""
    other = tlog_log(600)
    other.entries[5] = b"another"
    for source, moved, kept in ((tlog_log(900), 300, 600), (tlog_log(900), 900, 900)):
        log, heads = tlog_log(900), MemoryHeads()
        log.size = 600
        to = head(source, moved)

        def move(done: int, size: int) -> None:
            heads.replace(log.key, None, to)  # noqa: B023 - called before the next turn

        assert (await audit_log(log, log.key, heads=heads, progress=move)).size == 600
        assert heads.read(log.key) == head(log, kept)

        heads, to = MemoryHeads(), head(other, 300)
        with pytest.raises(ForkDetectedError):
            await audit_log(log, log.key, heads=heads, progress=move)
        assert heads.read(log.key) == to


@pytest.mark.parametrize(("entry_bytes", "most"), [(0, 8), (65_535, 1)])
async def test_fetched_ahead(entry_bytes: int, most: int) -> None:
    """At most 24 MiB of entries, and eight bundles, are fetched ahead of those compared."""
    log = LogSimulator([bytes(entry_bytes)] * 256 * (20 if most > 1 else 3))
    ahead: list[int] = []

    def count(done: int, size: int) -> None:
        bundles = sum(path.startswith("tile/entries/") for path in log.requests)
        ahead.append(bundles - done // 256 + 1)

    await audit_log(log, log.key, progress=count)
    assert max(ahead) == most


async def test_no_genesis() -> None:
    """Another project's log is audited all the same, with a warning."""
    log = LogSimulator(make_entries(3))
    report = await audit_log(log, log.key)
    assert report.kind is None
    assert report.warnings == ("entry 0 is no genesis: the log is not one of tlog",)


async def test_genesis_of_another_key() -> None:
    """A key that the genesis does not record is worth a warning: it may have been rotated."""
    log = tlog_log(3)
    other = LogSimulator([], seed=bytes(32))
    log.entries[0] = genesis(log, vkey=other.key.vkey)
    report = await audit_log(log, log.key)
    assert report.warnings == ("the key is not among those that the genesis (entry 0) records",)


async def test_genesis_of_another_origin() -> None:
    """A log that begins with another log's genesis is refused."""
    log = tlog_log(3)
    other = LogSimulator([], origin="log.example/other")
    log.entries[0] = genesis(log, "log.example/other", other.key.vkey)
    with pytest.raises(LogMisbehaviourError, match="entry 0"):
        await audit_log(log, log.key)


async def test_key_swap() -> None:
    """A log that signs with another key is not audited at all."""
    log = tlog_log(3)
    swapped = LogSimulator(log.entries, seed=bytes(32))
    with pytest.raises(UnknownKeyError):
        await audit_log(swapped, log.key)
    assert issubclass(UnknownKeyError, TlogError)


def test_rebuild_takes_one_tile_at_a_time() -> None:
    """Leaves beyond the room of the last tile are refused: each tile is given as it fills."""
    tree = TreeRebuild()
    tree.add([bytes(32)] * 200)
    with pytest.raises(ValueError, match="one tile"):
        tree.add([bytes(32)] * 57)
    assert [tile.path for tile, _ in tree.add([bytes(32)] * 56)] == ["tile/0/000"]
