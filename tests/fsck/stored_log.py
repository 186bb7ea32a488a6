"""A closed data directory with one log, made by the server's own parts, for planting faults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import plyvel
import pytest

from tests.server.doubles import START_S, FakeClock
from tlog.app import LevelDBStores, check_log
from tlog.checkpoints import CheckpointStore
from tlog.control import ControlDatabase
from tlog.creation import LogMaker, NewLog, init_directory
from tlog.fsck.damage import DamageError, Report
from tlog.heads import FileHeadStore
from tlog.ids import WeekKey, bytes_mac, new_key
from tlog.publisher import HeadWriter
from tlog.signer import read_key
from tlog.store.base import Batch
from tlog.store.commit_record import CommitRecord, IdRow
from tlog.store.leveldb import LevelDBStore
from tlog.tokens import Scope, TokenRow, hash_token, make_token
from tlog.tree import load_right_edge
from tlog_proofs import KIND_OPAQUE, leaf_hash

NAME = "a"
ORIGIN = "log.example/fsck"
WEEK_S = 604_800
NEXT_MONTH = START_S + 31 * 24 * 3600


def entries(start: int, end: int) -> list[bytes]:
    """Entries that tell their own index."""
    return [b"entry %d" % index for index in range(start, end)]


def check(data_dir: Path) -> Report:
    """`tlog fsck` of the log."""
    return check_log(data_dir, NAME, lambda _done, _total: None)


def damage_of(data_dir: Path) -> DamageError:
    """The damage that fsck names, in one sentence."""
    with pytest.raises(DamageError) as caught:
        check(data_dir)
    assert "\n" not in str(caught.value)
    return caught.value


def make_log(data_dir: Path, kind: str = KIND_OPAQUE) -> None:
    """A directory with a log of a genesis, and one token."""
    init_directory(data_dir)
    control = ControlDatabase(data_dir / "control.db")
    heads = FileHeadStore(control.heads)
    clock = FakeClock()
    LogMaker(data_dir, control, heads, LevelDBStores(), clock).create(NewLog(NAME, ORIGIN, kind))
    token_id, text = make_token()
    control.put_token(
        TokenRow(
            id=token_id,
            token_hash=hash_token(text),
            scopes=frozenset({Scope.READ}),
            logs=frozenset({NAME}),
            created=START_S,
            expires=START_S + WEEK_S,
        )
    )
    control.close()


def append(
    data_dir: Path,
    *batches: Sequence[bytes],
    t: int = START_S,
    bodies: bool = False,
    publish: bool = True,
) -> None:
    """Commit batches at t, the first entry of each with an id; publish the last one."""
    directory = data_dir / "logs" / NAME
    store = LevelDBStore(directory)
    edge = load_right_edge(store, store.newest_commit().size)
    for leaves in batches:
        hashes = [leaf_hash(leaf) for leaf in leaves]
        after, tiles = edge.extend(hashes)
        key = _key_of(data_dir, t // WEEK_S, edge.size)
        ids = (IdRow(edge.size, hashes[0][:16], bytes_mac(key.key, leaves[0])),)
        record = CommitRecord(edge.size, after.size, after.root, t, t // WEEK_S, ids)
        batch = Batch(record, leaves, hashes, tiles, list(leaves) if bodies else ())
        store.commit(batch)
        store.index(batch)
        edge = after
    if publish:
        _publish(data_dir, store)
    store.close()


def _key_of(data_dir: Path, week: int, size: int) -> WeekKey:
    """The key of a week, made if there is none."""
    control = ControlDatabase(data_dir / "control.db")
    try:
        key = next((key for key in control.id_keys(NAME) if key.week == week), None)
        if key is None:
            key = new_key(week, size)
            control.add_id_key(NAME, key)
        return key
    finally:
        control.close()


def _publish(data_dir: Path, store: LevelDBStore) -> None:
    directory = data_dir / "logs" / NAME
    heads = FileHeadStore(data_dir / "heads")
    checkpoints = CheckpointStore(directory / "checkpoints.db")
    published = checkpoints.newest(1 << 62)
    assert published is not None
    HeadWriter(
        store=store,
        heads=heads,
        checkpoints=checkpoints,
        signer=read_key(directory / "key"),
        clock=FakeClock(),
        edge=load_right_edge(store, published.size),
        head=heads.fetch(ORIGIN),
    ).publish(store.newest_commit())
    checkpoints.close()


@contextmanager
def database(data_dir: Path, name: str) -> Iterator[plyvel.DB]:
    """One of the log's LevelDB databases, open for planting a fault."""
    opened = plyvel.DB(str(data_dir / "logs" / NAME / name), bloom_filter_bits=10)
    try:
        yield opened
    finally:
        opened.close()
