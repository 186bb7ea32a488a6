"""Bare aiohttp handlers: what one process of this machine can answer at most.

POST /add reads the same bodies as the log, on the same event loop, and answers `ok`;
GET /bytes/N sends N bytes. With --low-level there is no application and no router, only
aiohttp's web.Server, and the POST alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import lru_cache

import uvloop
from aiohttp import web


async def _ok(request: web.BaseRequest) -> web.Response:
    await request.read()
    return web.Response(body=b"ok")


async def _bytes(request: web.Request) -> web.Response:
    return web.Response(body=_noise(int(request.match_info["count"])))


@lru_cache(maxsize=8)
def _noise(count: int) -> bytes:
    return os.urandom(count)


def make_runner(*, low_level: bool) -> web.BaseRunner:
    """An application with its router, or web.Server alone."""
    if low_level:
        return web.ServerRunner(web.Server(_ok, access_log=None))
    app = web.Application()
    app.router.add_post("/add", _ok)
    app.router.add_get("/bytes/{count}", _bytes)
    return web.AppRunner(app, access_log=None, shutdown_timeout=1)


async def serve(*, low_level: bool) -> None:
    """Serve on a free port of loopback until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner = make_runner(low_level=low_level)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
    host, port = runner.addresses[0][:2]
    print(f"ready: http://{host}:{port}", flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
        loop_runner.run(serve(low_level="--low-level" in sys.argv[1:]))
