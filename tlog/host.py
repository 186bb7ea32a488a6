"""The host: one data directory, opened and locked, with all its logs and tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType
from typing import ParamSpec, TypeVar

import structlog

from tlog.budget import QueueBudget
from tlog.clock import Clock, SystemClock
from tlog.config import Config
from tlog.control import ControlDatabase, LogRow
from tlog.creation import LogMaker, NewLog, StoreFactory
from tlog.disk import DiskWatch
from tlog.errors import (
    DataDirectoryError,
    NotFoundError,
    StoppingError,
    UsageError,
)
from tlog.facts import LogFacts
from tlog.heads import FileHeadStore
from tlog.ids import WeekKey
from tlog.lock import DirectoryLock
from tlog.log import Log
from tlog.log_parts import SharedParts
from tlog.measures import HttpMeasures, ServerMeasures
from tlog.startup import open_log
from tlog.tile_cache import TileCache
from tlog.token_keeper import TokenKeeper
from tlog.tokens import DEFAULT_LIFETIME_S, Scope, TokenRow, TokenTable

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")
_logger = structlog.get_logger("tlog.host")


class Host:
    """An opened data directory, from `open` to `stop` and `release`; all fields are the loop's."""

    def __init__(
        self,
        config: Config,
        lock: DirectoryLock,
        control: ControlDatabase,
        stores: StoreFactory,
        clock: Clock,
    ) -> None:
        self.config = config
        self.control = control
        self.measures = ServerMeasures()
        self._lock = lock
        self._clock = clock
        self._stores = stores
        self._heads = FileHeadStore(control.heads)
        self._maker = LogMaker(config.data_dir, control, self._heads, stores, clock)
        # control.db and creations: one call at a time.
        self._control_thread = ThreadPoolExecutor(1, thread_name_prefix="control")
        self._readers = ThreadPoolExecutor(config.reader_threads, thread_name_prefix="reader")
        self._shared = SharedParts(
            config=config,
            clock=clock,
            heads=self._heads,
            budget=QueueBudget(config.queue_bytes),
            cache=TileCache(config.tile_cache_bytes),
            disk=DiskWatch(config, control.heads),
            readers=self._readers,
            save_id_key=self._save_id_key,
            drop_id_keys=self._drop_id_keys,
        )
        self.tokens = TokenTable(control.tokens(), clock)
        self._keeper = TokenKeeper(self.tokens, clock, self._put_token, self._announce)
        self._logs: dict[str, Log] = {}
        self.logs: Mapping[str, Log] = MappingProxyType(self._logs)  # the open ones, by name
        # Held while a log is made: one at a time, and shut-down waits for it.
        self._creating = asyncio.Lock()
        self._observer: Callable[[], Awaitable[None]] | None = None
        self._publish = False
        self._started = False
        self._stopping = False
        self._disk_task: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, config: Config, stores: StoreFactory, clock: Clock | None = None) -> Host:
        """Lock the directory and open control.db; `start` opens the logs. Blocks.

        Raises:
            DataDirectoryError: not a data directory: names `tlog init`.
            LockHeldError: another process holds it. ControlDatabaseError: it is damaged.
        """
        path = config.data_dir / "control.db"
        if not path.exists():
            message = f"{config.data_dir} is no data directory: run `tlog init` first"
            raise DataDirectoryError(message)
        lock = DirectoryLock(config.data_dir)
        try:
            control = ControlDatabase(path)
            try:
                return cls(config, lock, control, stores, clock or SystemClock())
            except BaseException:
                control.close()
                raise
        except BaseException:
            lock.release()
            raise

    @property
    def http_measures(self) -> HttpMeasures:
        """What is counted of requests."""
        return self.measures.http

    @property
    def queue_bytes(self) -> int:
        """Bytes that wait for a commit, or arrive."""
        return self._shared.budget.used_bytes

    @property
    def disk_free_bytes(self) -> int | None:
        """Free bytes for data, as measured last."""
        return self._shared.disk.free_bytes

    @property
    def accepting(self) -> bool:
        """Ready: start-up is over, shut-down has not begun, every log accepts appends."""
        return (
            self._started
            and not self._stopping
            and self._shared.disk.problem is None
            and all(log.state == "ready" for log in self._logs.values())
        )

    async def is_accepting(self) -> bool:
        """See accepting."""
        return self.accepting

    def holds_directory(self) -> bool:
        """Whether the lock that was taken is still that of the directory; blocks."""
        return self._lock.is_in_place()

    @property
    def stopping(self) -> bool:
        """Shut-down has begun."""
        return self._stopping

    async def start(self, *, publish: bool = True) -> None:
        """Open every log of control.db and begin its work; a log that refuses is read-only.

        publish=False opens them for who only looks: nothing is appended, signed or indexed.
        """
        await asyncio.to_thread(self._shared.disk.measure)
        self._disk_task = asyncio.create_task(self._shared.disk.run())
        if self._on_one_file_system():
            _logger.warning(
                "heads lie on the same file system as the data: a restored disk brings both "
                "back; `tlog init --heads` puts them elsewhere",
                heads=str(self.control.heads),
            )
        self._publish = publish
        for row in await self._control_call(self.control.logs):
            await self._open(row)
        self._started = publish

    def observe(self, observer: Callable[[], Awaitable[None]] | None) -> None:
        """Await observer after each change of logs or tokens, before it is answered."""
        self._observer = observer

    async def create_log(
        self,
        new: NewLog,
        creator: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> LogFacts:
        """Make a log and open it. Cancelling waits for that: what exists must be open.

        Args:
            creator: the id of a token, whose logs the new one joins.
            check: called when it is this log's turn; raises why it may not be made any more.

        Raises:
            UsageError, AlreadyExistsError, StoreError: as LogMaker.create.
        """
        async with self._creating:
            self._check_running()
            check()
            if len(self._logs) >= self.config.open_logs:
                message = f"at most {self.config.open_logs} logs may be open in one server"
                raise UsageError(message)
            making = asyncio.create_task(self._make(new, creator))
            try:
                return await asyncio.shield(making)
            except asyncio.CancelledError:
                await asyncio.wait([making])
                raise

    async def _make(self, new: NewLog, creator: str | None) -> LogFacts:
        row = await self._control_call(self._maker.create, new)
        log = await self._open(row)
        try:
            if creator is not None:
                await self._keeper.extend(creator, new.name)
        finally:
            await self._announce()  # the log exists, whatever becomes of the token
        return log.facts

    async def create_token(
        self, logs: Sequence[str], scopes: Sequence[Scope], lifetime_s: int = DEFAULT_LIFETIME_S
    ) -> str:
        """Make a token for existing logs, durably; the returned text is kept nowhere.

        Raises:
            NotFoundError: no such log. UsageError: no log, no scope or no lifetime.
        """
        self._check_logs(logs)
        return await self._keeper.create_token(logs, scopes, lifetime_s)

    async def create_certificate(
        self,
        key_hash: bytes,
        logs: Sequence[str],
        scopes: Sequence[Scope],
        lifetime_s: int = DEFAULT_LIFETIME_S,
    ) -> str:
        """Let certificates of a public key in (ClientCertificate.key_hash), durably; the id.

        Raises:
            NotFoundError, UsageError: as create_token.
            AlreadyExistsError: the key has a row that is valid.
        """
        self._check_logs(logs)
        return await self._keeper.create_certificate(key_hash, logs, scopes, lifetime_s)

    async def revoke_token(self, token_id: str) -> None:
        """Make a token invalid, at once and durably; NotFoundError for an unknown id."""
        self._check_running()
        await self._keeper.revoke(token_id)

    def _check_logs(self, names: Sequence[str]) -> None:
        self._check_running()
        for name in names:
            self.log(name)

    async def confirm_clock(self, name: str) -> None:
        """An operator vouches for the clock of a log; NotFoundError for an unknown one."""
        self.log(name).confirm_clock()

    def log(self, name: str) -> Log:
        """The open log of that name, or NotFoundError."""
        log = self._logs.get(name)
        if log is None:
            message = f"no log named {name}"
            raise NotFoundError(message)
        return log

    def begin_stop(self) -> None:
        """Shut-down begins: not ready, no more appends, who waits is released."""
        self._stopping = True
        for log in self._logs.values():
            log.begin_stop()

    async def stop(self) -> None:
        """Commit what is queued, publish it, close every database; `release` comes last."""
        self.begin_stop()
        async with self._creating:
            self.begin_stop()  # of a log that was being made just now too
        if self._disk_task is not None:
            self._disk_task.cancel()
            await asyncio.gather(self._disk_task, return_exceptions=True)
        await asyncio.gather(*(log.stop() for log in self._logs.values()))
        # LevelDB must not be closed under a read: the readers end first.
        await asyncio.to_thread(self._readers.shutdown)
        for log in self._logs.values():
            await asyncio.to_thread(log.close)
        await self._control_call(self.control.close)
        await asyncio.to_thread(self._control_thread.shutdown)

    def release(self) -> None:
        """Let another process have the directory: nothing of it is open or bound any more."""
        self._lock.release()

    async def _open(self, row: LogRow) -> Log:
        directory = self.config.data_dir / "logs" / row.name
        id_keys = await self._control_call(self.control.id_keys, row.name)
        now_s = self._clock.wall_ms() // 1000
        opened = await asyncio.to_thread(
            open_log, row, directory, self._heads, self._stores, id_keys, now_s
        )
        log = Log(row, opened, id_keys, self._shared)
        self._logs[row.name] = log
        if self._publish:
            await log.start()
        return log

    async def _announce(self) -> None:
        if self._observer is not None:
            await self._observer()

    def _check_running(self) -> None:
        if self._stopping:
            message = "the server is shutting down"
            raise StoppingError(message)

    def _on_one_file_system(self) -> bool:
        try:
            return self.control.heads.stat().st_dev == self.config.data_dir.stat().st_dev
        except OSError:
            return False

    async def _put_token(self, row: TokenRow) -> None:
        await self._control_call(self.control.put_token, row)

    async def _save_id_key(self, log_name: str, key: WeekKey) -> None:
        await self._control_call(self.control.add_id_key, log_name, key)

    async def _drop_id_keys(self, log_name: str, before_week: int) -> None:
        await self._control_call(self.control.destroy_id_keys, log_name, before_week)

    async def _control_call(
        self,
        call: Callable[Parameters, Answer],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Answer:
        """Run a blocking call on control.db in its one thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._control_thread, partial(call, *args, **kwargs))
