"""Reading through verified tiles: honest logs of many sizes, and every kind of lie."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.simulator import OTHER_SEED, LogSimulator, leaf, make_entries
from tlog_clients import (
    BeyondSizeError,
    ConsistencyNotProvedError,
    EntryMismatchError,
    FetchError,
    ForkDetectedError,
    HeadFile,
    HttpStatusError,
    LogReader,
    MemoryHeads,
    Step,
    TooLargeError,
    TrustedHeadChangedError,
)
from tlog_proofs import (
    Ed25519Signer,
    MalformedError,
    OriginMismatchError,
    RootMismatchError,
    SignedCheckpoint,
    TlogError,
    UnknownKeyError,
    VerificationError,
    open_checkpoint,
    sign_note,
    verify_tlog_proof,
)

Use = Callable[[LogReader], Awaitable[object]]
USES: dict[str, Use] = {
    "head": LogReader.head,
    "get": lambda reader: reader.get(1),
    "prove": lambda reader: reader.prove(1),
}
SIZES = (1, 2, 3, 7, 8, 255, 256, 257, 513, 700)


def indexes(size: int) -> list[int]:
    """The interesting indexes of a size: the ends, and around each tile's edge."""
    wanted = {0, 1, size // 2, 254, 255, 256, 257, 511, 512, size - 2, size - 1}
    return sorted(index for index in wanted if 0 <= index < size)


@pytest.mark.parametrize("size", SIZES)
async def test_get_and_prove(size: int) -> None:
    """Every entry is read and proved, the proof being the path of RFC 6962."""
    log = LogSimulator(make_entries(size))
    reader = LogReader(log, log.key)
    for index in indexes(size):
        assert await reader.get(index) == log.entries[index]
        proof = await reader.prove(index)
        assert list(proof.proof) == log.tree.path(index, 0, size)
        assert proof.checkpoint == log.checkpoint()
        verify_tlog_proof(proof, leaf(log.entries[index]), log.key)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
async def test_other_projects_logs(size: int) -> None:
    """A log without entries/ and old partial tiles is read through bundles and full tiles."""
    log = LogSimulator(make_entries(1024), size=size, has_entries_route=False)
    log.drops_partials = True
    reader = LogReader(log, log.key)
    for index in indexes(size):
        assert await reader.get(index) == log.entries[index]
    assert f"tile/entries/{size // 256:03}" in log.requests or size % 256 == 0


async def test_partials_that_an_object_store_hides() -> None:
    """403 for a partial tile or bundle is taken for absence: the full one is cut, in its stead."""
    log = LogSimulator(make_entries(600), size=300, has_entries_route=False)

    def hide(path: str, data: bytes | None) -> bytes | None:
        if ".p/" in path and path != "tile/1/000.p/1":
            raise HttpStatusError(path, 403)
        return data

    log.answer = hide
    assert await LogReader(log, log.key).get(290) == log.entries[290]
    assert {"tile/0/001", "tile/entries/001"} < set(log.requests)


async def test_beyond_the_size() -> None:
    """An index at or beyond the verified size is an error of its own, and no tile is asked for."""
    log = LogSimulator(make_entries(10), size=5)
    reader = LogReader(log, log.key)
    for index in (5, 9, 10, 2**62):
        with pytest.raises(BeyondSizeError):
            await reader.get(index)
    assert set(log.requests) == {"checkpoint"}


async def test_growth_is_followed(tmp_path: Path) -> None:
    """The trusted head follows the log through every size, over restarts of the client."""
    log = LogSimulator(make_entries(300), size=1)
    steps = []
    for size in (1, 1, 2, 3, 100, 255, 256, 256, 257, 300):
        log.size = size
        reader = LogReader(log, log.key, HeadFile(tmp_path / "heads.json"))
        steps.append((await reader.check_head()).step)
        assert (await reader.head()).size == size
    first, same, forward = Step.FIRST, Step.SAME, Step.FORWARD
    assert steps == [first, same, *[forward] * 5, same, *[forward] * 2]


async def test_stale_answer_is_no_alarm(tmp_path: Path) -> None:
    """An older head that lies on the trusted tree is noticed and does not replace the newer one."""
    log = LogSimulator(make_entries(300))
    heads = HeadFile(tmp_path / "heads.json")
    newest = await LogReader(log, log.key, heads).head()
    for stale in (1, 255, 256, 299):
        log.answer = lambda path, data, stale=stale: (
            log.checkpoint(stale) if path == "checkpoint" else data
        )
        decision = await LogReader(log, log.key, heads).check_head()
        assert (decision.step, decision.signed) == (Step.BACKWARD, newest)
        assert heads.read(log.key) == newest
        assert await LogReader(log, log.key, heads).get(299) == log.entries[299]


@pytest.mark.parametrize(("trusted", "served"), [(5, 5), (5, 9), (9, 5), (8, 300), (256, 257)])
@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
async def test_fork(tmp_path: Path, trusted: int, served: int, use: Use) -> None:
    """A log that shows another history than before is caught at every use, with both heads."""
    honest = LogSimulator(make_entries(300), size=trusted)
    heads = HeadFile(tmp_path / "heads.json")
    before = await LogReader(honest, honest.key, heads).head()
    forked_entries = make_entries(300)
    forked_entries[2] = b"rewritten"
    # A larger trusted head can only be reconciled by tiles of that tree: they are still served.
    fork = LogSimulator(forked_entries, size=served)
    if served < trusted:
        fork.answer = lambda path, data: data if path == "checkpoint" else honest.resource(path)
    reader = LogReader(fork, fork.key, heads)
    with pytest.raises(ForkDetectedError) as caught:
        await use(reader)
    assert caught.value.old_note == before.note
    assert caught.value.new_note == fork.checkpoint()
    assert heads.read(honest.key) == before


async def test_rollback() -> None:
    """A log that lost its newest entries cannot show the trusted tree: consistency not proved."""
    log = LogSimulator(make_entries(300))
    heads = MemoryHeads()
    await LogReader(log, log.key, heads).head()
    log.entries = log.entries[:200]
    with pytest.raises(ConsistencyNotProvedError, match="does not serve tile/") as caught:
        await LogReader(log, log.key, heads).head()
    assert not isinstance(caught.value, ForkDetectedError)


async def test_wrong_tiles_prove_no_fork() -> None:
    """Tiles that are not of the newly signed tree leave consistency open; nothing is trusted."""
    log = LogSimulator(make_entries(300), size=100)
    heads = MemoryHeads()
    before = await LogReader(log, log.key, heads).head()
    log.size = 300
    log.answer = lambda path, data: flip(data, 7) if path == "tile/0/000" else data
    with pytest.raises(ConsistencyNotProvedError) as caught:
        await LogReader(log, log.key, heads).head()
    assert not isinstance(caught.value, ForkDetectedError)
    assert heads.read(log.key) == before


async def test_unreachable_tiles_are_no_alarm() -> None:
    """When the tiles cannot be had at all that is said, and nothing is held against the log."""
    log = LogSimulator(make_entries(300), size=100)
    heads = MemoryHeads()
    await LogReader(log, log.key, heads).head()
    log.size = 300

    def broken(path: str, data: bytes | None) -> bytes | None:
        if path.startswith("tile/"):
            raise HttpStatusError(path, 503)
        return data

    log.answer = broken
    with pytest.raises(HttpStatusError):
        await LogReader(log, log.key, heads).head()


def flip(data: bytes | None, at: int) -> bytes:
    """The data with one bit changed."""
    assert data is not None
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


async def test_every_wrong_byte_of_every_tile() -> None:
    """One wrong bit anywhere in any tile that is used is refused, before an entry is returned."""
    log = LogSimulator(make_entries(300))
    await LogReader(log, log.key).get(299)
    used = {path: log.resource(path) or b"" for path in log.requests if path.startswith("tile/")}
    assert len(used) >= 2
    for wrong, data in used.items():
        for at in range(0, len(data), 97):
            log.answer = lambda path, data, wrong=wrong, at=at: (
                flip(data, at) if path == wrong else data
            )
            with pytest.raises(RootMismatchError):
                await LogReader(log, log.key).get(299)


def instead(where: str, lie: Callable[[LogSimulator], bytes | None]) -> Callable[..., None]:
    """Plant an answer at one path."""

    def plant(log: LogSimulator) -> None:
        wrong = lie(log)
        log.answer = lambda path, data: wrong if path == where else data

    return plant


def with_entries(change: Callable[[list[bytes]], None]) -> Callable[..., None]:
    """Sign the honest tree, but serve everything else from changed entries."""

    def plant(log: LogSimulator) -> None:
        changed = replace(log, entries=list(log.entries), requests=[])
        change(changed.entries)
        log.answer = lambda path, data: data if path == "checkpoint" else changed.resource(path)

    return plant


def swap(entries: list[bytes]) -> None:
    """Exchange two entries."""
    entries[100], entries[101] = entries[101], entries[100]


def drop(entries: list[bytes]) -> None:
    """Leave one entry out."""
    del entries[3]


def signed_for_another_origin(log: LogSimulator) -> bytes:
    """The published head, for another origin, signed by the same key."""
    text = b"log.example/other\n" + log.checkpoint().split(b"\n\n")[0].split(b"\n", 1)[1] + b"\n"
    return sign_note(text, [Ed25519Signer(log.origin, log.seed)])


OTHER_KEY = LogSimulator(make_entries(200), seed=OTHER_SEED)
OTHER_ORIGIN = LogSimulator(make_entries(200), origin="log.example/other")
ENTRY_LIES: dict[str, tuple[Callable[[LogSimulator], None], type[TlogError]]] = {
    "edited entry": (instead("entries/100", lambda _: b"edited"), EntryMismatchError),
    "entry of another index": (
        instead("entries/100", lambda log: log.entries[101]),
        EntryMismatchError,
    ),
    "empty entry": (instead("entries/100", lambda _: b""), EntryMismatchError),
    "entry over the bound": (instead("entries/100", lambda _: b"x" * 65_536), TooLargeError),
}
LIES: dict[str, tuple[Callable[[LogSimulator], None], type[TlogError]]] = {
    "entry edited in tree and bundle": (
        with_entries(lambda entries: entries.__setitem__(100, b"edited")),
        RootMismatchError,
    ),
    "entry dropped": (with_entries(drop), HttpStatusError),
    "entry dropped, another added": (
        with_entries(lambda entries: entries.append(entries.pop(3))),
        RootMismatchError,
    ),
    "entries reordered": (with_entries(swap), RootMismatchError),
    "head signed by another key": (
        instead("checkpoint", lambda _: OTHER_KEY.checkpoint()),
        UnknownKeyError,
    ),
    "head of another log": (
        instead("checkpoint", lambda _: OTHER_ORIGIN.checkpoint()),
        UnknownKeyError,
    ),
    "head of another origin by the same key": (
        instead("checkpoint", signed_for_another_origin),
        OriginMismatchError,
    ),
    "head with another size": (
        instead("checkpoint", lambda log: log.checkpoint().replace(b"\n200\n", b"\n199\n")),
        VerificationError,
    ),
    "head with a root of other entries": (
        instead("checkpoint", lambda log: log.checkpoint(root=bytes(32))),
        RootMismatchError,
    ),
    "head that is garbage": (instead("checkpoint", lambda _: b"\xff\x00"), MalformedError),
    "head that is empty": (instead("checkpoint", lambda _: b""), MalformedError),
    "head over the bound": (instead("checkpoint", lambda _: b"x" * (1 << 20 | 1)), TooLargeError),
    "tile that is garbage": (instead("tile/0/000.p/200", lambda _: b"garbage"), MalformedError),
    "tile that is empty": (instead("tile/0/000.p/200", lambda _: b""), MalformedError),
    "tile over the bound": (
        instead("tile/0/000.p/200", lambda _: b"x" * 6401),
        TooLargeError,
    ),
    "tile that is absent": (instead("tile/0/000.p/200", lambda _: None), HttpStatusError),
}


@pytest.mark.parametrize(("plant", "error"), LIES.values(), ids=LIES.keys())
async def test_lies(plant: Callable[[LogSimulator], None], error: type[TlogError]) -> None:
    """Every lie about the tree is refused with the error of its kind, whatever is asked."""
    log = LogSimulator(make_entries(200))
    plant(log)
    for ask in (LogReader.get, LogReader.prove):
        with pytest.raises(error):
            await ask(LogReader(log, log.key), 100)


@pytest.mark.parametrize(("plant", "error"), ENTRY_LIES.values(), ids=ENTRY_LIES.keys())
async def test_lies_about_an_entry(
    plant: Callable[[LogSimulator], None], error: type[TlogError]
) -> None:
    """Bytes other than those in the tree are refused; a proof, which needs none, is made."""
    log = LogSimulator(make_entries(200))
    plant(log)
    with pytest.raises(error):
        await LogReader(log, log.key).get(100)
    assert (await LogReader(log, log.key).prove(100)).index == 100


async def test_a_stalling_log_can_be_given_up() -> None:
    """A caller's own time-out ends a wait for a log that never answers, and all fetches with it."""
    started = asyncio.Event()

    class Stalling(LogSimulator):
        async def fetch(self, path: str, *, max_bytes: int) -> bytes:
            if path.startswith("tile/"):
                started.set()
                await asyncio.Event().wait()
            return await super().fetch(path, max_bytes=max_bytes)

    log = Stalling(make_entries(300))
    reading = asyncio.create_task(LogReader(log, log.key).get(5))
    await started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_concurrent_clients_of_one_state(tmp_path: Path) -> None:
    """Clients that move one trusted head at the same time end at the largest, never at a fork."""
    log = LogSimulator(make_entries(300))
    heads = HeadFile(tmp_path / "heads.json")
    served = [open_checkpoint(log.checkpoint(size), log.key) for size in range(250, 290)]
    readers = [LogReader(log, log.key, heads) for _ in served]
    await asyncio.gather(
        *(reader.accept_head(head) for reader, head in zip(readers, served, strict=True))
    )
    trusted = heads.read(log.key)
    assert trusted is not None
    assert trusted.size == 289


async def test_a_head_that_keeps_changing_is_given_up() -> None:
    """A client that always loses the race against others ends, and says so."""

    class Contended(MemoryHeads):
        def replace(
            self, log_key: object, expected: SignedCheckpoint | None, new: SignedCheckpoint
        ) -> bool:
            return False

    log = LogSimulator(make_entries(3))
    with pytest.raises(TrustedHeadChangedError):
        await LogReader(log, log.key, Contended()).head()


async def test_read_refused() -> None:
    """A token that may not read is told so, as a FetchError with its status."""
    log = LogSimulator(make_entries(3), may_read=False)
    with pytest.raises(HttpStatusError, match="Forbidden") as caught:
        await LogReader(log, log.key).head()
    assert isinstance(caught.value, FetchError)
    assert caught.value.status == 403
