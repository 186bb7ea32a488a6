"""What runs the blocking calls of an Appender's event loop.

The executors of the standard library refuse work as soon as the main thread has ended, though other
threads of the program may still append, and wait for what they run when the interpreter ends.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class DaemonExecutor(ThreadPoolExecutor):
    """Runs each call in a daemon thread of its own; made for few and short ones.

    A ThreadPoolExecutor, because asyncio takes no other as its default.
    """

    def submit(
        self,
        fn: Callable[Arguments, Result],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Future[Result]:
        """Run the call and return its future; as Executor.submit."""
        future: Future[Result] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - whoever waits is told
                future.set_exception(error)

        try:
            threading.Thread(target=run, name="tlog-appender-call", daemon=True).start()
        except RuntimeError:
            run()  # Python 3.12 starts no thread any more: then the loop waits for a short call
        return future
