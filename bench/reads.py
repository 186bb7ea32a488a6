"""Proofs, tiles and bundles of a log of a million entries: warm, cold, beside a bare handler."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.batches import BATCH, start_time
from bench.fill import fill
from bench.generators import ENTRY_BYTES, Gets, Target
from bench.measure import MB, ROUNDS, Bench
from bench.process import Child, anonymous_bytes, disk_bytes, empty_page_cache, read_bytes
from bench.server import LOG_PATH, DataDirectory, start_bare
from bench.singles import MANY
from tlog_proofs import TILE_WIDTH, EntryBundle, Tile

CONNECTIONS = 32
COLD_ROUNDS = 2
STARTS = 5
WARM_REQUESTS = 50_000  # that differ; after them it begins again
LONGEST_S = 60.0  # to ask for everything once


@dataclass(frozen=True, slots=True)
class Kind:
    """What is asked for.

    cold: paths that share no tile of leaf hashes and no bundle, each to be asked once; warm: paths
    at random, to be asked after the cold ones.
    """

    key: str
    words: str
    cold: Sequence[str]
    warm: Sequence[str]


def kinds(entries: int, seed: int = 1) -> tuple[Kind, ...]:
    """Proofs, full tiles and full bundles of a log of so many entries, at least TILE_WIDTH."""
    chance = random.Random(seed)  # noqa: S311 - the same order each time
    tiles = list(range(entries // TILE_WIDTH))
    chance.shuffle(tiles)

    def proof(index: int) -> str:
        return f"{LOG_PATH}/proof/inclusion/{index}/{entries}"

    def tile(index: int) -> str:
        return f"{LOG_PATH}/{Tile(0, index, TILE_WIDTH).path}"

    def bundle(index: int) -> str:
        return f"{LOG_PATH}/{EntryBundle(index, TILE_WIDTH).path}"

    one_each = [proof(index * TILE_WIDTH + chance.randrange(TILE_WIDTH)) for index in tiles]
    anywhere = [proof(chance.randrange(entries)) for _ in range(WARM_REQUESTS)]
    return (
        Kind("proofs", "inclusion proofs", one_each, anywhere),
        Kind(
            "tiles", "full tiles", [tile(index) for index in tiles], _shuffled(tiles, tile, chance)
        ),
        Kind(
            "bundles",
            "full bundles",
            [bundle(index) for index in tiles],
            _shuffled(tiles, bundle, chance),
        ),
    )


def _shuffled(
    tiles: Sequence[int], path: Callable[[int], str], chance: random.Random
) -> Sequence[str]:
    return [path(index) for index in chance.sample(tiles, len(tiles))]


def reads(bench: Bench, entries: int, progress: Callable[[int], None]) -> None:
    """Fill a log, start it, ask it cold, ask it warm; then what memory it has after appends too."""
    data = DataDirectory.create(bench.directory / "reads")
    millions = f"{entries / 1e6:g} M entries"
    bench.figure(
        "reads/filled",
        f"filling {millions} of {ENTRY_BYTES} bytes directly, s",
        fill(data, entries, progress, random_bytes=ENTRY_BYTES),
    )
    os.sync()  # its pages are not written beside what is measured
    bench.figure("reads/start", f"start at {millions}, s", start_time(data, STARTS))
    bench.figure(
        "reads/disk",
        f"bytes on disk per entry at {millions}",
        disk_bytes(data.path) / entries,
    )
    everything = kinds(entries)
    for emptied in (False, True):  # what was emptied comes back only in part
        for kind in everything:
            _cold(bench, data, kind, emptied=emptied)
    with data.serve() as server, start_bare(bench.directory) as bare:
        bench.figure("reads/rss-first", f"RssAnon at {millions}, MB", _anonymous_mb(server))
        for kind in everything:
            _warm(bench, data, kind, server, bare)
        _append_to(bench, data, server)
        bench.figure(
            "reads/rss",
            f"RssAnon at {millions} after all reads and a load of appends, MB",
            _anonymous_mb(server),
        )


def _cold(bench: Bench, data: DataDirectory, kind: Kind, *, emptied: bool) -> None:
    """Each path once, of a server that has just been started and was asked nothing."""
    state, key = ("page cache emptied", "colder") if emptied else ("page cache kept", "cold")
    row = bench.row(f"{kind.key}/{key}", f"{kind.words}, cold, {state}")
    load = Gets(_write(bench, f"{kind.key}-cold", kind.cold), CONNECTIONS, once=True)
    from_disk = 0
    for _ in range(COLD_ROUNDS):
        with data.serve() as server:
            if emptied:
                empty_page_cache(data.path)  # not before: opening tables reads ahead into others
            before = read_bytes(server.pid)
            bench.gets(row, server, data.token, load)
            from_disk += read_bytes(server.pid) - before
    bench.figure(
        f"{kind.key}/{key}/read",
        f"{row.name}: MB read from the disk in a round",
        from_disk / COLD_ROUNDS / MB,
    )


def _warm(bench: Bench, data: DataDirectory, kind: Kind, server: Child, bare: Child) -> None:
    """After everything was asked for once; and as many bytes from the bare handler, in turns."""
    once = Gets(_write(bench, f"{kind.key}-cold", kind.cold), CONNECTIONS, once=True)
    first = bench.generator.gets(Target(server.address, "", data.token), once, LONGEST_S)
    count = round(first.body_bytes)
    load = Gets(_write(bench, f"{kind.key}-warm", kind.warm), CONNECTIONS)
    bare_load = Gets(_write(bench, f"{kind.key}-bare", [f"/bytes/{count}"]), CONNECTIONS)
    ours = bench.row(f"{kind.key}/warm", f"{kind.words}, warm")
    theirs = bench.row(f"{kind.key}/bare", f"  bare aiohttp GET handler, {count:,} bytes")
    for _ in range(ROUNDS):
        bench.gets(ours, server, data.token, load)
        bench.gets(theirs, bare, "", bare_load)


def _append_to(bench: Bench, data: DataDirectory, server: Child) -> None:
    """Singles, then batches, of which each leaves its memory behind."""
    row = bench.row("reads/append", f"append, {MANY} connections, after the reads")
    bench.singles(row, server, Target(server.address, f"{LOG_PATH}/add", data.token), MANY)
    row = bench.row("reads/batch", f"batches of {BATCH:,}, after the reads")
    bench.batches(row, server, data.token, BATCH)


def _anonymous_mb(server: Child) -> float:
    return anonymous_bytes(server.pid) / MB


def _write(bench: Bench, name: str, paths: Sequence[str]) -> Path:
    file = bench.directory / f"{name}.paths"
    file.write_text("\n".join(paths) + "\n")
    return file
