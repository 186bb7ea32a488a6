"""A LogSimulator behind HTTP on loopback, in a thread of its own, for commands under test."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Literal, Self

from aiohttp import web

from tests.clients.simulator import LogSimulator
from tlog_clients import HttpStatusError, Problem

MAX_BYTES = 1 << 25
START_TIMEOUT_S = 20.0

PostFailure = Literal["lost"] | tuple[int, Problem | None]


class ServedLog:
    """Serves the log at `url`; `refusal` is answered to every request while it is set.

    `post_failures` are how the next posts fail, one each: "lost" after it took effect, or a refusal
    before, with Retry-After `retry_after_s`. `get_failures` are how the next reads fail.
    """

    def __init__(self, log: LogSimulator) -> None:
        self.log = log
        self.url = ""
        self.refusal: tuple[int, Problem | None] | None = None
        self.drops_answers = False
        self.post_failures: list[PostFailure] = []
        self.get_failures: list[tuple[int, Problem | None]] = []
        self.retry_after_s = 0
        self.tokens: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(START_TIMEOUT_S)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_TIMEOUT_S)
        self._loop.close()

    async def _run(self) -> None:
        app = web.Application(client_max_size=MAX_BYTES)
        app.router.add_post("/logs/test/{path:.*}", self._post)
        app.router.add_get("/logs/test/{path:.*}", self._get)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/logs/test"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()
        await asyncio.sleep(0.01)  # what was closed is told so in the loop's next rounds

    async def _get(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers.get("Authorization", ""))
        if self.refusal is not None:
            return _error(*self.refusal)
        if self.get_failures:
            return _error(*self.get_failures.pop(0), retry_after=self.retry_after_s)
        try:
            data = await self.log.fetch(request.match_info["path"], max_bytes=MAX_BYTES)
        except HttpStatusError as error:
            return _error(error.status, error.problem)
        return web.Response(body=data)

    async def _post(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers.get("Authorization", ""))
        body = await request.read()
        if self.refusal is not None:
            return _error(*self.refusal)
        failure = self.post_failures.pop(0) if self.post_failures else None
        if failure not in (None, "lost"):
            return _error(*failure, retry_after=self.retry_after_s)
        try:
            answer = await self.log.post(
                request.match_info["path"],
                body,
                content_type=request.content_type,
                params=request.query,
                max_bytes=MAX_BYTES,
                idempotency_key=request.headers.get("Idempotency-Key"),
            )
        except HttpStatusError as error:
            return _error(error.status, error.problem)
        if self.drops_answers or failure == "lost":
            assert request.transport is not None
            request.transport.close()
        return web.Response(body=answer.body, status=answer.status)


def _error(status: int, problem: Problem | None, *, retry_after: int | None = None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if problem is None:
        return web.Response(status=status, headers=headers)
    body = {"type": problem.type, "title": problem.title, "detail": problem.detail}
    headers["Content-Type"] = "application/problem+json"
    return web.Response(status=status, body=json.dumps(body).encode(), headers=headers)
