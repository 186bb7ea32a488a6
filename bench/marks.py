"""What the figures of a run should reach, each worked out from its rows and figures.

A ratio of two rows that took turns is the median of the ratios of their rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.report import Mark, Report, paired_ratio

Value = Callable[[Report], float | None]


@dataclass(frozen=True, slots=True)
class _Wanted:
    name: str
    value: Value
    bound: float
    at_most: bool = False
    unit: str = ""


def _ratio(ours: str, theirs: str) -> Value:
    def value(report: Report) -> float | None:
        one, other = report.row(ours), report.row(theirs)
        return paired_ratio(one, other) if one and other else None

    return value


def _over_best_peer(ours: str) -> Value:
    def value(report: Report) -> float | None:
        row = report.row(ours)
        peers = [one.rate for one in report.rows if one.key.startswith("best/") and one.rounds]
        return row.rate / max(peers) if row and peers else None

    return value


def _rate(key: str) -> Value:
    def value(report: Report) -> float | None:
        row = report.row(key)
        return row.rate if row else None

    return value


def _largest_latency(part: str, *keys: str) -> Value:
    def value(report: Report) -> float | None:
        rows = [row for key in keys if (row := report.row(key))]
        return max(getattr(row.latency, part) for row in rows) if rows else None

    return value


def _per_user_byte(key: str) -> Value:
    def value(report: Report) -> float | None:
        figure = report.figure(key)
        return None if figure is None else figure / report.entry_bytes

    return value


def _figure(key: str) -> Value:
    def value(report: Report) -> float | None:
        return report.figure(key)

    return value


_PUBLISHED = ("published/waited", "published/polled")

_WANTED = (
    _Wanted("1 connection / Tessera at its best", _ratio("append/1", "best/1"), 5, unit="x"),
    _Wanted("1 connection, where a synced put takes 0.2 ms", _rate("append/1"), 800, unit="/s"),
    _Wanted("32 connections / Tessera at its best", _ratio("append/32", "best/32"), 0.8, unit="x"),
    _Wanted(
        "32 connections, --workers 2 / Tessera at its best",
        _ratio("workers/32", "best/32"),
        1.0,
        unit="x",
    ),
    _Wanted(
        "32 connections / Tessera as shipped", _ratio("append/32", "shipped/32"), 200, unit="x"
    ),
    _Wanted(
        "256 connections / bare POST handler", _ratio("append/256", "bare/256"), 0.65, unit="x"
    ),
    _Wanted(
        "256 connections, --workers 2 / Tessera at its best",
        _ratio("workers/256", "best/256"),
        0.8,
        unit="x",
    ),
    _Wanted(
        "batches of 1,000 / Tessera's best single rate", _over_best_peer("batch/1000"), 3, unit="x"
    ),
    _Wanted(
        "batches of 1,000 / raw LevelDB batch", _ratio("batch/1000", "raw/1000"), 0.3, unit="x"
    ),
    _Wanted(
        "append -> published, p50 of the slower way",
        _largest_latency("p50_ms", *_PUBLISHED),
        5,
        at_most=True,
        unit="ms",
    ),
    _Wanted(
        "append -> published, p99 of the slower way",
        _largest_latency("p99_ms", *_PUBLISHED),
        20,
        at_most=True,
        unit="ms",
    ),
    _Wanted("proofs, warm / bare GET handler", _ratio("proofs/warm", "proofs/bare"), 0.5, unit="x"),
    _Wanted("proofs, cold, page cache kept", _rate("proofs/cold"), 2000, unit="/s"),
    _Wanted("proofs, cold, page cache emptied", _rate("proofs/colder"), 2000, unit="/s"),
    _Wanted("full tiles, warm / bare", _ratio("tiles/warm", "tiles/bare"), 0.5, unit="x"),
    _Wanted("full bundles, warm / bare", _ratio("bundles/warm", "bundles/bare"), 0.5, unit="x"),
    _Wanted(
        "RssAnon of the log that was read, after appends too",
        _figure("reads/rss"),
        200,
        at_most=True,
        unit="MB",
    ),
    _Wanted(
        "256 connections: bytes written / user bytes",
        _per_user_byte("append/256/written"),
        2.5,
        at_most=True,
        unit="x",
    ),
    _Wanted(
        "batches of 1,000: bytes written / user bytes",
        _per_user_byte("batch/1000/written"),
        2.5,
        at_most=True,
        unit="x",
    ),
)


def marks_of(report: Report) -> list[Mark]:
    """All marks, those of sections that were left out too."""
    return [Mark(one.name, one.value(report), one.bound, one.at_most, one.unit) for one in _WANTED]
