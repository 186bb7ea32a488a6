"""How a wrong row is named, and what a check of all of them counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tlog.errors import ServerError
from tlog.store.keys import COMMIT_RECORD, FULL_TILE, LEAF, log_key

Progress = Callable[[int, int], None]  # entries checked, entries in all


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: file or database in the log's directory, kind, key, log index."""

    file: str
    kind: str
    key: bytes | None = None
    index: int | None = None

    def __str__(self) -> str:
        key = "" if self.key is None else f", key {self.key.hex()}"
        index = "" if self.index is None else f", index {self.index}"
        return f"{self.file}{key}: {self.kind}{index}"


class DamageError(ServerError):
    """A stored row is not what it must be; `place` says which, `what` what is wrong with it.

    suspects: entries of which one may be the wrong row instead, if it is not that at `place`.
    """

    def __init__(self, place: Place, what: str, suspects: range = range(0)) -> None:
        super().__init__(f"{place}: {what}")
        self.place = place
        self.what = what
        self.suspects = suspects


@dataclass(frozen=True, slots=True)
class MonthSpan:
    """The entries [start, end) that were committed in one month (YYYY-MM, UTC)."""

    month: str
    start: int
    end: int


@dataclass(slots=True)
class Report:
    """What was checked and found right; notes: what is allowed and worth knowing."""

    origin: str
    size: int = 0
    root: bytes = b""
    first_t: int = 0  # of the first batch, POSIX seconds
    commits: int = 0
    tiles: int = 0
    checkpoints: int = 0
    bodies: int = 0
    index_rows: int = 0
    tokens: int = 0
    months: list[MonthSpan] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def leaf_place(index: int) -> Place:
    """Where entry `index` stands."""
    return Place("log/", "leaf", log_key(index, LEAF), index)


def row_place(key: bytes, index: int, row_type: int) -> Place:
    """Where a row of `log/` stands, by its key."""
    if row_type == LEAF:
        kind = "leaf"
    elif row_type == COMMIT_RECORD:
        kind = "commit record"
    elif FULL_TILE <= row_type < FULL_TILE + 8:
        kind = f"full tile of level {row_type - FULL_TILE}"
    else:
        kind = f"row of type {row_type:#04x}"
    return Place("log/", kind, key, index)
