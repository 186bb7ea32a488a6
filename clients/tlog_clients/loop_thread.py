"""An event loop in a thread of its own, for callers that have none or run another one."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import TypeVar

from tlog_clients.file_threads import FileThreads

_Result = TypeVar("_Result")
_FILE_THREADS = 4  # for files: of the trusted heads, of the cache


class LoopThread:
    """Runs coroutines for any number of threads; begins with the first one, and lasts until close.

    The thread is a daemon: a program that ends does not wait for what still runs.
    """

    def __init__(
        self,
        on_start: Callable[[], Coroutine[object, object, object]],
        on_close: Callable[[], Coroutine[object, object, object]],
    ) -> None:
        """Bind what is awaited in the loop before the first coroutine, and after the last."""
        self._on_start = on_start
        self._on_close = on_close
        self._lock = threading.RLock()  # reentrant: a garbage collection within may call run
        # Owned by the lock.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._is_ending = False
        self._process = 0

    def run(self, make: Callable[[], Coroutine[object, object, _Result]]) -> _Result:
        """Return what the coroutine of make() gives, awaited in the loop.

        Raises:
            RuntimeError: closed, before or meanwhile; called in the loop's own thread; or begun in
                another process, of which this one is a fork.
            Exception: whatever the coroutine raises.
        """
        self._check_process()
        if threading.current_thread() is self._thread:
            raise RuntimeError("called from within the log's own thread: use AsyncLog there")
        with self._lock:
            if self._is_closed:
                self._wait_for_the_end()
                raise RuntimeError("the log is closed")
            loop = self._loop or self._start()
            future = asyncio.run_coroutine_threadsafe(make(), loop)
        try:
            return future.result()
        except CancelledError:
            if not self.is_closed():
                raise
            self._wait_for_the_end()
            raise RuntimeError("the log was closed meanwhile") from None
        finally:
            future.cancel()  # of a caller that was interrupted; otherwise it is done

    def is_closed(self) -> bool:
        """Whether it was closed, so that run() would refuse."""
        return self._is_closed

    def close(self) -> None:
        """End everything that runs, and wait for it; again, and in a forked process, do nothing."""
        if self._process not in (0, os.getpid()):
            return
        with self._lock:
            is_first, self._is_closed = not self._is_closed, True
            loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        if is_first:
            loop.call_soon_threadsafe(loop.stop)
        if threading.current_thread() is not thread:  # garbage is collected in any thread
            thread.join()

    def end(self) -> None:
        """Close at the end of the program, or when nobody refers to it any more."""
        self._is_ending = True
        self.close()

    def _wait_for_the_end(self) -> None:
        """When the program ends under a daemon thread, end with it: an error would tell nobody."""
        main = threading.main_thread()
        if self._is_ending and not main.is_alive() and threading.current_thread() is not main:
            threading.Event().wait()

    def _check_process(self) -> None:
        if self._process not in (0, os.getpid()):
            raise RuntimeError(
                "the log was used before this process was forked: make a new one in each process"
            )

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        executor = FileThreads(_FILE_THREADS)
        loop.set_default_executor(executor)
        thread = threading.Thread(
            target=self._serve, args=(loop, executor), name="tlog-log", daemon=True
        )
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._on_start(), loop).result()
        except BaseException:
            loop.call_soon_threadsafe(loop.stop)
            raise
        self._loop, self._thread, self._process = loop, thread, os.getpid()
        return loop

    def _serve(self, loop: asyncio.AbstractEventLoop, executor: FileThreads) -> None:
        try:
            loop.run_forever()
            loop.run_until_complete(_cancel_others())
            loop.run_until_complete(self._on_close())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            executor.shutdown()
            loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
