"""The table that is printed, and the same as JSON."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.machine import Conditions, Facts, Latency

OUT = Path(__file__).parent / "out"
COLUMNS = (
    f"{'':44}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU s':>8}"
    f"{'fdatasync p50 ms':>20}{'others':>8}"
)
SECOND_LINE = f"{'':44}{'':>10}{'':>9}{'':>9}{'/1,000':>8}{'before -> after':>20}{'cores':>8}"


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement: things a second (entries, answers, digests), latency, server CPU.

    rate is 0 where only the latency says something.
    """

    rate: float
    latency: Latency | None
    conditions: Conditions
    cpu_s_per_1000: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: medians over its rounds."""

    name: str
    rounds: list[Round] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Things a second."""
        return statistics.median(one.rate for one in self.rounds)

    def line(self) -> str:
        """As it is printed."""
        latencies = [one.latency for one in self.rounds if one.latency]
        cpu = [one.cpu_s_per_1000 for one in self.rounds if one.cpu_s_per_1000 is not None]
        before = statistics.median(one.conditions.before.p50_ms for one in self.rounds)
        after = statistics.median(one.conditions.after.p50_ms for one in self.rounds)
        others = statistics.median(one.conditions.others_cores for one in self.rounds)
        return (
            f"{self.name:44}{f'{self.rate:,.0f}' if self.rate else '':>10}"
            f"{_median([one.p50_ms for one in latencies], 9, 2)}"
            f"{_median([one.p99_ms for one in latencies], 9, 2)}"
            f"{_median(cpu, 8, 3)}"
            f"{f'{before:.2f} -> {after:.2f}':>20}{others:>8.2f}"
        )


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure of ours by one of the machine's, with the mark that it should reach."""

    name: str
    value: float
    mark: float
    unit: str = ""

    def line(self) -> str:
        """As it is printed."""
        return f"{self.name:76}{self.value:>10,.2f}{self.unit}   (mark: {self.mark:g}{self.unit})"


def paired_ratio(ours: Row, theirs: Row) -> float:
    """The median of the ratios round by round: each pair was measured within seconds."""
    pairs = zip(ours.rounds, theirs.rounds, strict=True)
    return statistics.median(one.rate / other.rate for one, other in pairs)


@dataclass(slots=True)
class Report:
    """All that one run found; figures are single numbers with their unit in the name."""

    facts: Facts
    generator: str
    rows: list[Row] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    fdatasync: Latency | None = None
    seconds: float = 0.0

    def text(self) -> str:
        """The whole table."""
        lines = ["", *self._head(), "", COLUMNS, SECOND_LINE]
        lines += [row.line() for row in self.rows]
        lines.append("")
        lines += [ratio.line() for ratio in self.ratios]
        lines += [f"{name:76}{value:>10,.2f}" for name, value in self.figures.items()]
        return "\n".join(lines)

    def save(self) -> Path:
        """Write it as JSON under bench/out; the file."""
        OUT.mkdir(exist_ok=True)
        path = OUT / time.strftime("bench-%Y%m%dT%H%M%SZ.json", time.gmtime())
        rows = [asdict(row) | {"rate": row.rate} for row in self.rows]
        path.write_text(json.dumps(asdict(self) | {"rows": rows}, indent=1) + "\n")
        return path

    def _head(self) -> Sequence[str]:
        facts = self.facts
        packages = ", ".join(f"{name} {version}" for name, version in facts.packages.items())
        lines = [
            f"{facts.started}, {self.seconds:.0f} s; load at first {facts.load_average:.2f}",
            f"{facts.cores} cores ({facts.processor}), {facts.memory_gib:.0f} GiB, {facts.kernel}",
            f"Python {facts.python}, {packages}; entries of 600 bytes",
            f"load generator: {self.generator}, on the same cores as the server",
        ]
        if self.fdatasync:
            lines.append(
                f"fdatasync of 4 KiB, over the whole run: p50 {self.fdatasync.p50_ms:.2f} ms, "
                f"p99 {self.fdatasync.p99_ms:.2f} ms"
            )
        return lines


def _median(values: Sequence[float], width: int, digits: int) -> str:
    return f"{statistics.median(values):{width}.{digits}f}" if values else " " * width
