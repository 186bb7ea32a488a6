"""Large answers: sent in pieces as the client takes them, within a time, and held in a budget."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

from tlog.api.response_budget import ResponseShare

PIECE_BYTES = 64 * 1024
GRACE_S = 10.0  # a client may be as slow as it likes for so long
MIN_RATE = 64 * 1024  # bytes per second, once GRACE_S are over


class LargeResponse(web.Response):
    """An answer whose body lies in the server once, not a second time in the transport.

    The connection that sends it calls `end`, however the sending went.
    """

    def __init__(self, body: bytes, headers: Mapping[str, str], share: ResponseShare) -> None:
        super().__init__(body=body, headers=headers)
        self._held = body
        self._share = share

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body piece by piece.

        Raises:
            ConnectionError: the client went away, or takes the body too slowly.
        """
        body = memoryview(self._held)
        try:
            async with asyncio.timeout(GRACE_S + len(body) / MIN_RATE):
                for start in range(0, len(body), PIECE_BYTES):
                    await self.write(body[start : start + PIECE_BYTES])
        except TimeoutError as error:
            message = f"the client did not take {len(body)} bytes in time"
            raise ConnectionError(message) from error
        # The pieces were the body: what is left to say is that it ended.
        await web.StreamResponse.write_eof(self, data)

    def end(self) -> None:
        """Let go of the body and of its share; a second call does nothing."""
        # The connection remembers its last response for as long as it is kept alive.
        self._held = b""
        self.body = None
        self._share.release()
