"""The parts of a log that takes entries: made at once, from what start-up opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from tlog.budget import QueueBudget
from tlog.clock import Clock, LogTime
from tlog.config import Config
from tlog.disk import DiskWatch
from tlog.heads import HeadStore
from tlog.idempotency import Idempotency
from tlog.ids import IdKeys, WeekKey
from tlog.measures import LogMeasures
from tlog.publisher import HeadWriter, Publisher
from tlog.sequencer import Sequencer
from tlog.startup import OpenedLog
from tlog.tile_cache import TileCache


@dataclass(frozen=True, slots=True)
class SharedParts:
    """What all logs of a host share."""

    config: Config
    clock: Clock
    heads: HeadStore
    budget: QueueBudget
    cache: TileCache
    disk: DiskWatch
    readers: Executor
    save_id_key: Callable[[str, WeekKey], Awaitable[None]]  # log name, key
    drop_id_keys: Callable[[str, int], Awaitable[None]]  # log name, before which week


@dataclass(frozen=True, slots=True)
class LogParts:
    """What writes a log and signs it; all of them are owned by the event loop but the writer."""

    writer: HeadWriter
    publisher: Publisher
    sequencer: Sequencer
    idempotency: Idempotency


def make_parts(
    name: str,
    opened: OpenedLog,
    id_keys: Sequence[WeekKey],
    shared: SharedParts,
    threads: Executor,
    measures: LogMeasures,
    on_fatal: Callable[[str], None],
) -> LogParts:
    """Put together the parts of the log `name`, which start-up did not refuse.

    Args:
        threads: three, for commits, the index and publications.
        on_fatal: called with the reason when nothing may be appended or signed any more.
    """
    if (
        opened.store is None
        or opened.checkpoints is None
        or opened.newest is None
        or opened.edge is None
        or opened.head_edge is None
        or opened.signer is None
        or opened.published is None
    ):
        message = "start-up gave no reason to refuse, yet a part is missing"
        raise AssertionError(message)
    writer = HeadWriter(
        store=opened.store,
        heads=shared.heads,
        checkpoints=opened.checkpoints,
        signer=opened.signer,
        clock=shared.clock,
        edge=opened.head_edge,
        head=opened.head,
        measures=measures,
    )
    publisher = Publisher(
        writer=writer,
        published=opened.published,
        newest=opened.newest,
        interval_s=shared.config.publish_interval_s,
        executor=threads,
        on_fatal=on_fatal,
    )
    log_time = LogTime(
        shared.clock,
        opened.newest.t,
        shared.config.clock_wait_s,
        shared.config.clock_jump_s,
    )
    keys = IdKeys(
        tuple(id_keys),
        save=partial(shared.save_id_key, name),
        drop=partial(shared.drop_id_keys, name),
    )
    sequencer = Sequencer(
        store=opened.store,
        edge=opened.edge,
        log_time=log_time,
        budget=shared.budget,
        config=shared.config,
        id_keys=keys,
        writer=threads,
        on_commit=publisher.committed,
        on_fatal=on_fatal,
        measures=measures,
    )
    idempotency = Idempotency(
        store=opened.store,
        sequencer=sequencer,
        id_keys=keys,
        budget=shared.budget,
        readers=shared.readers,
        now_s=lambda: max(shared.clock.wall_ms() // 1000, log_time.newest_t),
    )
    return LogParts(writer, publisher, sequencer, idempotency)
