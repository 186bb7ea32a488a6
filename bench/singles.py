"""Single appends: ours in both process modes, bare handlers, Tessera, in turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.generators import Target
from bench.measure import ROUNDS, Bench
from bench.process import Child
from bench.report import Row
from bench.server import LOG_PATH, DataDirectory, start_bare
from bench.tessera import ADD_PATH, AS_SHIPPED, BEST, Settings, build_tessera, start_tessera

LONE, FEW, MANY, MOST = 1, 32, 256, 512


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server that takes entries, and what its rows are called."""

    key: str
    words: str
    server: Child
    target: Target

    @classmethod
    def of(cls, key: str, words: str, server: Child, path: str = ADD_PATH) -> Contestant:
        """One that wants no token."""
        return cls(key, words, server, Target(server.address, path))

    @classmethod
    def ours(cls, key: str, words: str, server: Child, data: DataDirectory) -> Contestant:
        """Our server."""
        target = Target(server.address, f"{LOG_PATH}/add", data.token)
        return cls(key, words, server, target)


def single_appends(bench: Bench) -> None:
    """One entry a request over 1, 32, 256 and 512 connections."""
    reason = build_tessera()
    if reason:
        bench.report.notes.append(f"Tessera ({reason})")
    data = DataDirectory.create(bench.directory / "default")
    shared = DataDirectory.create(bench.directory / "workers")
    with ExitStack() as stack:
        default = Contestant.ours("append", "append", stack.enter_context(data.serve()), data)
        workers = Contestant.ours(
            "workers",
            "append, --workers 2",
            stack.enter_context(shared.serve(workers=2)),
            shared,
        )
        bare = Contestant.of(
            "bare", "  bare aiohttp POST handler", stack.enter_context(start_bare(bench.directory))
        )
        low_level = Contestant.of(
            "low-level",
            "  bare aiohttp web.Server",
            stack.enter_context(start_bare(bench.directory, low_level=True)),
        )
        peers = not reason
        _turns(bench, LONE, [default], data, raw=True, peers=peers)
        _turns(bench, FEW, [default, workers, bare], data, peers=peers)
        _turns(bench, MANY, [default, workers, bare, low_level], data, peers=peers)
        _turns(bench, MOST, [default, workers], data, peers=peers)


def _turns(
    bench: Bench,
    connections: int,
    contestants: Sequence[Contestant],
    data: DataDirectory,
    *,
    raw: bool = False,
    peers: bool,
) -> None:
    """Rounds of all contestants, the first of them ours on `data`; then what that one wrote."""
    first = contestants[0]
    with ExitStack() as stack:
        everybody = [*contestants, *(_peers(bench, connections, stack) if peers else ())]
        rows = [_row(bench, one, connections) for one in everybody]
        put = bench.row("raw/1", "  raw synced LevelDB put, 1 thread") if raw else None
        entries = stack.enter_context(
            bench.written(f"append/{connections}", _words(connections), first.server, data)
        )
        for _ in range(ROUNDS):
            for one, row in zip(everybody, rows, strict=True):
                sent = bench.singles(row, one.server, one.target, connections)
                if one is first:
                    entries.append(sent.requests)
            if put:
                bench.raw(put, batch=1)


def _row(bench: Bench, one: Contestant, connections: int) -> Row:
    return bench.row(f"{one.key}/{connections}", f"{one.words}, {_words(connections)}")


def _words(connections: int) -> str:
    return f"{connections} connection{'' if connections == 1 else 's'}"


def _peers(bench: Bench, connections: int, stack: ExitStack) -> Sequence[Contestant]:
    """Tessera at its best for so many connections, and as shipped where that is another thing."""
    best = _peer(bench, "best", "  Tessera at its best", BEST[connections], connections, stack)
    if connections == MOST or BEST[connections] == AS_SHIPPED:
        return (best,)
    shipped = _peer(bench, "shipped", "  Tessera as shipped", AS_SHIPPED, connections, stack)
    return best, shipped


def _peer(
    bench: Bench, key: str, words: str, settings: Settings, connections: int, stack: ExitStack
) -> Contestant:
    directory = bench.directory / f"tessera-{key}-{connections}"
    return Contestant.of(key, words, stack.enter_context(start_tessera(directory, settings)))
