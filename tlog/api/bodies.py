"""Request bodies: streamed, bounded in bytes as sent and as decompressed, and in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from tlog.api.errors import (
    BodyTimeoutError,
    BodyTooLargeError,
    MalformedRequestError,
    UnsupportedMediaTypeError,
)
from tlog.api.gunzip import Gunzip
from tlog.api.requests import Request

GRACE_S = 10.0  # a body may be as slow as it likes for so long
MIN_RATE = 4096  # bytes per second, once GRACE_S are over


def content_type(request: Request) -> str:
    """The media type of the body in lower case, without parameters; empty if there is none."""
    return request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()


async def read_body(
    request: Request, max_bytes: int, timeout_s: float, *, gzip: bool = True
) -> bytes:
    """The whole body, at most max_bytes once decompressed; raises as `body_chunks`."""
    return await join(body_chunks(request, max_bytes, timeout_s, gzip=gzip))


def arrived_body(request: Request, max_bytes: int) -> bytes | None:
    """The body, if all of it is there already, as that of a small request is; None: to be read.

    Only where nothing else is to be done: no coding, and no client that waits to be asked for it.
    """
    content = request.content
    if (
        not content.is_eof()
        or content.exception() is not None
        or content.total_bytes > max_bytes
        or hdrs.CONTENT_ENCODING in request.headers
        or hdrs.EXPECT in request.headers
    ):
        return None
    return content.read_nowait()


async def join(chunks: AsyncIterator[bytes]) -> bytes:
    """The pieces as one."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
    return bytes(body)


async def body_chunks(
    request: Request, max_bytes: int, timeout_s: float, *, gzip: bool = True
) -> AsyncIterator[bytes]:
    """The body in pieces, decompressed, never more than max_bytes of it.

    Args:
        max_bytes: of the body once decompressed; as sent it may be a 64th and 1 KiB longer.
        timeout_s: from now until the last byte; after GRACE_S at least MIN_RATE is wanted too.
        gzip: whether the coding gzip is taken.

    Raises:
        UnsupportedMediaTypeError: another Content-Encoding.
        BodyTooLargeError: over max_bytes, as soon as that is certain.
        BodyTimeoutError: too slow.
        MalformedRequestError: not gzip although it says so, or cut off.
    """
    coding = request.headers.get(hdrs.CONTENT_ENCODING, "").strip().lower()
    if coding not in (("", "gzip") if gzip else ("",)):
        taken = "only gzip, or none" if gzip else "none"
        message = f"the content coding is {coding[:40]!r}: {taken} is taken here"
        raise UnsupportedMediaTypeError(message)
    if not coding:
        async for chunk in _raw_chunks(request, max_bytes, timeout_s):
            yield chunk
        return
    gunzip = Gunzip(max_bytes)
    async for chunk in _raw_chunks(request, max_bytes + max_bytes // 64 + 1024, timeout_s):
        for piece in gunzip.feed(chunk):
            yield piece
            await asyncio.sleep(0)  # a small chunk may be megabytes of pieces
    gunzip.finish()


async def _continue(request: Request) -> None:
    """Ask for the body of a client that waits to be asked."""
    if hdrs.EXPECT in request.headers and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written so far must not count as a begun response.
        request.writer.output_size = 0
        await request.writer.drain()


async def _raw_chunks(request: Request, max_bytes: int, timeout_s: float) -> AsyncIterator[bytes]:
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    await _continue(request)
    measures = request.service.backend.http_measures
    measures.bodies += 1
    try:
        async for chunk in _arriving_chunks(request, max_bytes, timeout_s):
            yield chunk
    finally:
        measures.bodies -= 1


async def _arriving_chunks(
    request: Request, max_bytes: int, timeout_s: float
) -> AsyncIterator[bytes]:
    start = asyncio.get_running_loop().time()
    received = 0
    while True:
        deadline = start + min(timeout_s, GRACE_S + received / MIN_RATE)
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await request.content.readany()
        except TimeoutError as error:
            message = f"the body had {received} bytes when its time was over"
            raise BodyTimeoutError(message) from error
        except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
            message = "the body broke off, or its transfer coding is broken"
            # The body holds the error: with its frames, which hold the body, both would stay.
            raise MalformedRequestError(message) from error.with_traceback(None)
        if not chunk:
            return
        received += len(chunk)
        if received > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body is over {max_bytes} bytes")
