"""The core's end of a worker's calls: carried out on the host, as if they were made here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec
import structlog

from tlog.errors import NotFoundError, ServerError
from tlog.host import Host
from tlog.log import Log
from tlog.workers.messages import (
    Answer,
    AppendEach,
    AppendedEach,
    Call,
    Cancel,
)
from tlog.workers.methods import BACKEND_METHODS, LOG_METHODS, failure_of

_LOGGER = structlog.get_logger("tlog.workers")


class Calls:
    """Carries out the calls of one worker; a worker that is gone is waited for by nothing."""

    def __init__(self, host: Host, send: Callable[[msgspec.Struct], None]) -> None:
        """Answer by send."""
        self._host = host
        self._send = send
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def begin(self, message: Call | AppendEach | Cancel) -> None:
        """Begin what a message asks for; its answer is sent when it is there."""
        if isinstance(message, Cancel):
            task = self._tasks.get(message.call)
            if task is not None:
                task.cancel()
            return
        task = asyncio.get_running_loop().create_task(self._answer(message))
        self._tasks[message.call] = task
        # Not in the task: one that is cancelled before its first step never runs.
        task.add_done_callback(partial(self._forget, message.call))

    def cancel(self) -> None:
        """Nobody waits for any answer any more; what was queued is committed all the same."""
        for task in self._tasks.values():
            task.cancel()

    def _forget(self, call: int, done: asyncio.Task[None]) -> None:
        del done
        del self._tasks[call]

    async def _answer(self, message: Call | AppendEach) -> None:
        try:
            if isinstance(message, AppendEach):
                self._send(await self._append_each(message))
            else:
                self._send(await self._do(message))
        except Exception as error:
            if not isinstance(error, ServerError):
                _LOGGER.exception("a worker's call failed")
            self._send(failure_of(message.call, error))

    async def _do(self, message: Call) -> Answer:
        target: Log | Host
        if message.log:
            method, target = LOG_METHODS[message.method], self._log(message.log)
        else:
            method, target = BACKEND_METHODS[message.method], self._host
        arguments = method.decode_arguments(message.arguments)
        result = await getattr(target, method.name)(*arguments)
        return Answer(message.call, method.encode_result(result))

    async def _append_each(self, message: AppendEach) -> AppendedEach:
        placed = await self._log(message.log).append(message.entries)
        return AppendedEach(message.call, placed.indexes[0], list(placed.leaf_hashes))

    def _log(self, name: str) -> Log:
        log = self._host.logs.get(name)
        if log is None:
            message = "there is no such log"
            raise NotFoundError(message)
        return log
