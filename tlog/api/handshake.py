"""A connection before its TLS handshake is done: counted and timed as those that speak HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

import structlog

from tlog.api.connection import Connection
from tlog.api.connection_table import ConnectionTable, peer_address
from tlog.api.tls_reading import ClearReader, NarrowReader
from tlog.errors import TlsFileError

_LOGGER = structlog.get_logger("tlog.tls")
HANDSHAKE_S = 10.0  # from the connection to the end of the handshake
# The table's deadline comes first; this one is for what nobody holds any more.
LOOP_HANDSHAKE_S = 60.0
CLOSE_S = 30.0  # at the end, for what is still to be sent and for the peer to close too
# Loops would hold 512 KiB of each. What is to be sent: as without TLS.
WRITE_BUFFER_BYTES = 64 * 1024
READ_BUFFER_BYTES = 16 * 1024  # encrypted, while the protocol above reads no more

# Makes what speaks HTTP: given the transport below TLS, and TLS itself.
MakeConnection = Callable[[asyncio.Transport, ssl.SSLObject], Connection]


class TlsHandshake(asyncio.Protocol):
    """Does the handshake of one accepted connection, and gives way to a Connection."""

    def __init__(
        self,
        table: ConnectionTable,
        context: ssl.SSLContext,
        make: MakeConnection,
        on_end: Callable[[TlsHandshake, bool], None],
        clear: memoryview,
    ) -> None:
        """Be admitted by the table, do the handshake, and make what comes after it.

        clear: where what comes is decrypted to, by all connections of the loop (ClearReader).
        on_end: called once, with whether it was done.
        """
        self.address = ""
        self.idle = True  # nothing is lost if it gives way
        self._table = table
        self._context = context
        self._make = make
        self._on_end = on_end
        self._clear = clear
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._below: NarrowReader | None = None  # once TLS stands
        self._connection: Connection | None = None
        self._lost = self._done = False
        # What came before the loop's TLS stood, encrypted; then what came with its end, in clear.
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless this is one connection too many: then it ends at once."""
        self._transport = cast("asyncio.Transport", transport)
        self.address = peer_address(transport.get_extra_info("peername"))
        if not self._table.admit(self):
            self._transport.abort()
            self._on_end(self, False)  # noqa: FBT003 - the callback says it
            return
        self._task = self._loop.create_task(self._shake(self._transport))
        self._task.add_done_callback(self._ended)
        # start_tls may find that a part of the handshake was read already: uvloop begins to read
        # before the task does. In the next turn the task has put TLS in our place, and in the one
        # after that TLS begins; then it is given what came, before anything else can come.
        self._loop.call_soon(self._loop.call_soon, self._give_early)

    def data_received(self, data: bytes) -> None:
        """Keep what is not for us; it is what one turn of the loop read at most, twice."""
        self._early += data
        if self._below is not None:
            self._below.shaken()  # what is in clear comes behind the handshake

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended, before TLS began or in the moment in which it was done."""
        self._lost = True
        if self._connection is not None:
            self._connection.connection_lost(exc)
        elif self._task is not None:
            self._task.cancel()

    def is_late(self, now: float) -> bool:
        """Whether it had its time."""
        return now - self._since > HANDSHAKE_S

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def _give_early(self) -> None:
        early, self._early = self._early, bytearray()
        protocol = None if self._transport is None else self._transport.get_protocol()
        if isinstance(protocol, asyncio.Protocol) or self._lost or self._transport is None:
            return
        below = NarrowReader(cast("asyncio.BufferedProtocol", protocol), self.abort)
        self._transport.set_protocol(below)
        self._below = below
        while early:
            buffer = below.get_buffer(len(early))
            count = min(len(buffer), len(early))
            buffer[:count] = early[:count]
            below.buffer_updated(count)
            del early[:count]

    async def _shake(self, transport: asyncio.Transport) -> None:
        try:
            tls = await self._loop.start_tls(
                transport,
                self,
                self._context,
                server_side=True,
                ssl_handshake_timeout=LOOP_HANDSHAKE_S,
                ssl_shutdown_timeout=CLOSE_S,
            )
        except (OSError, ValueError) as error:
            # What clients do wrong is counted, and fills no log but one of requests.
            _LOGGER.info("a TLS handshake failed", reason=_reason(error))
            return
        ssl_object = None if tls is None else tls.get_extra_info("ssl_object")
        if tls is None or ssl_object is None:
            return  # it was gone before the handshake was done
        self._done = True
        if self._below is not None:
            self._below.shaken()
        if self._lost or tls.is_closing() or transport.is_closing():
            return
        try:
            connection = self._make(transport, ssl_object)
        except TlsFileError as error:
            # A certificate that OpenSSL takes and that tells nobody.
            self._done = False
            _LOGGER.info("a TLS handshake failed", reason=str(error))
            return
        self._table.remove(self)
        self._connection = connection
        tls.set_protocol(ClearReader(connection, self._clear))
        tls.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        tls.set_read_buffer_limits(READ_BUFFER_BYTES)  # type: ignore[attr-defined] # of TLS only
        connection.connection_made(tls)
        early, self._early = bytes(self._early), bytearray()  # uvloop holds us all the time
        if early:
            connection.data_received(early)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del task  # a defect in it is told by the loop
        self._table.remove(self)
        if self._connection is None:
            self.abort()
        self._on_end(self, self._done)


def _reason(error: Exception) -> str:
    """OpenSSL's word for what was wrong; nothing that the client sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return type(error).__name__
