"""A worker process: `python -m tlog.workers CHANNEL PASSED`, two sockets that it inherits."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from tlog.collector import settle_collector
from tlog.workers.process import work

settle_collector()
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(work(int(sys.argv[1]), int(sys.argv[2])))
