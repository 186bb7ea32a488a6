"""A worker process: `python -m tlog.workers CHANNEL PASSED`, two sockets that it inherits."""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop

from tlog.collector import collecting_by_time, settle_collector
from tlog.workers.process import work


async def main(channel: int, passed: int) -> None:
    """Work until the core says that it is enough, or is gone."""
    async with collecting_by_time():
        await work(channel, passed)


signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the core tells what has changed
settle_collector()
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main(int(sys.argv[1]), int(sys.argv[2])))
