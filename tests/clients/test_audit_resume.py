"""An audit that was interrupted and gone on with: less work, and no lie that is missed for it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from tests.clients.simulator import OTHER_SEED, LogSimulator, make_entries
from tlog_clients import (
    AuditMismatchError,
    AuditProgress,
    AuditReport,
    ForkDetectedError,
    HeadFile,
    HttpStatusError,
    ProgressFiles,
    StateFileError,
    audit_log,
)
from tlog_clients.tree_rebuild import TreeRebuild
from tlog_proofs import SignedCheckpoint, leaf_hash, open_checkpoint

SIZE = 64 * 256 + 100
HALF = 32 * 256
BEGUN_S = 1_700_000_000


class Interruption(BaseException):
    """The run is killed."""


@pytest.fixture(scope="module")
def entries() -> list[bytes]:
    """The entries of the log."""
    return make_entries(SIZE + 1_000)


@pytest.fixture
def log(entries: list[bytes]) -> LogSimulator:
    """A log of SIZE entries."""
    return LogSimulator(entries[:SIZE])


@pytest.fixture
def kept(tmp_path: Path) -> ProgressFiles:
    """Where the progress is kept."""
    return ProgressFiles(tmp_path / "heads.json")


def head(log: LogSimulator, size: int) -> SignedCheckpoint:
    """The log's signed head of a size."""
    return open_checkpoint(log.checkpoint(size), log.key)


async def interrupt(log: LogSimulator, kept: ProgressFiles, at: int = HALF) -> None:
    """Audit the log up to an entry."""

    def stop(done: int, size: int) -> None:
        if done >= at:
            raise Interruption

    with pytest.raises(Interruption):
        await audit_log(log, log.key, unfinished=kept, progress=stop, now_s=lambda: BEGUN_S)


async def resume(log: LogSimulator, kept: ProgressFiles, **options: object) -> AuditReport:
    """Audit the log again, later."""
    log.requests.clear()
    later = BEGUN_S + 3600
    return await audit_log(
        log,
        log.key,
        unfinished=kept,
        now_s=lambda: later,
        **options,  # type: ignore[arg-type]
    )


async def test_resumed(log: LogSimulator, kept: ProgressFiles) -> None:
    """Gone on with half-way, an audit needs at most 60 % of the requests, and says what it saw."""
    whole = await resume(log, kept)
    assert (whole.entries, whole.resumed_at) == (SIZE, None)
    requests = len(log.requests)
    await interrupt(log, kept)
    report = await resume(log, kept)
    assert len(log.requests) <= 0.6 * requests
    assert (report.resumed_at, report.entries) == (HALF, SIZE - HALF)
    assert (report.size, report.root, report.begun_s) == (SIZE, log.root(), BEGUN_S)
    assert report.kind == whole.kind
    assert report.warnings == whole.warnings
    assert not kept.path(log.key).exists()
    assert (await resume(log, kept)).entries == SIZE


async def test_interrupted_often(log: LogSimulator, kept: ProgressFiles) -> None:
    """Each run goes on where the last one came to, and the first one's begin is told."""
    for at in range(2_000, SIZE, 2_000):
        await interrupt(log, kept, at)
    report = await resume(log, kept)
    assert report.entries < 1_000
    assert report.begun_s == BEGUN_S


@pytest.mark.parametrize("more", [1, 156, 157, 1_000])
async def test_grown_log(
    log: LogSimulator, kept: ProgressFiles, entries: list[bytes], more: int
) -> None:
    """A log that has grown meanwhile is audited to its newest head."""
    await interrupt(log, kept)
    grown = LogSimulator(entries[: SIZE + more])
    report = await resume(grown, kept)
    assert (report.size, report.resumed_at) == (SIZE + more, HALF)
    assert report.root == grown.root()


async def test_stale_head(log: LogSimulator, kept: ProgressFiles) -> None:
    """Where an older head is served, the tree of the one seen before is audited, and holds it."""
    for size in (1, 256, HALF, HALF + 1, SIZE - 1):
        await interrupt(log, kept)
        log.answer = lambda path, data, size=size: (
            log.checkpoint(size) if path == "checkpoint" else data
        )
        report = await resume(log, kept)
        assert (report.size, report.resumed_at) == (SIZE, HALF)
        log.answer = None


def changed_at(index: int, log: LogSimulator, size: int = SIZE) -> LogSimulator:
    """A log that differs in one entry, and is consistent in itself."""
    entries = log.entries[:size]
    entries[index] = b"rewritten"
    return LogSimulator(entries)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    ("index", "size"),
    [(0, HALF - 300), *product([0, HALF - 1, HALF, SIZE - 2], [SIZE - 1, SIZE])],
)
async def test_fork_between_runs(
    log: LogSimulator, kept: ProgressFiles, index: int, size: int, fresh: bool
) -> None:
    """A log that rewrites an entry between two runs is caught by the head that the first saw."""
    await interrupt(log, kept)
    forked = changed_at(index, log, size)
    served = forked
    if size < SIZE:  # the larger tree is served still, with a smaller head of another one
        served = log
        log.answer = lambda path, data: forked.checkpoint() if path == "checkpoint" else data
    for _ in range(2):  # and so it is again
        with pytest.raises(ForkDetectedError) as caught:
            await resume(served, kept, fresh=fresh)
        notes = (caught.value.old_note, caught.value.new_note)
        assert notes == (log.checkpoint(), forked.checkpoint())


@pytest.mark.parametrize("index", [0, HALF - 1, HALF + 1, SIZE - 1])
async def test_fork_into_a_larger_tree(
    log: LogSimulator, kept: ProgressFiles, entries: list[bytes], index: int
) -> None:
    """A larger tree that does not continue what the first run saw is a fork."""
    await interrupt(log, kept)
    log.entries = list(entries)
    forked = changed_at(index, log, SIZE + 1_000)
    with pytest.raises(ForkDetectedError):
        await resume(forked, kept)


async def test_fork_from_a_trusted_head(
    log: LogSimulator, kept: ProgressFiles, tmp_path: Path
) -> None:
    """A trusted head that the resumed run does not pass any more is compared all the same."""
    for size in (5, HALF - 1, HALF, HALF + 5, SIZE):
        heads = HeadFile(tmp_path / f"heads-{size}.json")
        heads.replace(log.key, None, head(changed_at(3, log, size), size))
        await interrupt(log, kept)
        with pytest.raises(ForkDetectedError):
            await resume(log, kept, heads=heads)
        kept.drop(log.key, {head(log, SIZE)})
    await interrupt(log, kept)
    heads = HeadFile(tmp_path / "good.json")
    heads.replace(log.key, None, head(log, 300))
    report = await resume(log, kept, heads=heads)
    assert (report.resumed_at, report.trusted_size) == (HALF, 300)
    assert heads.read(log.key) == head(log, SIZE)


async def test_what_changed_behind(log: LogSimulator, kept: ProgressFiles) -> None:
    """An entry changed behind the point is found by a fresh run; the resumed one says its part."""
    await interrupt(log, kept)
    log.answer = lambda path, data: (
        data[:-1] + b"?" if data and path == "tile/entries/001" else data
    )
    with pytest.raises(AuditMismatchError, match="tile/0/001"):
        await resume(log, kept, fresh=True)
    await interrupt(replace(log, answer=None), kept)
    report = await resume(log, kept)
    assert (report.resumed_at, report.entries) == (HALF, SIZE - HALF)


@pytest.mark.parametrize("path", ["tile/0/064.p/100", "tile/1/000.p/64"])
@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("absent", [False, True])
async def test_wrong_tile_at_the_edge(
    log: LogSimulator, kept: ProgressFiles, path: str, grown: bool, absent: bool
) -> None:
    """A tile that the run's point is proved with, and that is wrong or absent, is named."""
    if grown:
        log.size = SIZE - 1_000
        await interrupt(log, kept)
        log.size = None
    else:
        await interrupt(log, kept)
    wrong = None if absent else bytes(32 * int(path.rpartition("/")[2]))
    log.answer = lambda asked, data: wrong if asked == path else data
    with pytest.raises(AuditMismatchError) as caught:
        await resume(log, kept)
    assert caught.value.path == path


async def test_server_error_at_the_edge(log: LogSimulator, kept: ProgressFiles) -> None:
    """When the tiles cannot be had now, nothing is decided, and the progress stays."""
    await interrupt(log, kept)

    def broken(path: str, data: bytes | None) -> bytes | None:
        if path == "tile/1/000.p/64":
            raise HttpStatusError(path, 500)
        return data

    log.answer = broken
    with pytest.raises(HttpStatusError):
        await resume(log, kept)
    log.answer = None
    assert (await resume(log, kept)).resumed_at == HALF


async def test_head_is_not_forgotten(
    log: LogSimulator, kept: ProgressFiles, entries: list[bytes]
) -> None:
    """A run that must begin again keeps the head seen before until it has passed its size."""
    await interrupt(log, kept)
    seen = kept.read(log.key)
    grown = LogSimulator(list(entries))
    grown.answer = lambda path, data: data
    for at, known in ((SIZE - 200, head(log, SIZE)), (SIZE + 500, head(grown, SIZE + 1_000))):

        def stop(done: int, size: int, at: int = at) -> None:
            if done >= at:
                raise Interruption

        with pytest.raises(Interruption):
            await resume(grown, kept, fresh=True, progress=stop)
        now = kept.read(log.key)
        assert seen is not None
        assert now is not None
        assert now.head == known


async def test_two_runs_at_once(log: LogSimulator, kept: ProgressFiles) -> None:
    """A run neither replaces nor removes what another one left meanwhile, if of another head."""
    other = LogSimulator([b"forked", *log.entries[1:]])
    left: list[bytes] = []

    def leave(path: str, data: bytes | None) -> bytes | None:
        if not left and path != "checkpoint":
            kept.write(log.key, forged(other, HALF), ())
            left.append(kept.path(log.key).read_bytes())
        return data

    log.answer = leave
    report = await resume(log, kept)
    assert any("another audit" in warning for warning in report.warnings)
    assert kept.path(log.key).read_bytes() == left[0]
    with pytest.raises(ForkDetectedError):
        await resume(log, kept)


async def test_run_that_ends_beside_another(log: LogSimulator, kept: ProgressFiles) -> None:
    """A run too short to keep anything leaves what another one left."""
    small = LogSimulator(log.entries[:200])

    def leave(path: str, data: bytes | None) -> bytes | None:
        if path == "checkpoint":
            kept.write(log.key, forged(log, HALF), ())
        return data

    small.answer = leave
    await resume(small, kept)
    known = kept.read(log.key)
    assert known is not None
    assert known.head == head(log, SIZE)


def forged(log: LogSimulator, size: int, salt: str = "other ") -> AuditProgress:
    """Progress of another tree, under the log's true head."""
    tree = TreeRebuild()
    other = make_entries(size, salt=salt)
    for start in range(0, size, 256):
        tree.add([leaf_hash(entry) for entry in other[start : start + 256]])
    return AuditProgress(head(log, SIZE), size, tree.edge(), BEGUN_S, None, ())


@pytest.mark.parametrize("size", [256, HALF, 64 * 256])
async def test_progress_of_another_tree(log: LogSimulator, kept: ProgressFiles, size: int) -> None:
    """Progress that is not of the signed tree is no finding against the log: all is compared."""
    kept.write(log.key, forged(log, size), ())
    report = await resume(log, kept)
    assert (report.entries, report.resumed_at) == (SIZE, None)
    assert any("compared again" in warning for warning in report.warnings)
    kept.write(log.key, forged(log, size, salt=""), ())  # and with the true entries it is taken
    assert (await resume(log, kept)).resumed_at == size


async def test_damaged_file(log: LogSimulator, kept: ProgressFiles) -> None:
    """Whichever byte of the file is damaged, it is refused, and an audit compares everything."""
    await interrupt(log, kept)
    path = kept.path(log.key)
    data = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    whitespace = {at for at, byte in enumerate(data) if byte in b" \n"}
    for at in sorted(set(range(0, len(data), 7)) - whitespace):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(StateFileError):
            kept.read(log.key)
    for damaged in (b"", data[:-3], b"{}", b"\xff", b"[" * 9_999, b" " * 2_000_000 + data):
        path.write_bytes(damaged)
        with pytest.raises(StateFileError):
            kept.read(log.key)
    report = await resume(log, kept)
    assert (report.entries, report.resumed_at) == (SIZE, None)
    assert str(path) in report.warnings[-1]
    assert not path.exists()


def other_key(value: dict[str, object]) -> None:
    """Put in a head that another key signed."""
    value["head"] = LogSimulator(make_entries(SIZE), seed=OTHER_SEED).checkpoint().decode()


CHANGES: dict[str, Callable[[dict[str, object]], object]] = {
    "a head of another key": other_key,
    "another log": lambda value: value.update(vkey="x"),
    "no full tile": lambda value: value.update(size=HALF + 1),
    "another size": lambda value: value.update(size=HALF + 256),
    "size 0": lambda value: value.update(size=0, edge=[]),
    "a size beyond the head": lambda value: value.update(size=2**40),
    "size true": lambda value: value.update(size=True),
    "no edge": lambda value: value.update(edge=[]),
    "edge no list": lambda value: value.update(edge="x"),
    "a level more": lambda value: value.update(edge=[*value["edge"], ""]),  # type: ignore[misc]
    "begun before 1970": lambda value: value.update(begun=-1),
    "kind a number": lambda value: value.update(kind=7),
    "warnings no list": lambda value: value.update(warnings={}),
    "begun in the year 10000": lambda value: value.update(begun=253_402_300_800),
    "version true": lambda value: value.update(version=True),
    "another version": lambda value: value.update(version=2),
    "a member more": lambda value: value.update(more=1),
    "a lone surrogate": lambda value: value.update(head="\ud800"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_malformed_file(
    log: LogSimulator, kept: ProgressFiles, change: Callable[[dict[str, object]], object]
) -> None:
    """A file with a true checksum over contents that no audit writes is refused."""
    kept.write(log.key, forged(log, HALF), ())
    path = kept.path(log.key)

    def write(value: dict[str, object]) -> None:
        text = json.dumps(value, sort_keys=True)
        path.write_text(json.dumps(value | {"sha256": hashlib.sha256(text.encode()).hexdigest()}))

    value = json.loads(path.read_text())
    del value["sha256"]
    write(value)
    assert kept.read(log.key) is not None
    change(value)
    write(value)
    with pytest.raises(StateFileError):
        kept.read(log.key)


async def test_nowhere_to_keep_it(log: LogSimulator, tmp_path: Path) -> None:
    """Where progress cannot be kept or read the audit goes on, and says so."""
    (tmp_path / "file").write_bytes(b"")
    kept = ProgressFiles(tmp_path / "file" / "heads.json")
    report = await resume(log, kept)
    assert report.entries == SIZE
    assert any("cannot be" in warning for warning in report.warnings)
    kept = ProgressFiles(tmp_path / "heads.json")
    os.mkfifo(kept.path(log.key))
    report = await resume(log, kept)
    assert any("regular file" in warning for warning in report.warnings)


@pytest.mark.parametrize("size", [256, 512, 255 * 256, 65_536, 65_792, 131_072, 131_328])
def test_restored_tree(size: int) -> None:
    """A restored tree goes on as the one it was taken from; another size or edge is refused."""
    tree = TreeRebuild()
    for start in range(0, size, 256):
        tree.add([start.to_bytes(32, "big")] * 256)
    again = TreeRebuild.restore(size, tree.edge())
    assert (again.size, again.root(), again.edge()) == (size, tree.root(), tree.edge())
    assert again.add([b"\x01" * 32] * 256) == tree.add([b"\x01" * 32] * 256)
    assert again.root() == tree.root()
    for wrong_size in (0, 1, size, size + 255, size + 512, size * 256, size + 256 + 2**24):
        with pytest.raises(ValueError, match="right edge"):
            TreeRebuild.restore(wrong_size, tree.edge())
