"""A worker process: `python -m tlog.workers CHANNEL PASSED`, two sockets that it inherits."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress

import uvloop

from tlog.collector import collecting_by_time, settle_collector
from tlog.workers.process import work


async def main(channel: int, passed: int) -> None:
    """Work until the core says that it is enough, or is gone."""
    async with collecting_by_time():
        await work(channel, passed)


# The core tells what has changed, and when it is enough.
for number in (signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
settle_collector()
# Cancelled: the core went away before it had said anything.
with (
    suppress(asyncio.CancelledError),
    asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
):
    runner.run(main(int(sys.argv[1]), int(sys.argv[2])))
