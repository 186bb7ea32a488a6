"""A bare aiohttp POST handler: what one process of this machine can answer at most.

It reads the same bodies as the log, on the same event loop, and answers `ok`.
"""

from __future__ import annotations

import asyncio
import signal

import uvloop
from aiohttp import web


async def _ok(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(body=b"ok")


async def serve() -> None:
    """Serve on a free port of loopback until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app = web.Application()
    app.router.add_post("/add", _ok)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
    host, port = runner.addresses[0][:2]
    print(f"ready: http://{host}:{port}", flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
        loop_runner.run(serve())
