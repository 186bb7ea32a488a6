"""Batches as NDJSON: `{"entry": BASE64, "id": TEXT}` a line, strict and bounded as they arrive."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO

import msgspec

from tlog.api.errors import MalformedRequestError
from tlog.errors import BatchTooLargeError, EntryTooLargeError
from tlog_proofs import MAX_ENTRY_BYTES, MalformedError, decode_base64

MAX_BASE64_CHARS = (MAX_ENTRY_BYTES + 2) // 3 * 4
MAX_LINE_BYTES = MAX_BASE64_CHARS + 1024  # the rest is a few names and white space
MAX_REASON_CHARS = 200
_PLAIN_QUOTES = 4  # of each member, when nothing in it is escaped


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    entry: str
    id: str | msgspec.UnsetType = msgspec.UNSET


class _PlainLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """As _Line, its base64 decoded on the way, whatever its last bits."""

    entry: bytes
    id: str | msgspec.UnsetType = msgspec.UNSET


_DECODER = msgspec.json.Decoder(_Line)
_PLAIN_DECODER = msgspec.json.Decoder(_PlainLine)
# Begins with what is searched for, and looks behind it: that is what makes it quick.
_DIRTY_BASE64_END = re.compile(rb'="(?<![AQgw]==")(?<![AEIMQUYcgkosw048]=")')


@dataclass(frozen=True, slots=True)
class Batch:
    """The entries of a body and, parallel to them, their ids as they were sent."""

    entries: list[bytes]
    ids: list[str | None]


async def parse_entries(chunks: AsyncIterator[bytes], max_entries: int) -> Batch:
    """Parse the lines of an NDJSON body into entries with their ids.

    Lines end in LF alone; the last one may lack it, and one empty line may follow.

    Raises:
        MalformedRequestError: a line that is not one; says which.
        EntryTooLargeError, BatchTooLargeError: over a bound, as soon as that is certain.
    """
    lines = _Lines(max_entries)
    rest = bytearray()
    async for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            lines.add_all(bytes(rest) + chunk[:end])
            rest.clear()
        rest += chunk[end:]
        if len(rest) > MAX_LINE_BYTES:
            raise _line_too_long(lines.number + 1)
    if rest:
        lines.add(bytes(rest))
    return Batch(lines.entries, lines.ids)


class _Lines:
    """The entries so far, and the number of the line that was read last (from 1)."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._blank = False
        self.entries: list[bytes] = []
        self.ids: list[str | None] = []
        self.number = 0

    def add_all(self, data: bytes) -> None:
        """Take lines, each with its LF: all at once where they are plain, else one by one."""
        lines = BytesIO(data).readlines()  # five times as fast as split
        if self._blank or not self._add_plain(data, lines):
            for line in lines:
                self.add(line[:-1])

    def _add_plain(self, data: bytes, lines: list[bytes]) -> bool:
        if len(self.entries) + len(lines) > self._max_entries:
            return False
        parsed = _parse_plain(data, lines)
        if parsed is None:
            return False
        self.number += len(parsed)
        self.entries += [line.entry for line in parsed]
        self.ids += [None if line.id is msgspec.UNSET else line.id for line in parsed]
        return True

    def add(self, line: bytes) -> None:
        self.number += 1
        if self._blank:
            message = f"line {self.number - 1} is empty"
            raise MalformedRequestError(message)
        if not line:
            self._blank = True
            return
        if len(self.entries) == self._max_entries:
            message = f"at most {self._max_entries} entries a batch"
            raise BatchTooLargeError(message)
        entry, entry_id = _parse_line(line, self.number)
        self.entries.append(entry)
        self.ids.append(entry_id)


def _parse_plain(data: bytes, lines: list[bytes]) -> list[_PlainLine] | None:
    """Parse the lines of data at once; None unless it is certain that each would be taken.

    No string of plain ones is escaped. Then a member has four quotes, so that a name given twice
    shows in their number, and the last characters of base64 stand before a quote.
    """
    if b"\\" in data or (b"=" in data and _DIRTY_BASE64_END.search(data)):
        return None
    if max(map(len, lines)) > MAX_LINE_BYTES + 1:  # and the LF
        return None
    try:
        parsed = list(map(_PLAIN_DECODER.decode, lines))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    members = len(parsed) + sum([line.id is not msgspec.UNSET for line in parsed])
    # Where a byte is rare, taking it out is four times as fast as counting it.
    if len(data) - len(data.replace(b'"', b"")) != members * _PLAIN_QUOTES:
        return None
    if max([len(line.entry) for line in parsed]) > MAX_ENTRY_BYTES:
        return None
    return parsed


def _parse_line(line: bytes, number: int) -> tuple[bytes, str | None]:
    if len(line) > MAX_LINE_BYTES:
        raise _line_too_long(number)
    try:
        fields = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f'line {number} is not {{"entry": base64}}: {str(error)[:MAX_REASON_CHARS]}'
        raise MalformedRequestError(message) from error
    entry_id = None if fields.id is msgspec.UNSET else fields.id
    members = 1 if entry_id is None else 2
    if (b"\\" in line or line.count(b'"') != members * _PLAIN_QUOTES) and _has_duplicate(line):
        message = f"line {number} names a member twice"
        raise MalformedRequestError(message)
    if len(fields.entry) > MAX_BASE64_CHARS:
        message = f"line {number} has an entry over {MAX_ENTRY_BYTES} bytes"
        raise EntryTooLargeError(message)
    try:
        return decode_base64(fields.entry, max_bytes=MAX_ENTRY_BYTES), entry_id
    except MalformedError as error:
        message = f"line {number}: {error}"
        raise MalformedRequestError(message) from error


def _has_duplicate(line: bytes) -> bool:
    """Whether the object in line, known to be well-formed and flat, has one name twice."""
    names = [name for name, _ in json.loads(line, object_pairs_hook=list)]
    return len(names) != len(set(names))


def _line_too_long(number: int) -> EntryTooLargeError:
    return EntryTooLargeError(f"line {number} is over {MAX_LINE_BYTES} bytes")
