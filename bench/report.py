"""The table that is printed, and the same as JSON: rows, then single figures, then marks."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.machine import Conditions, Facts, Latency

OUT = Path(__file__).parent / "out"
NAME = 52  # of a row
WIDE = 76  # of a line that has one number
COLUMNS = (
    f"{'':{NAME}}{'a second':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU s':>8}"
    f"{'fdatasync p50 ms':>20}{'others':>8}"
)
SECOND_LINE = f"{'':{NAME}}{'':>10}{'':>9}{'':>9}{'/1,000':>8}{'before -> after':>20}{'cores':>8}"


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
    """One line of the table: medians over its rounds; key: what the marks call it."""

    key: str
    name: str
    section: str
    rounds: list[Round] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Things a second."""
        return statistics.median(one.rate for one in self.rounds)

    @property
    def latency(self) -> Latency | None:
        """Medians of the rounds' percentiles."""
        latencies = [one.latency for one in self.rounds if one.latency]
        if not latencies:
            return None
        return Latency(
            statistics.median(one.p50_ms for one in latencies),
            statistics.median(one.p99_ms for one in latencies),
        )

    def line(self) -> str:
        """As it is printed."""
        latency = self.latency
        cpu = [one.cpu_s_per_1000 for one in self.rounds if one.cpu_s_per_1000 is not None]
        before = statistics.median(one.conditions.before.p50_ms for one in self.rounds)
        after = statistics.median(one.conditions.after.p50_ms for one in self.rounds)
        others = statistics.median(one.conditions.others_cores for one in self.rounds)
        return (
            f"{self.name:{NAME}}{f'{self.rate:,.0f}' if self.rate else '':>10}"
            f"{f'{latency.p50_ms:.2f}' if latency else '':>9}"
            f"{f'{latency.p99_ms:.2f}' if latency else '':>9}"
            f"{f'{statistics.median(cpu):.3f}' if cpu else '':>8}"
            f"{f'{before:.2f} -> {after:.2f}':>20}{others:>8.2f}"
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """A single number, with its unit in the name; key: what the marks call it."""

    key: str
    name: str
    value: float

    def line(self) -> str:
        """As it is printed."""
        return f"{self.name:{WIDE}}{self.value:>10,.2f}"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a figure should reach; no value where it was not measured."""

    name: str
    value: float | None
    bound: float
    at_most: bool
    unit: str

    @property
    def verdict(self) -> str:
        """In one word or three."""
        if self.value is None:
            return "not measured"
        met = self.value <= self.bound if self.at_most else self.value >= self.bound
        return "met" if met else "MISSED"

    def line(self) -> str:
        """As it is printed."""
        value = "" if self.value is None else f"{self.value:,.2f}"
        bound = f"{'<=' if self.at_most else '>='} {self.bound:,g} {self.unit}"
        return f"{self.name:{WIDE}}{value:>10}  {bound:14}{self.verdict}"


def paired_ratio(ours: Row, theirs: Row) -> float:
    """The median of the ratios round by round: each pair was measured within seconds."""
    pairs = zip(ours.rounds, theirs.rounds, strict=True)
    return statistics.median(one.rate / other.rate for one, other in pairs)


@dataclass(slots=True)
class Report:
    """All that one run found; notes: what was not measured, and why."""

    facts: Facts
    generator: str
    entry_bytes: int
    sections: Sequence[str]
    rows: list[Row] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fdatasync: Latency | None = None
    seconds: float = 0.0

    def row(self, key: str) -> Row | None:
        """The row of that key, if it was measured."""
        return next((row for row in self.rows if row.key == key and row.rounds), None)

    def figure(self, key: str) -> float | None:
        """The value of the figure of that key, if it was measured."""
        return next((one.value for one in self.figures if one.key == key), None)

    def text(self) -> str:
        """The whole table."""
        lines = ["", *self._head(), "", COLUMNS, SECOND_LINE]
        section = ""
        for row in self.rows:
            if row.section != section:
                section = row.section
                lines.append(f"[{section}]")
            lines.append(row.line())
        lines += ["", *(figure.line() for figure in self.figures)]
        lines += ["", *(mark.line() for mark in self.marks)]
        lines += [f"not measured: {note}" for note in self.notes]
        return "\n".join(lines)

    def save(self) -> Path:
        """Write it as JSON under bench/out; the file."""
        OUT.mkdir(exist_ok=True)
        path = OUT / time.strftime("bench-%Y%m%dT%H%M%SZ.json", time.gmtime())
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n")
        return path

    def as_json(self) -> dict[str, object]:
        """Everything, each round included."""
        rows = [asdict(row) | {"rate": row.rate} for row in self.rows]
        marks = [asdict(mark) | {"verdict": mark.verdict} for mark in self.marks]
        return asdict(self) | {"rows": rows, "marks": marks}

    def _head(self) -> Sequence[str]:
        facts = self.facts
        packages = ", ".join(f"{name} {version}" for name, version in facts.packages.items())
        lines = [
            f"{facts.started}, {self.seconds:.0f} s; load at first {facts.load_average:.2f}",
            f"{facts.cores} cores ({facts.processor}), {facts.memory_gib:.0f} GiB, {facts.kernel}",
            f"Python {facts.python}, {packages}; entries of {self.entry_bytes} bytes",
            f"load generator: {self.generator}, on the same cores as the server",
            f"sections: {' '.join(self.sections)}",
        ]
        if self.fdatasync:
            lines.append(
                f"fdatasync of 4 KiB, over the whole run: p50 {self.fdatasync.p50_ms:.2f} ms, "
                f"p99 {self.fdatasync.p99_ms:.2f} ms"
            )
        return lines
