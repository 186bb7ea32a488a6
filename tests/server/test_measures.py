"""What a running log counts of its commits and publications."""

from __future__ import annotations

from pathlib import Path

from tests.server.hosts import ORIGIN, open_host
from tlog.creation import NewLog
from tlog.measures import STEPS


async def test_commits_and_publications_are_counted(tmp_path: Path) -> None:
    """Two appends are two commits of 3 and 1 entries; each publication has every step once."""
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", ORIGIN))
        log = host.log("a")
        for entries in ([b"one", b"two", b"three"], [b"last"]):
            placed = await log.append(entries)
            await log.wait_published(placed.size, 20)
        measures = log.measures
        assert (measures.commits, measures.failed_commits) == (2, 0)
        assert (measures.entries, measures.entry_bytes) == (4, 15)
        assert measures.batch_entries.counts[:4] == [1, 0, 1, 0]
        assert measures.batch_entries.total == 4
        assert sum(measures.commit_s.counts) == sum(measures.index_s.counts) == 2
        assert sum(measures.lag_s.counts) == 2
        assert [sum(measures.steps_s[step].counts) for step in STEPS] == [2] * len(STEPS)
        assert measures.lag_s.total >= sum(each.total for each in measures.steps_s.values()) > 0
        assert log.committed_size == 5
        assert log.queue_age_s == 0
        assert host.queue_bytes == 0
