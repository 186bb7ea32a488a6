"""Which sections there are, in their order, and those that are small."""

from __future__ import annotations

from collections.abc import Callable

from bench.batches import batches, large_log
from bench.generators import ENTRY_BYTES
from bench.machine import sha256_per_second
from bench.measure import MB, Bench
from bench.process import BenchError
from bench.published import publication
from bench.reads import reads
from bench.report import Round
from bench.singles import single_appends
from bench.workplace import say_progress

LARGE_BLOCK = 65_536

Section = Callable[[Bench], None]


def limits(bench: Bench) -> None:
    """What the machine can do at most: syncs of a file, and SHA-256, one thread."""
    with bench.surroundings.around() as conditions:
        found = bench.surroundings.measure_syncs(bench.seconds / 2)
    row = bench.row("sync", "  fdatasync of 4 KiB appended, 1 thread")
    row.rounds.append(Round(found.rate, found.latency, conditions[0]))
    for size in (ENTRY_BYTES, LARGE_BLOCK):
        with bench.surroundings.around() as conditions:
            rate = sha256_per_second(size, bench.seconds / 2)
        row = bench.row(f"sha256/{size}", f"  SHA-256 of {size:,} bytes, 1 thread")
        row.rounds.append(Round(rate, None, conditions[0]))
        bench.figure(f"sha256/{size}", f"SHA-256 of {size:,} bytes, MB/s", rate * size / MB)


def sections(read_entries: int, large_entries: int) -> dict[str, Section]:
    """By name; logs of so many entries are read and appended to, 0 leaves that section out."""
    found: dict[str, Section] = {
        "limits": limits,
        "singles": single_appends,
        "published": publication,
        "batches": batches,
    }
    if read_entries:
        found["reads"] = lambda bench: reads(bench, read_entries, say_progress)
    if large_entries:
        found["large"] = lambda bench: large_log(bench, large_entries, say_progress)
    return found


def choose(known: dict[str, Section], names: str) -> dict[str, Section]:
    """Those whose names stand in a text, in the table's order; all of them if none does.

    Raises:
        BenchError: there is none of that name.
    """
    wanted = set(names.replace(",", " ").split())
    unknown = wanted - known.keys()
    if unknown:
        message = f"expected sections of {', '.join(known)}; got {', '.join(sorted(unknown))}"
        raise BenchError(message)
    return {name: section for name, section in known.items() if not wanted or name in wanted}
