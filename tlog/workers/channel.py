"""A socket between core and worker: messages in frames, those of one turn of the loop together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import msgspec

from tlog.workers.messages import encode_path

Received = TypeVar("Received")

LENGTH_BYTES = 4
MAX_FRAME_BYTES = 64 * 1024 * 1024  # the largest bundle has 16 MiB, the largest batch 8


class Channel(asyncio.Protocol, Generic[Received]):
    """One end; the loop owns it."""

    def __init__(
        self,
        decoder: msgspec.msgpack.Decoder[Received],
        on_message: Callable[[Received], None],
        on_lost: Callable[[], None],
    ) -> None:
        """Hand over what comes, as the decoder reads it; on_lost: the other end is gone."""
        self._decoder = decoder
        self._encoder = msgspec.msgpack.Encoder(enc_hook=encode_path)
        self._on_message = on_message
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._arrived = bytearray()
        self._outgoing: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        del exc
        self._transport = None
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        """Take frames apart; one that is no message of the other end's ends the channel."""
        self._arrived += data
        start = 0
        while len(self._arrived) - start >= LENGTH_BYTES:
            length = int.from_bytes(self._arrived[start : start + LENGTH_BYTES], "little")
            end = start + LENGTH_BYTES + length
            if length > MAX_FRAME_BYTES:
                self.abort()
                return
            if len(self._arrived) < end:
                break
            frame = bytes(self._arrived[start + LENGTH_BYTES : end])
            start = end
            try:
                message = self._decoder.decode(frame)
            except msgspec.DecodeError:
                self.abort()
                return
            self._on_message(message)
        del self._arrived[:start]

    def send(self, message: msgspec.Struct) -> None:
        """Send a message, with all others of this turn of the loop; lost when the other end is."""
        frame = self._encoder.encode(message)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing += (len(frame).to_bytes(LENGTH_BYTES, "little"), frame)

    def abort(self) -> None:
        """End the channel at once."""
        if self._transport is not None:
            self._transport.abort()

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None:
            self._transport.write(b"".join(outgoing))
