"""`make bench`: every section, one table, JSON beside it. Nothing is asserted.

Environment: BENCH_SECONDS, how long one measurement takes (3); BENCH_ENTRIES, the size of the
large log (8,000,000; 0 leaves it out); BENCH_DIR, on which disk (bench/out).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from bench import sections
from bench.fill import BYTES_ON_DISK
from bench.generators import Generator
from bench.machine import Surroundings, facts
from bench.process import BenchError
from bench.report import Report
from bench.workplace import say, say_progress, work_directory

SECONDS = "3"
ENTRIES = "8_000_000"
SPARE_BYTES = 4 * 10**9  # what the other sections write


def run(directory: Path, seconds: float, entries: int) -> Report:
    """All sections, in the order of the table."""
    start = time.monotonic()
    generator = Generator()
    report = Report(facts(), generator.name)
    bench = sections.Bench(directory, seconds, generator, Surroundings(directory), report)
    say("single appends")
    sections.single_appends(bench)
    say("publication")
    sections.publication(bench)
    say("batches")
    sections.batches(bench)
    if entries:
        say(f"batches at {entries:,} entries: filling")
        sections.large_log(bench, entries, say_progress)
    sections.hashing(bench)
    report.fdatasync = bench.surroundings.fdatasync
    report.seconds = time.monotonic() - start
    return report


def main() -> int:
    """Measure, print, save."""
    seconds = float(os.environ.get("BENCH_SECONDS") or SECONDS)
    entries = int(os.environ.get("BENCH_ENTRIES") or ENTRIES)
    try:
        with work_directory(SPARE_BYTES + entries * BYTES_ON_DISK) as directory:
            report = run(directory, seconds, entries)
    except BenchError as error:
        say(f"make bench: {error}")
        return 1
    print(report.text())
    print(f"\n{report.save()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
