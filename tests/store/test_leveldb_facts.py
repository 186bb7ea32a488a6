"""What LevelDB says of itself, compared with its files and with texts that it has printed."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from unittest.mock import patch

import plyvel
import pytest

from tests.server.hosts import filled, open_host
from tlog.errors import StoreError
from tlog.measures import DatabaseFacts
from tlog.store.leveldb import LevelDBStore
from tlog.store.leveldb_facts import MAX_STATS, parse_stats, read_facts

# As LevelDB 1.22 printed it, with larger numbers.
STATS = """\
                               Compactions
Level  Files Size(MB) Time(sec) Read(MB) Write(MB)
--------------------------------------------------
  0        7        0         3        0        21
  1        1        2        10        9         9
  6   123456  9999999   1234567 99999999 123456789
"""


def test_the_rows_of_the_levels_are_read() -> None:
    """Seconds, MiB read and MiB written, as they stand in their columns."""
    assert parse_stats(STATS) == [(3, 0, 21), (10, 9, 9), (1234567, 99999999, 123456789)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Level  Files Size(MB) Time(sec) Read(MB) Write(MB)",
        "  7        7        0         3        0        21",
        "  0        7        0         3        0",
        "  0        7        0         3        0        21        0",
        "  0        7        0        -3        0        21",
        "  0        7        0       nan        0        21",
        "  0        7        0         3        0        " + "9" * 16,
        " " * MAX_STATS + STATS,
    ],
)
def test_a_text_of_another_form_tells_nothing(text: str) -> None:
    """Another version of LevelDB costs the numbers, never the scrape."""
    assert parse_stats(text) == []


def test_no_more_is_read_than_leveldb_has_levels() -> None:
    """However long the text is."""
    assert len(parse_stats("  0 1 1 1 1 1\n" * 100_000)) == 7


def test_the_facts_are_those_of_the_files(tmp_path: Path) -> None:
    """As many tables as lie in the directories, memory that holds the rows, work that was done."""
    names = ("one", "two")
    databases = [
        plyvel.DB(str(tmp_path / name), create_if_missing=True, write_buffer_size=1 << 20)
        for name in names
    ]
    empty = read_facts(databases)
    assert (empty.files, empty.compaction_written_bytes) == ((0,) * 7, 0)
    random_bytes = random.Random(1).randbytes
    for database in databases:
        for _ in range(3):
            with database.write_batch() as rows:
                for _ in range(1500):
                    rows.put(random_bytes(16), random_bytes(1000))
            database.compact_range(start=b"\x00", stop=b"\xff" * 17)
        database.put(b"key", random_bytes(300_000))
    facts = read_facts(databases)
    assert facts.memory_bytes > 600_000
    assert facts.compaction_written_bytes > 5_000_000  # rounded, at each level
    assert facts.compaction_read_bytes > 0
    for database in databases:
        database.close()
    tables = [len(list((tmp_path / name).glob("*.ldb"))) for name in names]
    assert sum(facts.files) == sum(tables)
    assert min(tables) > 0
    with pytest.raises(RuntimeError):
        read_facts(databases)


async def test_a_log_tells_of_its_databases_in_another_thread(tmp_path: Path) -> None:
    """By place; asked in a thread of the readers, which end before the databases are closed."""
    await filled(tmp_path, 30)
    threads: list[str] = []
    real = LevelDBStore.database_facts

    def asked(store: LevelDBStore) -> object:
        threads.append(threading.current_thread().name)
        return real(store)

    async with open_host(tmp_path) as host:
        log = host.log("a")
        with patch.object(LevelDBStore, "database_facts", asked):
            facts = await log.read_database_facts()
        store = log._opened.store
        assert store is not None
    assert list(facts) == ["log", "bodies", "index"]
    assert all(isinstance(each, DatabaseFacts) for each in facts.values())
    # Opening writes the rows of the last run to a table.
    assert sum(facts["log"].files) >= 1
    assert threads[0].startswith("reader")
    with pytest.raises(StoreError):
        store.database_facts()
