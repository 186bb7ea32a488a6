"""Batches as a CBOR sequence (RFC 8742) of maps `{"entry": bytes, "id": text}`.

Strict: definite lengths in their shortest form, the two keys in either order, each once. Bounded as
it arrives: what is over a bound is refused when its length is read, not its bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from tlog.api.errors import MalformedRequestError
from tlog.api.ndjson import Batch
from tlog.errors import BatchTooLargeError, EntryTooLargeError
from tlog_proofs import MAX_ENTRY_BYTES

MAX_ID_BYTES = 1024  # what an id may be is not decided here, only how much of it is read

_BYTES, _TEXT, _MAP = 2, 3, 5  # major types (RFC 8949 section 3.1)
_ENTRY, _ID = b"\x65entry", b"\x62id"
_MAX_ARGUMENT_BYTES = 8


async def parse_sequence(chunks: AsyncIterator[bytes], max_entries: int) -> Batch:
    """Parse the maps of a CBOR sequence into entries with their ids.

    Raises:
        MalformedRequestError: an item that is not such a map, or cut off; says which, from 1.
        EntryTooLargeError, BatchTooLargeError: over a bound, as soon as that is certain.
    """
    batch = Batch([], [])
    rest = bytearray()
    wanted = 1  # bytes of the rest before there is anything to do
    async for chunk in chunks:
        rest += chunk
        if len(rest) < wanted:
            continue
        data, start = bytes(rest), 0
        while start < len(data):
            if len(batch.entries) == max_entries:
                message = f"at most {max_entries} entries a batch"
                raise BatchTooLargeError(message)
            item = _Item(data, start, len(batch.entries) + 1)
            try:
                entry, entry_id = item.read()
            except _MoreError as more:
                wanted = more.end - start
                break
            batch.entries.append(entry)
            batch.ids.append(entry_id)
            start, wanted = item.position, 1
        del rest[:start]
    if rest:
        message = f"item {len(batch.entries) + 1} is cut off"
        raise MalformedRequestError(message)
    return batch


@dataclass
class _MoreError(Exception):
    """The bytes end within an item; nothing can be read before there are `end` of them."""

    end: int


class _Item:
    """Reads one map of the sequence that begins at a position of data."""

    def __init__(self, data: bytes, position: int, number: int) -> None:
        self._data = data
        self._number = number
        self.position = position

    def read(self) -> tuple[bytes, str | None]:
        """The entry and the id; afterwards position is that of the next item."""
        entry: bytes | None = None
        entry_id: str | None = None
        members = self._length(_MAP, "a map of one or two members")
        if members not in (1, 2):
            raise self._malformed("a map of one or two members")
        for _ in range(members):
            key = self._key()
            if key == _ENTRY and entry is None:
                length = self._length(_BYTES, "an entry that is a byte string")
                if length > MAX_ENTRY_BYTES:
                    message = f"item {self._number} has an entry over {MAX_ENTRY_BYTES} bytes"
                    raise EntryTooLargeError(message)
                entry = self._take(length)
            elif key == _ID and entry_id is None:
                entry_id = self._id()
            else:
                raise self._malformed("no member twice")
        if entry is None:
            raise self._malformed("a member entry")
        return entry, entry_id

    def _key(self) -> bytes:
        first = self._peek()
        for key in (_ENTRY, _ID):
            if first == key[0]:
                if self._take(len(key)) == key:
                    return key
                break
        raise self._malformed("no keys but entry and id")

    def _id(self) -> str:
        length = self._length(_TEXT, "an id that is a text string")
        if length > MAX_ID_BYTES:
            raise self._malformed(f"an id of at most {MAX_ID_BYTES} bytes")
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise self._malformed("an id in UTF-8") from None

    def _length(self, major: int, what: str) -> int:
        """The argument of an item's head, which must be of that major type."""
        kind, info = divmod(self._peek(), 32)
        width = 0 if info < 24 else 1 << (info - 24)  # noqa: PLR2004 - RFC 8949 section 3
        if kind != major or width > _MAX_ARGUMENT_BYTES:
            raise self._malformed(f"{what} of definite length")
        head = self._take(1 + width)
        if not width:
            return info
        length = int.from_bytes(head[1:], "big")
        if length < (24 if width == 1 else 1 << (4 * width)):
            raise self._malformed("lengths in their shortest form")
        return length

    def _peek(self) -> int:
        if self.position == len(self._data):
            raise _MoreError(self.position + 1)
        return self._data[self.position]

    def _take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self._data):
            raise _MoreError(end)
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _malformed(self, expected: str) -> MalformedRequestError:
        return MalformedRequestError(f"item {self._number}: expected {expected}")
