"""`make bench-start`: how long a server takes from its process's start to its `ready:` line.

An empty log and one of ENTRIES entries (10,000,000), filled directly; each is stopped, loaded
and killed with SIGKILL under that load, and started again, in turns. Nothing is asserted.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.batches import BATCH
from bench.fill import BYTES_ON_DISK, fill
from bench.generators import Generator, Target
from bench.machine import Conditions, Facts, Surroundings, facts
from bench.process import BenchError
from bench.report import OUT
from bench.server import LOG_PATH, DataDirectory
from bench.singles import FEW
from bench.workplace import say, say_progress, work_directory

ENTRIES = "10_000_000"
SPARE_BYTES = 2 * 10**9  # what the loads write
ROUNDS = 5
LOAD_S = 2.0
MARK_S = 0.5

Times = dict[str, list[float]]


def start_and_stop(data: DataDirectory) -> float:
    """Start a server and stop it as an operator does; seconds to `ready:`."""
    with data.serve() as server:
        return server.seconds_to_ready


def start_and_kill(data: DataDirectory, generator: Generator) -> float:
    """Start a server, load it, kill it in the midst of single appends and batches."""
    with data.serve() as server:
        singles = Target(server.address, f"{LOG_PATH}/add", data.token)
        batches = Target(server.address, f"{LOG_PATH}/entries", data.token)
        with generator.batches_behind(batches, BATCH):
            generator.singles(singles, FEW, LOAD_S)
            server.kill()
        return server.seconds_to_ready


@dataclass(frozen=True, slots=True)
class Found:
    """What one run found; seconds_to_ready has every start, by what was started."""

    facts: Facts
    entries: int
    filled_s: float
    conditions: Conditions
    seconds_to_ready: Times

    def text(self) -> str:
        """The table."""
        lines = [f"{'process start to `ready:`, s':48}{'median':>8}{'least':>8}{'most':>8}"]
        medians = []
        for name, seconds in self.seconds_to_ready.items():
            medians.append(statistics.median(seconds))
            lines.append(f"{name:48}{medians[-1]:>8.3f}{min(seconds):>8.3f}{max(seconds):>8.3f}")
        longer = medians[-1] - medians[0]
        about = self.facts
        before, after = self.conditions.before.p50_ms, self.conditions.after.p50_ms
        head = [
            f"{about.started}; {about.cores} cores, {about.processor}",
            f"load {about.load_average:.2f} at first; fdatasync p50 {before:.2f} -> {after:.2f} ms",
            f"{self.entries:,} entries filled in {self.filled_s:.0f} s",
            "",
        ]
        last = f"{'the last line over the first':48}{longer:>+8.3f}   (mark: {MARK_S})"
        return "\n".join([*head, *lines, last])


def run(directory: Path, entries: int) -> Found:
    """Fill, then start the logs in turns."""
    about = facts()
    generator = Generator()
    surroundings = Surroundings(directory)
    large = DataDirectory.create(directory / "large")
    empty = DataDirectory.create(directory / "empty")
    small = DataDirectory.create(directory / "small")
    say(f"filling a log with {entries:,} entries")
    filled_s = fill(large, entries, say_progress)
    times: Times = {
        "an empty log, stopped": [],
        f"{entries:,} entries, stopped": [],
        "a log of the loads alone, killed under load": [],
        f"{entries:,} entries, killed under load": [],
    }
    stopped_empty, stopped_large, killed_small, killed_large = times.values()
    with surroundings.around() as conditions:
        for _ in range(ROUNDS):
            stopped_empty.append(start_and_stop(empty))
            stopped_large.append(start_and_stop(large))
        for number in range(ROUNDS + 1):
            say(f"killed under load, round {number}")
            for data, found in ((small, killed_small), (large, killed_large)):
                seconds = start_and_kill(data, generator)
                if number:  # the first one follows no kill
                    found.append(seconds)
    return Found(about, entries, filled_s, conditions[0], times)


def main() -> int:
    """Measure, print, save."""
    entries = int(os.environ.get("ENTRIES") or ENTRIES)
    try:
        with work_directory(SPARE_BYTES + entries * BYTES_ON_DISK) as directory:
            found = run(directory, entries)
    except BenchError as error:
        say(f"make bench-start: {error}")
        return 1
    print(found.text())
    path = OUT / time.strftime("start-%Y%m%dT%H%M%SZ.json", time.gmtime())
    path.write_text(json.dumps(asdict(found), indent=1) + "\n")
    print(f"\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
