"""A keep-alive HTTP/1.1 connection that costs the machine little: no general client."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from typing import Self

from bench.process import BenchError

OCTETS = "application/octet-stream"
NDJSON = "application/x-ndjson"
ENTRY = b'{"entry":"'
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class Connection:
    """One connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect to HOST:PORT."""
        host, _, port = address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port), limit=MAX_ANSWER_BYTES))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a whole request; the status and the body of its answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Give it up."""
        self._writer.close()


def request_head(method: str, path: str, token: str, *, length: int = 0, kind: str = "") -> bytes:
    """The head of a request with a body of `length` bytes of media type `kind`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if length:
        lines += [f"Content-Type: {kind}", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


class Bodies:
    """Bodies that were never sent before, and that no compression makes smaller.

    Single entries as they are, or batches of entries as NDJSON. Each entry is random, made
    once, but for its first 12 bytes: 4 of this object, 8 that count.
    """

    def __init__(self, entry_bytes: int, batch: int | None, *, ids: bool = False) -> None:
        """entry_bytes: of each entry, a multiple of 3 from 12 on; batch: entries a body.

        ids: each entry of a batch has an id that was never sent before.
        """
        if entry_bytes < 12 or entry_bytes % 3:  # noqa: PLR2004 - as the docstring says
            message = f"expected entries of 12, 15, 18... bytes, got {entry_bytes}"
            raise BenchError(message)
        self._own = os.urandom(4)
        self._count = 0
        self._batch = batch
        self._ids = ids
        self._tails = [os.urandom(entry_bytes - 12) for _ in range(batch or 1)]
        self._lines = [b64encode(tail) + b'"}\n' for tail in self._tails]

    def next(self) -> bytes:
        """One more body."""
        if self._batch is None:
            return self._first_bytes() + self._tails[0]
        return b"".join([self._line_of(self._first_bytes(), line) for line in self._lines])

    def _line_of(self, first: bytes, line: bytes) -> bytes:
        beginning = b'{"id":"' + first.hex().encode() + b'","entry":"' if self._ids else ENTRY
        return beginning + b64encode(first) + line

    def _first_bytes(self) -> bytes:
        self._count += 1
        return self._own + self._count.to_bytes(8, "little")
