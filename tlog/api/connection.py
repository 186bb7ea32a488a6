"""One HTTP connection, with our answer to what aiohttp's parser refuses."""

from __future__ import annotations

import asyncio
import secrets
from typing import Self

from aiohttp import web

from tlog.api.errors import ExpectationError, MalformedRequestError
from tlog.api.middleware import add_common_headers
from tlog.api.problems import problem_response
from tlog.errors import ServerError

KEEPALIVE_S = 75.0  # longer than the proxies in front keep theirs


class Connection(web.RequestHandler):
    """A connection on which even a broken request is answered by a problem, and not logged."""

    __slots__ = ()

    @classmethod
    def of(cls, server: web.Server) -> Self:
        """A new connection of an application's server.

        Bodies are not decompressed by aiohttp: tlog.api.bodies does it within bounds.
        """
        return cls(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE_S,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type] # as aiohttp's own runner passes it
        )

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response; one that aiohttp made itself becomes a problem first."""
        if isinstance(resp, web.HTTPException):
            # What the middlewares never see: an Expect header of a path without a route.
            error = ExpectationError("the only expectation that is met is 100-continue")
            resp = problem_response(error, secrets.token_hex(8))
            add_common_headers(resp)
        return await super().finish_response(request, resp, start_time)

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
        response = problem_response(error, secrets.token_hex(8))
        add_common_headers(response)
        response.force_close()
        return response
