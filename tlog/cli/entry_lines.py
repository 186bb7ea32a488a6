"""Cutting files into one entry a line, and the entries into batches that a server takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tlog.cli.output import STDIO, open_stdin
from tlog_clients import (
    MAX_BATCH_BODY_BYTES,
    MAX_BATCH_ENTRIES,
    EntryTooLargeError,
    batch_line_bytes,
)
from tlog_proofs import MAX_ENTRY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@dataclass(slots=True)
class LineBatch:
    """At most 1,000 entries of less than 8 MiB of body, and where they come from.

    `ids` are those of the entries. `empty_lines` were met and skipped on the way.
    """

    entries: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    first: str = ""
    last: str = ""
    body_bytes: int = 0
    empty_lines: int = 0

    @property
    def where(self) -> str:
        """The first and the last line, as FILE:LINE."""
        return self.first if self.first == self.last else f"{self.first} to {self.last}"

    def has_room(self, entry: bytes, entry_id: str) -> bool:
        """Whether one more entry keeps both bounds."""
        return (
            len(self.entries) < MAX_BATCH_ENTRIES
            and self.body_bytes + batch_line_bytes(entry, entry_id) < MAX_BATCH_BODY_BYTES
        )

    def add(self, entry: bytes, entry_id: str, place: str) -> None:
        """Add an entry for which there is room."""
        self.first = self.first or place
        self.last = place
        self.entries.append(entry)
        self.ids.append(entry_id)
        self.body_bytes += batch_line_bytes(entry, entry_id)


def read_batches(files: Sequence[str], id_of: Callable[[int], str]) -> Iterator[LineBatch]:
    """Read files, - for stdin, line by line, and yield full batches as they come.

    id_of gives the id of line N, counted from 1 through all files, empty lines among them.

    A line ends with LF, which is not part of the entry; a CR before it is. Empty lines are skipped
    and counted; they alone may come with a batch of no entries at the end.

    Raises:
        EntryTooLargeError: a line is longer than an entry may be; nothing of its batch is yielded.
        OSError: a file cannot be read.
    """
    batch = LineBatch()
    lines = 0
    for file in files:
        with open_stdin() if file == STDIO else Path(file).open("rb") as stream:
            number = 0
            # One byte more than the longest entry and its LF: enough to see that a line is longer.
            while line := stream.readline(MAX_ENTRY_BYTES + 2):
                number += 1
                lines += 1
                entry = line.removesuffix(b"\n")
                place = f"{file}:{number}"
                if not entry:
                    batch.empty_lines += 1
                    continue
                if len(entry) > MAX_ENTRY_BYTES:
                    raise EntryTooLargeError(
                        f"{place}: expected a line of at most {MAX_ENTRY_BYTES} bytes; "
                        "nothing of this batch was sent"
                    )
                entry_id = id_of(lines)
                if not batch.has_room(entry, entry_id):
                    yield batch
                    batch = LineBatch()
                batch.add(entry, entry_id, place)
    yield batch
