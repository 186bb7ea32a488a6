"""One flipped bit in one file of a data directory: what start-up, fsck and reads make of it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path

import plyvel

from tests.server.doubles import until
from tests.server.hosts import ORIGIN, open_host
from tlog.app import check_log
from tlog.creation import NewLog
from tlog.host import Host
from tlog.ids import EntryId
from tlog.log import Log
from tlog.tokens import Scope
from tlog_proofs import EntryBundle, Tile, TlogError, leaf_hash, right_edge

NAME = "a"
BATCHES = (40, 300, 1, 259)  # published each; the last ones stay in the write-ahead logs
LATE_BATCHES = (25, 7)
ENTRY_BYTES = 150

# The files of each kind, as patterns below the data directory. Left out: LevelDB's LOCK and its
# LOG (a diary that nobody reads), our own locks, and what must be empty: the -wal files of SQLite.
KINDS: dict[str, tuple[str, ...]] = {
    "log tables": (f"logs/{NAME}/log/*.ldb",),
    "log WAL": (f"logs/{NAME}/log/*.log",),
    "log MANIFEST": (f"logs/{NAME}/log/MANIFEST-*",),
    "log CURRENT": (f"logs/{NAME}/log/CURRENT",),
    "index tables": (f"logs/{NAME}/index/*.ldb",),
    "index others": tuple(f"logs/{NAME}/index/{name}" for name in ("*.log", "MAN*", "CURRENT")),
    "bodies": tuple(f"logs/{NAME}/bodies/*/{name}" for name in ("*.log", "MAN*", "CURRENT")),
    "control.db": ("control.db",),
    "checkpoints.db": (f"logs/{NAME}/checkpoints.db",),
    "head": ("heads/" + "[0-9a-f]" * 64,),
    "key": (f"logs/{NAME}/key",),
}


@dataclass(frozen=True)
class Flip:
    """One bit of one file, the path relative to the data directory."""

    file: Path
    offset: int
    bit: int

    def plant(self, data_dir: Path) -> None:
        """Flip it."""
        with (data_dir / self.file).open("r+b") as file:
            file.seek(self.offset)
            (byte,) = file.read(1)
            file.seek(self.offset)
            file.write(bytes([byte ^ 1 << self.bit]))


Answers = dict[str, object]


class Denied(str):
    """The answer of a read that was refused, by the name of its error."""

    __slots__ = ()


async def make_data(data_dir: Path, scratch: Path) -> str:
    """A log as kill -9 leaves it, with tables and write-ahead logs; the text of a token for it."""
    live = scratch / "live"
    async with open_host(live) as host:
        await host.create_log(NewLog(NAME, ORIGIN))
        token = await host.create_token([NAME], [Scope.READ])
        revoked = await host.create_token([NAME], [Scope.READ, Scope.APPEND])
        await _append(host, BATCHES)
    for name in ("log", "index"):
        database = plyvel.DB(str(live / "logs" / NAME / name), bloom_filter_bits=10)
        database.compact_range()
        database.close()
    async with open_host(live) as host:
        await host.create_token([NAME], [Scope.READ])
        row = host.tokens.find(revoked)
        assert row is not None
        await host.revoke_token(row.id)
        await _append(host, LATE_BATCHES)
        shutil.copytree(live, data_dir)
    return token


async def _append(host: Host, batches: Iterable[int]) -> None:
    log = host.log(NAME)
    for count in batches:
        size = log.published.size
        indexes = range(size, size + count)
        await log.append([_entry(index) for index in indexes], [_id(index) for index in indexes])
        assert await log.wait_published(size + count, 20) is not None


def draw_flips(data_dir: Path, kind: str, count: int, seed: int) -> list[Flip]:
    """Flips of used bytes, drawn evenly over the kind's files, no place twice if it can be."""
    places = [
        (path.relative_to(data_dir), offset)
        for pattern in KINDS[kind]
        for path in sorted(data_dir.glob(pattern))
        for offset in _used(path.read_bytes())
    ]
    if not places:
        message = f"no file of kind {kind} holds a byte"
        raise AssertionError(message)
    dice = random.Random(f"{seed} {kind}")
    chosen = dice.sample(places, count) if len(places) >= count else dice.choices(places, k=count)
    return [Flip(file, offset, dice.randrange(8)) for file, offset in chosen]


def _used(data: bytes) -> Iterable[int]:
    """The offsets of a file but for long runs of zeros: pages of SQLite that hold nothing yet."""
    step = 16
    for start in range(0, len(data), step):
        if any(data[max(0, start - step) : start + 2 * step]):
            yield from range(start, min(start + step, len(data)))


async def outcome_of(data_dir: Path, scratch: Path, flip: Flip, token: str, sound: Answers) -> str:
    """Plant a flip in copies of data_dir: in one for fsck, in one that is started and read.

    `refused at start`, `found by fsck`, `harmless`, or `WRONG` with what was answered. Any error
    that is not one of tlog's own kinds is raised.
    """
    checked, started = scratch / "checked", scratch / "started"
    for copy in (checked, started):
        shutil.copytree(data_dir, copy)
        flip.plant(copy)
    found = _is_found(checked)
    refusal, answers = await _answers_after_start(started, token)
    for copy in (checked, started):
        shutil.rmtree(copy)
    wrong = _wrong_answers(answers, sound, refused=refusal is not None)
    if wrong:
        return f"WRONG: {', '.join(wrong)}"
    if refusal is not None:
        return "refused at start"
    if found:
        return "found by fsck"
    return "harmless" if answers == sound else f"WRONG: unnoticed, {_denied(answers, sound)}"


def _is_found(data_dir: Path) -> bool:
    try:
        check_log(data_dir, NAME, lambda _done, _total: None)
    except TlogError:
        return True
    return False


def _wrong_answers(answers: Answers, sound: Answers, *, refused: bool) -> list[str]:
    """Which reads were answered, and otherwise than before the flip.

    A log that refuses to sign goes on serving: an older checkpoint of its own is a right answer.
    """
    notes = [sound[name] for name in sound if name.startswith("checkpoint")]
    return [
        name
        for name, answer in answers.items()
        if not isinstance(answer, Denied)
        and answer != sound[name]
        and not (refused and name == "checkpoint" and answer in notes)
    ]


def _denied(answers: Answers, sound: Answers) -> list[str]:
    return [f"{name}: {answers.get(name)}" for name in sound if answers.get(name) != sound[name]]


async def _answers_after_start(data_dir: Path, token: str) -> tuple[str | None, Answers]:
    """Why nothing is signed, None if all is well; and what is answered all the same."""
    try:
        async with open_host(data_dir) as host:
            log = host.logs.get(NAME)
            if log is None:
                return None, {}
            await until(lambda: log.state != "starting")
            answers = await read_all(host, token)
            reason = log.reason
    except TlogError as error:
        return str(error), {}
    assert "internal error" not in (reason or ""), reason
    return reason, answers


async def read_all(host: Host, token: str) -> Answers:
    """What the fixed set of reads answers; the last one repeats an append by its id."""
    log = host.log(NAME)
    sizes = [1]
    for count in (*BATCHES, *LATE_BATCHES):
        sizes.append(sizes[-1] + count)
    size = sizes[-1]
    answers: Answers = {}

    async def ask(name: str, answer: Awaitable[object]) -> None:
        try:
            answers[name] = await answer
        except TlogError as error:
            answers[name] = Denied(type(error).__name__)

    await ask("checkpoint", _checkpoint(log, size))
    for stored in sizes:
        await ask(f"checkpoint {stored}", log.checkpoint_at(stored))
    for tile in (Tile(0, 0), Tile(0, 1), *right_edge(size)):
        await ask(tile.path, log.read_tile(tile))
    for bundle in (EntryBundle(0), EntryBundle(1), EntryBundle(2, size - 512)):
        await ask(bundle.path, log.read_bundle(bundle))
    for index in (0, 1, 255, 256, 599, size - 1):
        await ask(f"entry {index}", log.read_entry(index))
        await ask(f"inclusion {index}", log.inclusion(index, size))
        await ask(f"find {index}", log.find_leaf(leaf_hash(_entry(index)) if index else bytes(32)))
    for old, new in ((1, size), (300, 601), (601, size)):
        await ask(f"consistency {old} {new}", log.consistency(old, new))
    row = host.tokens.find(token)
    answers["token"] = Denied("unknown") if row is None else (row.id, row.scopes, row.logs)
    answers["tokens"] = frozenset((row.id, row.revoked) for row in host.tokens.rows.values())
    for first in (1, sizes[-2]):
        await ask(f"id of {first}", _append_again(log, first))
    return answers


async def _checkpoint(log: Log, size: int) -> bytes:
    await log.wait_published(size, 20)
    return log.published.note


async def _append_again(log: Log, index: int) -> object:
    """The answer to the entry's own id, sent again."""
    return await log.append([_entry(index)], [_id(index)])


def _entry(index: int) -> bytes:
    return (b"%d " % index * ENTRY_BYTES)[:ENTRY_BYTES]


def _id(index: int) -> EntryId:
    return EntryId("principal", f"id of {index}")
