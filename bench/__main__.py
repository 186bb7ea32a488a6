"""`make bench`: every section, one table, JSON beside it. Nothing is asserted.

Environment: SECTIONS, which of them (all); BENCH_SECONDS, how long one measurement takes (3);
BENCH_READ_ENTRIES, the size of the log that is read (1,000,000) and BENCH_ENTRIES, that of the
large log (8,000,000), 0 leaves it out; BENCH_DIR, on which disk (bench/out).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.fill import BYTES_ON_DISK
from bench.generators import ENTRY_BYTES, Generator
from bench.machine import Surroundings, facts
from bench.marks import marks_of
from bench.measure import Bench
from bench.process import BenchError
from bench.report import Report
from bench.sections import Section, choose, sections
from bench.workplace import say, work_directory

SECONDS = "3"
READ_ENTRIES = "1_000_000"
ENTRIES = "8_000_000"
SPARE_BYTES = 5 * 10**9  # what other sections than the large log write


def run(directory: Path, seconds: float, chosen: Mapping[str, Section]) -> Report:
    """The chosen sections, in the order of the table, each in a directory of its own."""
    start = time.monotonic()
    generator = Generator()
    report = Report(facts(), generator.name, ENTRY_BYTES, list(chosen))
    surroundings = Surroundings(directory)
    for name, section in chosen.items():
        began = time.monotonic()
        with TemporaryDirectory(prefix=f"{name}-", dir=directory) as own:
            section(Bench(name, Path(own), seconds, generator, surroundings, report))
        say(f"{name}: {time.monotonic() - began:.0f} s")
    report.marks = marks_of(report)
    report.fdatasync = surroundings.fdatasync
    report.seconds = time.monotonic() - start
    return report


def main() -> int:
    """Measure, print, save."""
    seconds = float(os.environ.get("BENCH_SECONDS") or SECONDS)
    read_entries = int(os.environ.get("BENCH_READ_ENTRIES") or READ_ENTRIES)
    entries = int(os.environ.get("BENCH_ENTRIES") or ENTRIES)
    try:
        chosen = choose(sections(read_entries, entries), os.environ.get("SECTIONS", ""))
        large = entries * BYTES_ON_DISK if "large" in chosen else 0
        with work_directory(SPARE_BYTES + large) as directory:
            report = run(directory, seconds, chosen)
    except BenchError as error:
        say(f"make bench: {error}")
        return 1
    print(report.text())
    print(f"\n{report.save()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
