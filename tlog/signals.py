"""How a server is told to end: SIGTERM or SIGINT, once or often, and not later than a deadline."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

EXIT_LATE = 1


class StopSignals:
    """Sets `stop` at the first signal; ends the process when `timeout_s` later it still lives.

    The deadline is kept by a thread of its own: it holds even when the event loop does not turn.
    What is durable then stays so, and nothing is signed after the end of the process. The signals
    stay caught after the context: a second one does no harm at any moment.
    """

    def __init__(self, timeout_s: float) -> None:
        """To be made in the main thread, in a running event loop."""
        self.stop = asyncio.Event()
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._ended = threading.Event()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)
        self._thread = threading.Thread(target=self._watch, name="stop-signals", daemon=True)

    def __enter__(self) -> Self:
        """Catch the signals from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The server has ended: no deadline any more."""
        self._ended.set()

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: takes no lock, since it may interrupt whoever holds one."""
        del number, frame
        try:
            os.write(self._wake_writer, b"\0")
        except BlockingIOError:
            return  # so many signals that the pipe is full: the first one is still in it

    def _watch(self) -> None:
        os.read(self._wake_reader, 1)
        if self._ended.is_set():
            return
        self._loop.call_soon_threadsafe(self.stop.set)
        if not self._ended.wait(self._timeout_s):
            os.write(2, b"not stopped in time: what is not durable is dropped\n")
            os._exit(EXIT_LATE)
