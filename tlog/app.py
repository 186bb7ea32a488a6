"""The composition root: the one module that puts store, host, applications and sockets together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tlog.addresses import Address, bind
from tlog.api.app import make_local_app, make_public_app
from tlog.api.listener import Listener
from tlog.config import Config
from tlog.errors import LockHeldError
from tlog.host import Host
from tlog.local import LocalClient, bind_socket, remove_socket, socket_path
from tlog.store.base import Batch, Store
from tlog.store.leveldb import LevelDBStore
from tlog_clients.errors import NotReachableError

REQUEST_GRACE_S = 2.0  # of requests under way when shut-down begins, twice
COMMAND_WAIT_S = 10.0  # of a command for a server that is starting or stopping
POLL_S = 0.05


class LevelDBStores:
    """Opens and creates the stores of logs."""

    def __call__(self, directory: Path) -> Store:
        """Open an existing store."""
        return LevelDBStore(directory)

    def create(self, directory: Path, genesis: Batch) -> Store:
        """Make a store with its first batch."""
        return LevelDBStore.create(directory, genesis)


def open_host(config: Config) -> Host:
    """Lock a data directory and open what says which logs it has; raises as Host.open."""
    return Host.open(config, LevelDBStores())


async def serve(
    config: Config, address: Address, stop: asyncio.Event, announce: Callable[[str], None]
) -> None:
    """Serve a data directory until `stop` is set, then end in the order of FORMATS.md.

    Args:
        address: where to listen on TCP.
        announce: called with the URL once every listener is up and start-up is over.

    Raises:
        DataDirectoryError: its kinds, as Host.open. OSError: the address cannot be bound.
    """
    host = open_host(config)
    listeners: list[Listener] = []
    try:
        sockets, bound = bind(address)
        listeners.append(Listener(make_public_app(host), sockets, REQUEST_GRACE_S))
        local = bind_socket(config.data_dir)
        listeners.append(Listener(make_local_app(host), [local], REQUEST_GRACE_S))
        await host.start()
        for listener in listeners:
            await listener.start()
        await _until_started(host, stop)
        if not stop.is_set():
            announce(bound.url)
        await stop.wait()
    finally:
        await _end(host, listeners)


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
    deadline = asyncio.get_running_loop().time() + COMMAND_WAIT_S
    while True:
        try:
            host = open_host(config)
        except LockHeldError:
            pass
        else:
            async with _served_to_itself(host) as client:
                yield client
            return
        with socket_path(config.data_dir) as path:
            async with LocalClient(path) as client:
                if await client.answers():
                    yield client
                    return
        if asyncio.get_running_loop().time() > deadline:
            message = f"{config.data_dir} is held by a process that does not answer"
            raise NotReachableError(message)
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def _served_to_itself(host: Host) -> AsyncIterator[LocalClient]:
    """Serve a host on a socket of its own: other commands shall wait for the lock, not find us."""
    with TemporaryDirectory(prefix="tlog-") as name:
        listener = Listener(make_local_app(host), [bind_socket(Path(name))], REQUEST_GRACE_S)
        try:
            await host.start()
            await listener.start()
            with socket_path(Path(name)) as path:
                async with LocalClient(path) as client:
                    yield client
        finally:
            await _end(host, [listener])


async def _end(host: Host, listeners: Sequence[Listener]) -> None:
    """Not ready; nothing more is accepted; requests end; the host ends, and the lock is free."""
    host.begin_stop()
    try:
        await asyncio.gather(*(listener.close() for listener in listeners))
    finally:
        await host.stop()
        remove_socket(host.config.data_dir)
        host.release()
