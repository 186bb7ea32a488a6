"""Threads for what blocks, as files do, that work on after a program's main thread has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing import ParamSpec

    _Parameters = ParamSpec("_Parameters")

_Result = TypeVar("_Result")
_Work = tuple["Future[Any]", Callable[[], Any]]


class FileThreads(ThreadPoolExecutor):
    """A few daemon threads behind the interface of ThreadPoolExecutor, which event loops demand.

    Of that class itself no thread is used: it takes no work any more once the main thread has
    ended, though other threads of the program may run on for long.
    """

    def __init__(self, count: int) -> None:
        """Start the threads."""
        super().__init__(1)
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._workers = [
            threading.Thread(
                target=_work_through, args=(self._work,), name="tlog-files", daemon=True
            )
            for _ in range(count)
        ]
        for worker in self._workers:
            worker.start()

    def submit(
        self,
        fn: Callable[_Parameters, _Result],
        /,
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> Future[_Result]:
        """Have a thread call fn, as Executor.submit says."""
        future: Future[_Result] = Future()
        self._work.put((future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """End the threads after the work that is queued, as Executor.shutdown says."""
        for _ in self._workers:
            self._work.put(None)
        if wait:
            for worker in self._workers:
                worker.join()


def _work_through(work: SimpleQueue[_Work | None]) -> None:
    while (item := work.get()) is not None:
        future, call = item
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            future.set_exception(error)
