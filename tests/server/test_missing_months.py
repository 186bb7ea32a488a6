"""A month of bodies that must exist and does not: refused at start, with the month named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.server.doubles import START_S, FakeClock
from tests.server.hosts import ORIGIN, open_host
from tlog.creation import NewLog

DAY_S = 86_400
# 2026-10-26, -11-25, then nothing in December, 2027-01-24.
TIMES = (START_S, START_S + 30 * DAY_S, START_S + 90 * DAY_S)


@pytest.fixture(name="data_dir")
async def make_data_dir(tmp_path: Path) -> Path:
    """A log of a genesis and, in three months, two batches of three entries each."""
    for t in TIMES:
        async with open_host(tmp_path, FakeClock(t)) as host:
            if not host.logs:
                await host.create_log(NewLog("a", ORIGIN))
            for _ in range(2):
                appended = await host.log("a").append([b"x", b"y", b"z"])
            await host.log("a").wait_published(appended.size, 20)
    return tmp_path


def bodies(data_dir: Path) -> Path:
    """Where the months lie."""
    return data_dir / "logs" / "a" / "bodies"


async def test_every_month_with_a_batch_has_its_database_and_no_other(data_dir: Path) -> None:
    """A quiet month has none, and the log starts without it."""
    names = sorted(path.name for path in bodies(data_dir).iterdir())
    assert names == ["2026-10", "2026-11", "2027-01"]
    async with open_host(data_dir, FakeClock(TIMES[-1])) as host:
        assert host.log("a").state == "ready"


@pytest.mark.parametrize(
    ("month", "first_index"), [("2026-10", 0), ("2026-11", 7), ("2027-01", 13)]
)
async def test_a_missing_month_is_refused_and_names_its_first_entry(
    data_dir: Path, month: str, first_index: int
) -> None:
    """The first, one in the middle, the newest: read-only, with everything still readable."""
    shutil.rmtree(bodies(data_dir) / month)
    async with open_host(data_dir, FakeClock(TIMES[-1])) as host:
        log = host.log("a")
        assert log.state == "read-only"
        assert log.reason == (
            f"bodies/{month} is missing, but entries from {first_index} on were committed in that "
            "month: bring the newest copy of that directory back"
        )
        assert log.published.size == 19
        assert await log.read_entry(18) == b"z"
    assert not (bodies(data_dir) / month).exists()


async def test_of_several_missing_months_the_earliest_is_named(data_dir: Path) -> None:
    """Also when the month that is quiet lies between them."""
    for month in ("2026-11", "2027-01"):
        shutil.rmtree(bodies(data_dir) / month)
    async with open_host(data_dir, FakeClock(TIMES[-1])) as host:
        assert "bodies/2026-11 is missing" in (host.log("a").reason or "")
