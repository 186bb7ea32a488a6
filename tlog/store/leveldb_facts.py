"""What LevelDB says of itself: files, memory, and the work of its compactions.

Reading it never waits for the disk; the database must not be closed meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import plyvel

from tlog.measures import DatabaseFacts

LEVELS = 7  # of every LevelDB
MIB = 1024 * 1024
MAX_STATS = 4096  # characters; a line has some 50
# Level, files, size (MB), time (s), read (MB), written (MB): `leveldb.stats` of LevelDB 1.22, 1.23.
_STATS = re.compile(r"^ +([0-6])" + 5 * r" +([0-9]{1,15})" + r"$", re.ASCII | re.MULTILINE)


def read_facts(databases: Iterable[plyvel.DB]) -> DatabaseFacts:
    """Those of the databases taken together; a property that LevelDB does not have counts as 0."""
    files = [0] * LEVELS
    memory = seconds = read = written = 0
    for database in databases:
        for level in range(LEVELS):
            files[level] += _number(database, f"leveldb.num-files-at-level{level}")
        memory += _number(database, "leveldb.approximate-memory-usage")
        for row in parse_stats(_property(database, "leveldb.stats")):
            seconds += row[0]
            read += row[1]
            written += row[2]
    return DatabaseFacts(tuple(files), memory, seconds, read * MIB, written * MIB)


def parse_stats(text: str) -> list[tuple[int, int, int]]:
    """Seconds, MiB read and MiB written of compactions, of each level; lines of other form are not.

    Source: DBImpl::GetProperty of LevelDB, whose numbers are rounded.
    """
    rows = _STATS.findall(text[:MAX_STATS])
    return [(int(row[3]), int(row[4]), int(row[5])) for row in rows[:LEVELS]]


def _number(database: plyvel.DB, name: str) -> int:
    text = _property(database, name)
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) else 0


def _property(database: plyvel.DB, name: str) -> str:
    value = database.get_property(name.encode())
    return "" if value is None else value.decode(errors="replace")
