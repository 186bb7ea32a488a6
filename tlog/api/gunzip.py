"""Bounded, incremental gunzip (RFC 1952): a few members, no trailing bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from tlog.api.errors import BodyTooLargeError, MalformedRequestError

PIECE_BYTES = 256 * 1024
MAX_MEMBERS = 16  # an empty member is 20 bytes, and costs as much to begin as a large one
_GZIP_WBITS = 31  # zlib's way to say: a gzip header and trailer, checked


class Gunzip:
    """A gzip stream of at most max_bytes once decompressed."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._members = 1
        self._member = zlib.decompressobj(_GZIP_WBITS)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that data decompresses to, each at most PIECE_BYTES.

        Raises:
            BodyTooLargeError: more than max_bytes, before more is decompressed.
            MalformedRequestError: not gzip, or more than MAX_MEMBERS members.
        """
        # A member ends with 8 bytes behind its output: while output is left, so is input.
        while data:
            if self._member.eof:
                self._members += 1
                if self._members > MAX_MEMBERS:
                    message = f"a gzip body has at most {MAX_MEMBERS} members"
                    raise MalformedRequestError(message)
                self._member = zlib.decompressobj(_GZIP_WBITS)
            try:
                piece = self._member.decompress(data, min(PIECE_BYTES, self._left + 1))
            except zlib.error as error:
                message = "the body is not gzip, although its Content-Encoding says so"
                raise MalformedRequestError(message) from error
            self._left -= len(piece)
            if self._left < 0:
                message = f"the body is over {self._max_bytes} bytes once decompressed"
                raise BodyTooLargeError(message)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        """Check that the stream ended where a member ends; MalformedRequestError if not."""
        if not self._member.eof:
            message = "the gzip body is cut off"
            raise MalformedRequestError(message)
