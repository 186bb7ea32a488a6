"""The worker's end: logs that lie in the core, with the interface that the API wants."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar, cast

import msgspec

from tlog.budget import QueueBudget, Reservation
from tlog.checkpoints import Published
from tlog.clock import SystemClock
from tlog.config import Config
from tlog.control import LogRow
from tlog.errors import OutcomeUnknownError, StoppingError
from tlog.facts import LogFacts
from tlog.idempotency import Placed
from tlog.ids import EntryId
from tlog.measures import HttpMeasures
from tlog.tokens import TokenTable
from tlog.workers import methods
from tlog.workers.messages import (
    Answer,
    AppendEach,
    AppendedEach,
    Call,
    Cancel,
    Failure,
    State,
)
from tlog.workers.methods import Method, error_of, failure_of
from tlog_proofs import EntryBundle, Tile

Result = TypeVar("Result")

# Entries of one message at most, of requests that came in one turn of the loop.
GATHER_ENTRIES = 256
GATHER_BYTES = 1024 * 1024


class Link:
    """Numbers calls and finds who waits for their answers; the loop owns it."""

    def __init__(self, send: Callable[[msgspec.Struct], None]) -> None:
        """Call by send."""
        self._send = send
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Answer | AppendedEach]] = {}
        self._lost = False

    def answered(self, message: Answer | AppendedEach | Failure) -> None:
        """The core answered a call."""
        waiting = self._waiting.pop(message.call, None)
        if waiting is None or waiting.done():
            return
        if isinstance(message, Failure):
            waiting.set_exception(error_of(message))
        else:
            waiting.set_result(message)

    def lose(self) -> None:
        """The core is gone: what it was asked to append may stand or not."""
        self._lost = True
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(OutcomeUnknownError("the server ended meanwhile"))
        self._waiting.clear()

    async def call(self, log: str, method: Method[Result], arguments: tuple[object, ...]) -> Result:
        """The result of a method in the core; raises what it raised."""
        number = self._next()
        waiting = self._expect(number)
        self._send(Call(number, log, method.name, method.encode_arguments(arguments)))
        try:
            answer = await waiting
        finally:
            del waiting  # it holds its error, whose traceback holds this frame and the arguments
            if self._waiting.pop(number, None) is not None:
                self._send(Cancel(number))
        return method.decode_result(cast("Answer", answer).result)

    def append_each(self, log: str, entries: list[bytes]) -> asyncio.Future[AppendedEach]:
        """Begin to append entries of several requests."""
        number = self._next()
        waiting = self._expect(number)
        self._send(AppendEach(number, log, entries))
        return cast("asyncio.Future[AppendedEach]", waiting)

    def _next(self) -> int:
        if self._lost:
            message = "the server is ending"
            raise StoppingError(message)
        return next(self._numbers)

    def _expect(self, number: int) -> asyncio.Future[Answer | AppendedEach]:
        waiting: asyncio.Future[Answer | AppendedEach] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        return waiting


class RemoteLog:
    """One log, as tlog.api.backend.LogBackend; appends of one turn of the loop go together."""

    def __init__(self, row: LogRow, link: Link, budget: QueueBudget) -> None:
        """The log of a row; budget: of what is still arriving here."""
        self.row = row
        self._link = link
        self._budget = budget
        self._gathered: list[tuple[bytes, asyncio.Future[Placed]]] = []

    def reserve(self) -> Reservation:
        """See LogBackend."""
        return Reservation(self._budget)

    async def append(self, entries: Sequence[bytes], ids: Sequence[EntryId | None] = ()) -> Placed:
        """See LogBackend."""
        if len(entries) != 1 or any(ids):
            # A whole request: a wait that is cancelled takes nothing back.
            call = self._call(methods.APPEND, list(entries), list(ids))
            return await asyncio.shield(asyncio.ensure_future(call))
        loop = asyncio.get_running_loop()
        if not self._gathered:
            loop.call_soon(self._send_gathered)
        placed: asyncio.Future[Placed] = loop.create_future()
        self._gathered.append((entries[0], placed))
        try:
            return await placed
        finally:
            del placed  # it holds its error, whose traceback holds this frame and the entry

    async def check_accepting(self) -> None:
        """See LogBackend."""
        await self._call(methods.CHECK_ACCEPTING)

    async def wait_published(self, size: int, timeout_s: float) -> Published | None:
        """See LogBackend."""
        return await self._call(methods.WAIT_PUBLISHED, size, timeout_s)

    async def read_facts(self) -> LogFacts:
        """See LogBackend."""
        return await self._call(methods.READ_FACTS)

    async def read_published(self) -> Published:
        """See LogBackend."""
        return await self._call(methods.READ_PUBLISHED)

    async def checkpoint_at(self, size: int) -> bytes:
        """See LogBackend."""
        return await self._call(methods.CHECKPOINT_AT, size)

    async def checkpoint_not_after(self, time_ms: int) -> bytes:
        """See LogBackend."""
        return await self._call(methods.CHECKPOINT_NOT_AFTER, time_ms)

    async def read_tile(self, tile: Tile) -> bytes:
        """See LogBackend."""
        return await self._call(methods.READ_TILE, tile)

    async def read_bundle(self, bundle: EntryBundle) -> bytes:
        """See LogBackend."""
        return await self._call(methods.READ_BUNDLE, bundle)

    async def read_entry(self, index: int) -> bytes:
        """See LogBackend."""
        return await self._call(methods.READ_ENTRY, index)

    async def inclusion(self, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
        """See LogBackend."""
        return await self._call(methods.INCLUSION, index, size)

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """See LogBackend."""
        return await self._call(methods.CONSISTENCY, old, new)

    async def find_leaf(self, leaf_hash: bytes) -> int:
        """See LogBackend."""
        return await self._call(methods.FIND_LEAF, leaf_hash)

    async def _call(self, method: Method[Result], *arguments: object) -> Result:
        return await self._link.call(self.row.name, method, arguments)

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        start = size = 0
        for number, (entry, _) in enumerate(gathered):
            if number - start == GATHER_ENTRIES or (size + len(entry) > GATHER_BYTES and size):
                self._send(gathered[start:number])
                start, size = number, 0
            size += len(entry)
        self._send(gathered[start:])

    def _send(self, part: list[tuple[bytes, asyncio.Future[Placed]]]) -> None:
        futures = [placed for _, placed in part]
        try:
            answer = self._link.append_each(self.row.name, [entry for entry, _ in part])
        except StoppingError as error:
            _fail(futures, error)
            return
        answer.add_done_callback(lambda done: _place_each(done, futures))


class RemoteBackend:
    """All logs of the core, as tlog.api.backend.Backend."""

    def __init__(self, config: Config, link: Link, state: State) -> None:
        """Know the logs and tokens of a state."""
        self.config = config
        self._link = link
        self._budget = QueueBudget(config.queue_bytes)
        self._logs: dict[str, RemoteLog] = {}
        self.tokens = TokenTable([], SystemClock())
        self.http_measures = HttpMeasures()
        self.http_measures.watch_arriving(lambda: self._budget.used_bytes)
        self.update(state)

    @property
    def logs(self) -> Mapping[str, RemoteLog]:
        """See Backend."""
        return MappingProxyType(self._logs)

    def update(self, state: State) -> None:
        """Know what there is from now on."""
        for row in state.logs:
            if row.name not in self._logs:
                self._logs[row.name] = RemoteLog(row, self._link, self._budget)
        for token in state.tokens:
            self.tokens.add(token)

    async def is_accepting(self) -> bool:
        """See Backend."""
        return await self._link.call("", methods.IS_ACCEPTING, ())


def _place_each(
    done: asyncio.Future[AppendedEach], futures: Sequence[asyncio.Future[Placed]]
) -> None:
    if done.cancelled():
        _fail(futures, OutcomeUnknownError("the server ended meanwhile"))
        return
    error = done.exception()
    if error is not None:
        _fail(futures, error)
        return
    answer = done.result()
    for offset, placed in enumerate(futures):
        index = answer.first_index + offset
        if not placed.done():
            placed.set_result(Placed((index,), (answer.leaf_hashes[offset],), index))


def _fail(futures: Iterable[asyncio.Future[Placed]], error: BaseException) -> None:
    """Each has an error of its own: to raise it adds to its traceback, and keeps frames alive."""
    failure = failure_of(0, error)
    for placed in futures:
        if not placed.done():
            placed.set_exception(error_of(failure))
            placed.exception()  # perhaps nobody waits for it any more
