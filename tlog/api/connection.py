"""One HTTP connection: its deadlines, and our answer to what aiohttp's parser refuses."""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import _ErrInfo

from tlog.api.connection_table import ConnectionTable, peer_address
from tlog.api.errors import MalformedRequestError
from tlog.api.large_response import LargeResponse
from tlog.api.problems import problem_response
from tlog.api.requests import Request
from tlog.api.responses import REQUEST_ID
from tlog.api.small_response import SmallResponse
from tlog.errors import ServerError
from tlog.tls import ClientCertificate

KEEPALIVE_S = 75.0  # longer than the proxies in front keep theirs
MAX_HEADERS = 64
HEADER_BYTES = 32 * 1024  # of a header, whole or not: a connection that waits holds its last one
READ_BYTES = 64 * 1024  # of a body, read ahead of whoever wants it
HEADER_S = 10.0  # for a whole header, from the connection or the first byte of the next request
END_S = 5.0  # for the client to end TLS too, once everything is sent
# What waits to be sent must go at no less than this rate, whether or not anything comes behind it.
SEND_WINDOW_S = 10.0
SEND_WINDOW_BYTES = 40 * 1024


class Connection(web.RequestHandler):
    """A connection on which even a broken request is answered by a problem, and not logged."""

    __slots__ = (
        "_arriving",
        "_below",
        "_ending_since",
        "_header_bytes",
        "_header_since",
        "_recent_bytes",
        "_resumed",
        "_table",
        "_transport",
        "_watch",
        "address",
        "client",
    )

    def __init__(
        self,
        server: web.Server,
        table: ConnectionTable,
        below: asyncio.Transport | None = None,
        client: ClientCertificate | None = None,
    ) -> None:
        """A new connection of an application's server, to be admitted by the table.

        below: what carries TLS, which passes on to it what is to be sent. client: the
        certificate that the client has shown, if any.

        Bodies are not decompressed by aiohttp: tlog.api.bodies does it within bounds.
        """
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE_S,
            auto_decompress=False,
            max_headers=MAX_HEADERS,
            read_bufsize=READ_BYTES,
            access_log=None,  # type: ignore[arg-type] # as aiohttp's own runner passes it
        )
        # While one request is worked on, one more and one read's worth of others is held: their
        # headers are larger than they are, and aiohttp would hold 32 of them. At less every
        # request would stop the transport's reading and start it again.
        self._max_msg_queue_size = 2
        self._msg_queue_resume_size = 1
        self._arriving: StreamReader | None = None  # the newest request's body, until the answer
        self.address = ""
        self.client = client
        self._below = below
        self._table = table
        self._transport: asyncio.Transport | None = None  # until it is lost, closing or not
        self._header_since: float | None = None
        self._header_bytes = 0
        self._recent_bytes = 0  # no fewer than the newest header has
        self._resumed = 0  # how often the transport's buffer was nearly empty again
        self._ending_since: float | None = None  # that nothing but the client's end is waited for
        # Of what waits to be sent: since when it is watched, _resumed then, and how much it was.
        self._watch: tuple[float, int, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless this is one connection too many: then it ends at once."""
        self._transport = cast("asyncio.Transport", transport)
        self.address = peer_address(transport.get_extra_info("peername"))
        if not self._table.admit(self):
            self._transport.abort()
            return
        self._header_since = self._loop.time()
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""
        self._table.remove(self)
        self._transport = self._below = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; the first bytes of a header start its deadline, the last ones end it."""
        queued = len(self._messages)
        super().data_received(data)
        self._recent_bytes += len(data)
        if len(self._messages) > queued:
            if self._recent_bytes > HEADER_BYTES:
                self._refuse_large_headers()
            self._note_body()
            if data:
                self._recent_bytes = len(data)
        if not self.idle:
            self._header_since = None
            self._header_bytes = 0
            return
        self._header_bytes += len(data)
        if self._header_bytes > HEADER_BYTES:
            self.abort()
        if self._header_since is None:
            self._header_since = self._loop.time()

    def _refuse_large_headers(self) -> None:
        """Let what aiohttp took, line by line, be answered as what it refuses."""
        for place, (message, _) in enumerate(self._messages):
            if isinstance(message, RawRequestMessage):
                size = sum(len(name) + len(value) for name, value in message.raw_headers)
                if size > HEADER_BYTES:
                    error = ValueError(f"a header of {size} bytes")
                    self._messages[place] = (_ErrInfo(400, error, str(error)), EMPTY_PAYLOAD)

    def _note_body(self) -> None:
        """Know the newest body; its request is told when it breaks, as aiohttp does not do."""
        message, body = self._messages[-1]
        if isinstance(message, RawRequestMessage):
            self._arriving = body
        elif self._arriving is not None and not self._arriving.is_eof():
            self._messages.pop()  # there was no other request: the one under way has the answer
            self._arriving.set_exception(web.RequestPayloadError("its coding is broken"))
            self._arriving.feed_eof()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's
        """Read on, where reading was stopped: aiohttp asks for it after every body."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def resume_writing(self) -> None:
        """Most of what waited to be sent is gone."""
        self._resumed += 1
        super().resume_writing()

    async def _drain_helper(self) -> None:
        """Wait until more can be sent.

        The future that aiohttp waits for here keeps the error that it gets, whose traceback keeps
        the future: with them all frames would stay that sent the answer, and what they hold.
        """
        try:
            await super()._drain_helper()
        except ConnectionError as error:
            raise error.with_traceback(None) from None

    @property
    def idle(self) -> bool:
        """Whether the next request is waited for, or nothing but the client's end of TLS."""
        if self._transport is not None and self._transport.is_closing():
            return self._waiting_bytes() == 0
        return self._waiter is not None and not self._waiter.done()

    def is_late(self, now: float) -> bool:
        """Whether a header or an end did not come in time, or what is to be sent does not go."""
        if self._header_since is not None and now - self._header_since > HEADER_S:
            return True
        waiting = self._waiting_bytes()
        if waiting == 0:
            self._watch = None
            if self._transport is None or not self._transport.is_closing():
                return False
            if self._ending_since is None:
                self._ending_since = now
            return now - self._ending_since > END_S
        if self._watch is None:
            self._watch = (now, self._resumed, waiting)
            return False
        since, resumed, before = self._watch
        if now - since < SEND_WINDOW_S:
            return False
        self._watch = (now, self._resumed, waiting)
        return resumed == self._resumed and before - waiting < SEND_WINDOW_BYTES

    def _waiting_bytes(self) -> int:
        """How much waits to be sent."""
        return sum(
            transport.get_write_buffer_size()
            for transport in (self._transport, self._below)
            if transport is not None
        )

    def abort(self) -> None:
        """End at once; what is still to be sent is dropped."""
        if self._transport is not None:
            self._transport.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response, and let go of what it held; the next request waits for room."""
        if request.content is self._arriving:
            self._arriving = None  # what is left of it is dropped: it may break
        # Where the next request begins cannot be told behind a broken body; and what came behind
        # an upgrade that was not made, aiohttp's parser has dropped.
        if request.content.exception() is not None or cast("Request", request).upgrades:
            resp.force_close()
        try:
            finished, reset = await super().finish_response(request, resp, start_time)
        finally:
            _let_go_of_bodies(request.content, resp)
            self._table.used(self)
        if self._paused and not reset:
            # aiohttp would answer on, and gather answers to requests of a few bytes each.
            try:
                await self._drain_helper()
            except ConnectionError:
                reset = True
        if reset:
            self.abort()
        return finished, reset

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that no handler saw; the connection ends with it."""
        del exc, message  # the parser's words quote what was sent
        if request.writer.output_size > 0:
            message = "a response was begun: nothing else can be said"
            raise ConnectionError(message)
        error: ServerError
        if status < 500:  # noqa: PLR2004
            error = MalformedRequestError("the request is not well-formed HTTP/1.1")
        else:
            error = ServerError()
        refused = cast("Request", request)  # by the server's factory
        response = problem_response(error, refused.request_id)
        response.headers[REQUEST_ID] = refused.request_id
        refused.service.backend.http_measures.problems[response.problem.name] += 1
        response.force_close()
        return response


def _let_go_of_bodies(received: StreamReader, response: web.StreamResponse) -> None:
    """Drop the bodies of a request and its response: aiohttp keeps the last ones."""
    if not received.at_eof() and received.is_eof() and received.exception() is None:
        received.read_nowait()  # nobody else reads it
    match response:
        case SmallResponse():
            response.body = b""
        case LargeResponse():
            response.end()
        case web.Response():
            response.body = None
        case _:
            pass
