"""Readers below and above the loop's TLS that keep it from holding much.

The loops' TLS reads up to 256 KiB at once, from the transport and for the protocol, and its buffers
never shrink: a connection that sent a large body would keep more than half a MiB for its life.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

ENCRYPTED_BYTES = 16 * 1024  # read at once: about a record
HANDSHAKE_BYTES = 64 * 1024  # of a handshake: a chain of certificates takes much more in memory
CLEAR_BYTES = 64 * 1024  # decrypted at once, for all connections of a loop


class TakesBytes(Protocol):
    """What speaks above TLS: as asyncio.Protocol, after its beginning."""

    def data_received(self, data: bytes) -> None:
        """So much has come."""

    def eof_received(self) -> bool | None:
        """Nothing comes any more."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""

    def pause_writing(self) -> None:
        """Too much waits to be sent."""

    def resume_writing(self) -> None:
        """Most of it is sent."""


class NarrowReader(asyncio.BufferedProtocol):
    """Passes all on to the protocol that does TLS; it takes the place of that on a transport."""

    def __init__(self, tls: asyncio.BufferedProtocol, abort: Callable[[], None]) -> None:
        """Read for tls, which knows its transport already.

        abort: called once too much has come before `shaken`.
        """
        self._tls = tls
        self._abort: Callable[[], None] | None = abort  # until the handshake is done
        self._left = HANDSHAKE_BYTES

    def shaken(self) -> None:
        """Take whatever comes: the handshake is done."""
        self._abort = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to: a part of what TLS has for it."""
        del sizehint
        return memoryview(self._tls.get_buffer(ENCRYPTED_BYTES))[:ENCRYPTED_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read."""
        if self._abort is not None:
            self._left -= nbytes
            if self._left < 0:
                self._abort()
                return
        self._tls.buffer_updated(nbytes)

    def eof_received(self) -> bool | None:
        """Nothing comes any more."""
        return self._tls.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._tls.connection_lost(exc)

    def pause_writing(self) -> None:
        """Too much waits to be sent."""
        self._tls.pause_writing()

    def resume_writing(self) -> None:
        """Most of it is sent."""
        self._tls.resume_writing()


class ClearReader(asyncio.BufferedProtocol):
    """Takes what TLS has decrypted for a protocol above, which is given bytes."""

    def __init__(self, above: TakesBytes, buffer: memoryview) -> None:
        """Read for above; buffer: which others on the same loop use too, between two calls."""
        self._above = above
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to decrypt to, until buffer_updated, which the loop calls in the same turn."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So much was decrypted."""
        self._above.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool | None:
        """Nothing comes any more."""
        return self._above.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._above.connection_lost(exc)

    def pause_writing(self) -> None:
        """Too much waits to be sent."""
        self._above.pause_writing()

    def resume_writing(self) -> None:
        """Most of it is sent."""
        self._above.resume_writing()
