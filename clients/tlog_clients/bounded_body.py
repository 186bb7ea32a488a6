"""Reading an HTTP body up to a bound and not a byte further, compressed or not."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from tlog_clients.errors import MalformedAnswerError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp

# A gzip stream of n bytes is hardly longer than n; empty blocks could make it endless.
_GZIP_SLACK_BYTES = 4096
_GZIP_WBITS = 31


async def read_body(response: aiohttp.ClientResponse, path: str, max_bytes: int) -> bytes:
    """Return the whole body of a response of a session made with auto_decompress=False.

    Args:
        response: an answer whose body nobody has read yet.
        path: names the answer in errors.
        max_bytes: bound of the body after decompression.

    Raises:
        TooLargeError: the body is longer; the rest is not read.
        MalformedAnswerError: a damaged gzip stream, or another coding than gzip.
    """
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    chunks = response.content.iter_any()
    if coding in ("", "identity"):
        return await _read_plain(chunks, path, max_bytes)
    if coding in ("gzip", "x-gzip"):
        return await _read_gzip(chunks, path, max_bytes)
    raise MalformedAnswerError(f"{path}: expected no Content-Encoding or gzip")


async def _read_plain(chunks: AsyncIterator[bytes], path: str, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        if len(body) + len(chunk) > max_bytes:
            raise TooLargeError(path, max_bytes)
        body += chunk
    return bytes(body)


async def _read_gzip(chunks: AsyncIterator[bytes], path: str, max_bytes: int) -> bytes:
    body = bytearray()
    received = 0
    stream = zlib.decompressobj(_GZIP_WBITS)
    async for chunk in chunks:
        received += len(chunk)
        if received > 2 * max_bytes + _GZIP_SLACK_BYTES:
            raise TooLargeError(path, max_bytes)
        if stream.eof:
            raise MalformedAnswerError(f"{path}: bytes follow the gzip stream")
        try:
            # One byte over the bound tells "longer" from "exactly"; 0 would mean no bound.
            body += stream.decompress(chunk, max_bytes + 1 - len(body))
        except zlib.error:
            raise MalformedAnswerError(f"{path}: damaged gzip stream") from None
        if len(body) > max_bytes:
            raise TooLargeError(path, max_bytes)
    if not stream.eof or stream.unused_data:
        raise MalformedAnswerError(f"{path}: expected exactly one whole gzip stream")
    return bytes(body)
