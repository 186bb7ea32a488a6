"""The composition root: the one module that puts store, host, applications and sockets together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from tlog import confirmation
from tlog.addresses import Address, bind
from tlog.api.app import make_admin_app, make_local_app, make_public_app
from tlog.api.connection_table import ConnectionLimits
from tlog.api.listener import Listener
from tlog.clock import SystemClock
from tlog.config import Config
from tlog.creation import init_directory
from tlog.errors import DataDirectoryError, LockHeldError
from tlog.fsck import check
from tlog.fsck.damage import Progress, Report
from tlog.host import Host
from tlog.local import LocalClient, bind_socket, is_listened_at, remove_socket, socket_path
from tlog.store.base import Batch, Store
from tlog.store.leveldb import LevelDBStore
from tlog.store.leveldb_rows import LevelDBRows
from tlog.tls import TlsMaterial
from tlog.watching import UsesTls, guarding_directory, serving_new_certificates, watch_tls
from tlog.workers.pool import WorkerPool
from tlog_clients.errors import NotReachableError

LOCAL_LIMITS = ConnectionLimits(256, 256)  # beside those of TCP, which cannot starve them
REQUEST_GRACE_S = 2.0  # of requests under way when shut-down begins, twice
COMMAND_WAIT_S = 10.0  # of a command for a server that is starting or stopping
SERVE_WAIT_S = 5.0  # of a server for a command that has the directory for a moment
POLL_S = 0.05


class Served(Protocol):
    """What accepts connections from `start` to `close`."""

    async def start(self) -> None:
        """Accept."""

    async def close(self) -> None:
        """Accept nothing more; return when no request is under way."""


class ServedOverTcp(Served, UsesTls, Protocol):
    """What accepts connections over TCP, and over TLS."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a server listens on TCP; admin: for administrators, if anywhere."""

    public: Address
    admin: Address | None = None


@dataclass(frozen=True, slots=True)
class Urls:
    """Where a server is reached: as Addresses, with the ports that were taken."""

    public: str
    admin: str | None


class LevelDBStores:
    """Opens and creates the stores of logs."""

    def __call__(self, directory: Path) -> Store:
        """Open an existing store."""
        return LevelDBStore(directory)

    def create(self, directory: Path, genesis: Batch) -> Store:
        """Make a store with its first batch."""
        return LevelDBStore.create(directory, genesis)


def open_host(config: Config) -> Host:
    """Lock a data directory and open what says which logs it has; raises as Host.open.

    A server whose lock file was removed is found by its socket, even if it answers nothing.
    """
    if is_listened_at(config.data_dir):
        message = f"a server listens at the socket of {config.data_dir}"
        raise LockHeldError(message)
    return Host.open(config, LevelDBStores())


async def make_directory(data_dir: Path) -> None:
    """Make a data directory, unless it is one or somebody else makes it at this moment.

    Raises:
        DataDirectoryError: its kinds, as init_directory; LockHeldError after COMMAND_WAIT_S.
    """
    deadline = asyncio.get_running_loop().time() + COMMAND_WAIT_S
    while not _is_data_directory(data_dir):
        try:
            await asyncio.to_thread(init_directory, data_dir)
        except LockHeldError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(POLL_S)
        except DataDirectoryError:
            if not _is_data_directory(data_dir):
                raise


def _is_data_directory(path: Path) -> bool:
    return (path / "control.db").exists()


def check_log(data_dir: Path, name: str, progress: Progress) -> Report:
    """Check every stored row of a log whose server is stopped; raises as tlog.fsck.check."""
    now_s = SystemClock().wall_ms() // 1000
    return check.check_log(data_dir, name, LevelDBRows, progress, now_s)


def confirm_ids(data_dir: Path, name: str) -> int:
    """Let a log whose server is stopped go on without its ids; raises as tlog.confirmation."""
    return confirmation.confirm_ids(data_dir, name, LevelDBStores(), SystemClock())


async def serve(
    config: Config, addresses: Addresses, stop: asyncio.Event, announce: Callable[[Urls], None]
) -> None:
    """Serve a data directory until `stop` is set, then end in the order of FORMATS.md.

    Args:
        announce: called with the URLs once every listener is up and start-up is over.

    Raises:
        DataDirectoryError: its kinds, as Host.open. OSError: an address cannot be bound.
        TlsFileError: TLS cannot be done with the files of the configuration.
    """
    watch = await watch_tls(config)
    tls = None if watch is None else watch.material
    scheme = "http" if tls is None else "https"
    host = await _open_host_soon(config)
    listeners: list[Served] = []
    async with _ending(host, listeners):
        sockets, bound = bind(addresses.public)
        over_tcp = [_public_listener(host, sockets, tls)]
        admin_url = None
        if addresses.admin is not None:
            sockets, bound_admin = bind(addresses.admin)
            admin_url = bound_admin.url(scheme)
            over_tcp.append(_admin_listener(host, sockets, tls))
        listeners += [*over_tcp, _local_listener(host, config.data_dir)]
        async with serving_new_certificates(watch, host, over_tcp), guarding_directory(host):
            await host.start()
            for listener in listeners:
                await listener.start()
            await _until_started(host, stop)
            if not stop.is_set():
                announce(Urls(bound.url(scheme), admin_url))
            await stop.wait()


async def _open_host_soon(config: Config) -> Host:
    """Open the host; a command that holds the lock for a moment is waited for, a server is not."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SERVE_WAIT_S
    while True:
        try:
            return open_host(config)
        except LockHeldError:
            left_s = deadline - loop.time()
            if left_s <= 0 or await _is_served(config, left_s):
                raise
        await asyncio.sleep(POLL_S)


async def _is_served(config: Config, within_s: float) -> bool:
    """Whether a server answers at the directory's socket in time."""
    with socket_path(config.data_dir) as path:
        async with LocalClient(path) as client:
            return await client.answers(within_s)


async def _until_started(host: Host, stop: asyncio.Event) -> None:
    """Wait until no log is being brought up to date any more; a read-only one counts as started."""
    # Polled: once in the life of a server, and many logs change state in many ways.
    while any(log.state == "starting" for log in host.logs.values()) and not stop.is_set():  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def local_client(config: Config) -> AsyncIterator[LocalClient]:
    """A client with an operator's rights on a data directory, whether a server has it or not.

    If nobody holds the lock, this process takes it and serves the directory to itself for as long.

    Raises:
        DataDirectoryError: its kinds except LockHeldError, as Host.open.
        NotReachableError: somebody holds the lock and no server answered within COMMAND_WAIT_S.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + COMMAND_WAIT_S
    while True:
        if is_listened_at(config.data_dir):
            with socket_path(config.data_dir) as path:
                async with LocalClient(path) as client:
                    if await client.answers(deadline - loop.time()):
                        yield client
                        return
        try:
            host = open_host(config)
        except LockHeldError:
            pass
        else:
            async with _served_to_itself(host) as client:
                yield client
            return
        if loop.time() > deadline:
            message = f"{config.data_dir} is held by a process that does not answer"
            raise NotReachableError(message)
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def _served_to_itself(host: Host) -> AsyncIterator[LocalClient]:
    """Serve a host on a socket of its own: other commands shall wait for the lock, not find us."""
    with TemporaryDirectory(prefix="tlog-") as name:
        listeners: list[Served] = []
        async with _ending(host, listeners):
            listeners.append(_local_listener(host, Path(name)))
            await host.start(publish=False)  # a command looks, and makes: it signs for no log
            await listeners[0].start()
            with socket_path(Path(name)) as path:
                async with LocalClient(path) as client:
                    yield client


def _public_listener(
    host: Host, sockets: Sequence[socket.socket], tls: TlsMaterial | None
) -> ServedOverTcp:
    """What serves TCP: this process, or workers."""
    config = host.config
    if config.workers > 1:
        return WorkerPool(host, sockets, config.workers, REQUEST_GRACE_S, tls)
    limits = _limits(config.connections)
    return Listener(make_public_app(host), sockets, REQUEST_GRACE_S, limits, tls)


def _admin_listener(
    host: Host, sockets: Sequence[socket.socket], tls: TlsMaterial | None
) -> Listener:
    limits = _limits(host.config.admin_connections)
    return Listener(make_admin_app(host), sockets, REQUEST_GRACE_S, limits, tls)


def _limits(connections: int) -> ConnectionLimits:
    """So many connections, half of them from one address."""
    return ConnectionLimits(connections, max(1, connections // 2))


def _local_listener(host: Host, directory: Path) -> Listener:
    return Listener(make_local_app(host), [bind_socket(directory)], REQUEST_GRACE_S, LOCAL_LIMITS)


@asynccontextmanager
async def _ending(host: Host, listeners: Sequence[Served]) -> AsyncIterator[None]:
    """End the host and its listeners with the block; the block's own error is the one raised."""
    try:
        yield
    except BaseException as error:
        try:
            await _end(host, listeners)
        except Exception as late:  # noqa: BLE001 - said beside the error that came first
            error.add_note(f"and while ending: {late}")
        raise
    await _end(host, listeners)


async def _end(host: Host, listeners: Sequence[Served]) -> None:
    """Not ready; nothing more is accepted; requests end; the host ends, and the lock is free."""
    host.begin_stop()
    try:
        await asyncio.gather(*(listener.close() for listener in listeners))
    finally:
        try:
            await host.stop()
        finally:
            try:
                remove_socket(host.config.data_dir)
            finally:
                host.release()
