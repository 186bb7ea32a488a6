"""Opening a crash image by the real start-up path, and saying whether it came out right.

A power cut is no damage: whatever the cut, the log that was there must go on by itself. So of an
image of the ordered model exactly two outcomes are right:

whole      The log opens, is ready, takes an entry and publishes it; what it then serves holds
           every acknowledged entry at its index, every head signed before the cut (seen by
           anybody or not) is of that tree, no head that was served is larger than the first one
           served now, ids and leaf hashes lead to their entries, tokens and the bodies of all
           entries are there.
unborn     The log does not exist yet and nobody was told that it did; making it again under the
           same name and origin works, whatever the first attempt left.

In the reordered model a third one is right:

read-only  A commit that nobody was answered spans several pages of a WAL, and a later page of it
           survived an earlier one. LevelDB tells this from bit rot no more than we do: the log
           refuses to start, and an operator decides. Right only if such a hole lies in `log/` or
           `bodies/`, every acknowledged entry can still be read from the rows, and the tree that
           they make is the one that every signed head is of.

Everything else is a Broken: a lost entry, a fork, a head gone back, a refusal of any other kind.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import plyvel

from tests.faults.invariants import check_invariants
from tests.faults.power.images import Image
from tests.faults.power.workloads import ORIGIN, PRINCIPAL, body_of
from tests.server.doubles import START_S, FakeClock, until
from tlog.app import LevelDBStores
from tlog.config import Config
from tlog.creation import NewLog, init_directory
from tlog.host import Host
from tlog.ids import EntryId
from tlog.log import Log
from tlog.store.base import Store
from tlog.store.keys import LEAF, split_log_key
from tlog.tokens import hash_token
from tlog_proofs import TlogError, leaf_hash

WHOLE = "whole"
UNBORN = "unborn"
READ_ONLY = "read-only"


class Broken(AssertionError):  # noqa: N818 - it is the outcome's name
    """An image that came out wrong, and how."""


@dataclass
class Told:
    """What clients were told before the cut."""

    acked: dict[int, bytes] = field(default_factory=dict)
    heads: list[bytes] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)
    vkey: str = ""
    clock: int = START_S

    @classmethod
    def of(cls, image: Image) -> Told:
        """Sort out what the image was told."""
        told = cls()
        for message in image.told:
            match message:
                case {"acks": [int(first), list(texts)]}:
                    entries = map(base64.b64decode, texts)
                    told.acked.update(enumerate(entries, first))
                case {"head": str(note)}:
                    told.heads.append(note.encode())
                case {"vkey": str(vkey)}:
                    told.vkey = vkey
                case {"id": [str(text), int(index)]}:
                    told.ids[text] = index
                case {"clock": int(clock)}:
                    told.clock = clock
                case {"token": str(text)}:
                    told.tokens.append(text)
                case _:
                    raise TypeError(message)
        return told


async def outcome_of(image: Image, machine: Path) -> str:
    """Open the image at the machine's path and name its outcome; Broken if it is wrong."""
    told = Told.of(image)
    try:
        return await _outcome(image, told, machine / "data")
    except (AssertionError, TlogError, OSError, KeyError) as error:
        raise Broken(f"{image.label}: {type(error).__name__}: {error}") from error


async def _outcome(image: Image, told: Told, data_dir: Path) -> str:
    if not (data_dir / "control.db").exists():
        assert not told.vkey, "the data directory is lost"
        init_directory(data_dir)
    clock = FakeClock(told.clock)
    config = Config(data_dir=data_dir, disk_reserve_bytes=0, publish_interval_s=0.001)
    host = Host.open(config, LevelDBStores(), clock)
    try:
        await host.start()
        outcome = WHOLE
        if "a" not in host.logs:
            assert not told.vkey, "a log that was made is lost"
            await host.create_log(NewLog("a", ORIGIN))
            # The first attempt's key is gone, and nobody has seen a head of it.
            image.signed.clear()
            outcome = UNBORN
        known = {row.token_hash for row in host.control.tokens()}
        assert {hash_token(text) for text in told.tokens} <= known, "a token is lost"
        log = host.log("a")
        if log.reason is None:
            await _check_ready(image, told, log)
            return outcome
        reason = log.reason
        vkey = log.row.vkey
    finally:
        await host.stop()
        host.release()
    torn = any("/log/" in path or "/bodies/" in path for path in image.holes)
    assert torn, f"refused: {reason}"
    _check_rows(image, told, vkey, data_dir / "logs" / "a" / "log")
    return READ_ONLY


async def _check_ready(image: Image, told: Told, log: Log) -> None:
    """The log goes on, and everything that was promised holds."""
    first = log.published.note
    await until(lambda: log.state in ("ready", "read-only"))
    entry = b"after the cut"
    appended = await log.append([entry])
    index = appended.indexes[0]
    assert index not in told.acked, f"acknowledged entry {index} is lost: its index was given again"
    assert await log.wait_published(appended.size, 20) is not None, log.reason
    size = log.published.size
    store = log._opened.store
    assert store is not None
    entries = await asyncio.to_thread(store.read_leaves, 0, size)
    served = [*told.heads, first, log.published.note]
    check_invariants(log.row.vkey, entries, {**told.acked, index: entry}, served)
    if image.signed:
        signed = sorted(image.signed, key=_size)
        check_invariants(log.row.vkey, entries, {}, signed)
    for sought in entries[:: max(1, size // 200)]:
        found = await asyncio.to_thread(store.find_leaf, leaf_hash(sought), size)
        assert found is not None, "an entry is missing in the index"
        assert entries[found] == sought
    if told.ids:
        ids = [EntryId(PRINCIPAL, text) for text in told.ids]
        again = await log.append([text.encode() for text in told.ids], ids)
        assert list(again.indexes) == list(told.ids.values()), "an id was given another index"
    _check_bodies(entries, store)


def _check_bodies(entries: Sequence[bytes], store: Store) -> None:
    """Every committed entry of the bodies' workload has its body."""
    for index, entry in enumerate(entries):
        if entry.startswith(b'{"index"'):
            body = store.read_body(index, json.loads(entry)["t"])
            assert body == body_of(entry), f"the body of {index} is lost"


def _check_rows(image: Image, told: Told, vkey: str, database: Path) -> None:
    """What a refused log holds is what was acknowledged and signed."""
    entries: list[bytes] = []
    rows = plyvel.DB(str(database), paranoid_checks=False)
    try:
        for key, value in rows.iterator():
            index, row_type = split_log_key(key)
            if row_type == LEAF and index == len(entries):
                entries.append(value)
    finally:
        rows.close()
    heads = [*told.heads, *sorted(image.signed, key=_size)]
    check_invariants(vkey, entries, told.acked, sorted(heads, key=_size))


def _size(note: bytes) -> int:
    return int(note.split(b"\n")[1])
