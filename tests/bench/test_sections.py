"""Sections are chosen by name, and ask for what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import run
from bench.process import BenchError
from bench.reads import WARM_REQUESTS, kinds
from bench.sections import choose, sections
from bench.server import LOG_PATH
from tlog_proofs import EntryBundle, Tile, parse_tile_path

ALL = ["limits", "singles", "published", "batches", "reads", "large"]
ENTRIES = 10_000  # 39 full tiles


def test_sections_are_chosen_by_name() -> None:
    """All without a name; in the order of the table whatever the order of names; 0 leaves out."""
    known = sections(1, 1)
    assert list(choose(known, "")) == list(known) == ALL
    assert list(choose(known, "reads, limits batches")) == ["limits", "batches", "reads"]
    assert list(sections(0, 0)) == ALL[:4]


def test_an_unknown_section_is_refused() -> None:
    """Its name is told, and those that there are."""
    with pytest.raises(BenchError, match=r"limits, singles.*got sngles"):
        choose(sections(1, 1), "sngles")


def test_cold_requests_meet_nothing_that_was_read() -> None:
    """Each tile of leaf hashes, and each bundle, is asked for by one request, in no order."""
    proofs, tiles, bundles = kinds(ENTRIES)
    indexes = []
    for path in proofs.cold:
        index, size = path.removeprefix(f"{LOG_PATH}/proof/inclusion/").split("/")
        assert int(size) == ENTRIES
        indexes.append(int(index) // 256)
    assert sorted(indexes) == list(range(39)) != indexes
    for kind, made in ((tiles, Tile), (bundles, EntryBundle)):
        asked = [parse_tile_path(path.removeprefix(f"{LOG_PATH}/")) for path in kind.cold]
        assert all(isinstance(one, made) and one.width == 256 for one in asked)
        assert sorted(one.index for one in asked) == list(range(39))
        assert sorted(kind.warm) == sorted(kind.cold)


def test_warm_proofs_are_of_entries_that_there_are() -> None:
    """Entries all over the log, the same in each run."""
    proofs = kinds(ENTRIES)[0]
    prefix = f"{LOG_PATH}/proof/inclusion/"
    indexes = [int(path.removeprefix(prefix).split("/")[0]) for path in proofs.warm]
    assert len(indexes) == WARM_REQUESTS
    assert 0 <= min(indexes) < 100
    assert ENTRIES - 100 <= max(indexes) < ENTRIES
    assert kinds(ENTRIES)[0] == proofs


def test_a_section_alone_makes_a_table(tmp_path: Path) -> None:
    """The machine's limits without a server: every row has a rate, and nothing is left behind."""
    report = run(tmp_path, 0.02, choose(sections(0, 0), "limits"))
    assert [row.key for row in report.rows] == ["sync", "sha256/600", "sha256/65536"]
    assert all(row.rate > 0 for row in report.rows)
    assert report.fdatasync
    assert report.fdatasync.p99_ms >= report.fdatasync.p50_ms > 0
    assert "not measured" in report.text()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
