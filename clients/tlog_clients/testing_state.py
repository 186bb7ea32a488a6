"""What a FakeLog holds beside its tree: ids, what is published, and the faults that are planned."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tlog_clients.testing_tree import FakeTree


class ProblemError(Exception):
    """A refusal: its status, the last part of its problem type, and a title."""

    def __init__(self, status: int, name: str, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.name = name
        self.retry_after_s: int | None = None


@dataclass(slots=True)
class FakeState:
    """One fake log and what is planned for its answers; owned by the loop that serves it."""

    tree: FakeTree
    token: str | None
    delay_s: float = 0.0
    published: int = 1
    published_sizes: set[int] = field(default_factory=lambda: {1})
    publishing: bool = True
    failures: deque[ProblemError] = field(default_factory=deque)
    dropped: int = 0
    index_of_id: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def append(self, lines: list[tuple[bytes, str | None]]) -> list[int]:
        """Append what has no id or a new one, all or none; return the index of each line."""
        sent: dict[str, bytes] = {}
        for entry, entry_id in lines:
            if entry_id is None:
                continue
            known = self.index_of_id.get(entry_id)
            first = sent.setdefault(entry_id, entry) if known is None else self.tree.entries[known]
            if first != entry:
                raise ProblemError(409, "id-conflict", "The id was sent with other bytes")
        indexes = []
        for entry, entry_id in lines:
            index = None if entry_id is None else self.index_of_id.get(entry_id)
            if index is None:
                index = self.tree.append(entry)
                if entry_id is not None:
                    self.index_of_id[entry_id] = index
            indexes.append(index)
        if self.publishing:
            self.publish()
        return indexes

    def publish(self) -> None:
        """Publish the whole tree."""
        self.published = self.tree.size
        self.published_sizes.add(self.published)
