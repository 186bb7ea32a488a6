"""The unix socket `DIR/tlog.sock`, both ends: whoever can open it is the operator.

It is bound and opened relative to a descriptor of DIR (`/proc/self/fd/N/tlog.sock`): the address
of a unix socket has at most 107 bytes, the path of DIR may have more.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from aiohttp import hdrs

from tlog.errors import DataDirectoryError
from tlog_clients.bounded_body import read_body
from tlog_clients.errors import FetchError, FetchTimeoutError, HttpStatusError, NotReachableError
from tlog_clients.problem import parse_problem

SOCKET_NAME = "tlog.sock"
SOCKET_MODE = 0o600
LOCAL_URL = "http://localhost"
REQUEST_TIMEOUT_S = 30.0
MAX_ANSWER_BYTES = 16 * 1024 * 1024


def bind_socket(data_dir: Path) -> socket.socket:
    """A socket bound to DIR/tlog.sock, not listening yet; only for the holder of the lock.

    A socket file that is there was left behind by a holder that is gone, and is removed.

    Raises:
        DataDirectoryError: it cannot be bound.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux gives the file the mode of the socket's own inode: private from the first moment,
        # without a umask, which other threads would share.
        os.fchmod(bound.fileno(), SOCKET_MODE)
        remove_socket(data_dir)
        with socket_path(data_dir) as path:
            bound.bind(path)
    except OSError as error:
        bound.close()
        message = f"binding {SOCKET_NAME} in {data_dir}: {error.strerror}"
        raise DataDirectoryError(message) from error
    return bound


def remove_socket(data_dir: Path) -> None:
    """Remove DIR/tlog.sock, if it is a socket; only for the holder of the lock."""
    path = data_dir / SOCKET_NAME
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()


@contextmanager
def socket_path(data_dir: Path) -> Iterator[str]:
    """A short path of DIR/tlog.sock, which works in this process inside the `with` only.

    Raises:
        DataDirectoryError: DIR cannot be opened.
    """
    try:
        directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        message = f"opening {data_dir}: {error.strerror}"
        raise DataDirectoryError(message) from error
    try:
        yield f"/proc/self/fd/{directory}/{SOCKET_NAME}"
    finally:
        os.close(directory)


def is_listened_at(data_dir: Path) -> bool:
    """Whether a server has DIR/tlog.sock, were it stopped or its lock file gone; asks it nothing.

    Raises:
        DataDirectoryError: DIR, which has such a file, cannot be opened.
    """
    if not (data_dir / SOCKET_NAME).exists():
        return False
    with socket_path(data_dir) as path, socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)  # noqa: FBT003 - the name of the method says it
        try:
            connection.connect(path)
        except BlockingIOError:
            return True  # it has many connections to accept
        except OSError:
            return False
        return True


class LocalClient:
    """Asks the server at a unix socket; an asynchronous context manager."""

    def __init__(self, path: str) -> None:
        """Ask at path, as from `socket_path`; nothing is opened before the context is entered."""
        self._path = path
        self._session: aiohttp.ClientSession | None = None  # owned by the context

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._session = aiohttp.ClientSession(
            LOCAL_URL,
            connector=self.connector(),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def connector(self) -> aiohttp.BaseConnector:
        """Another way to the same server, for clients of a log: its URLs begin with LOCAL_URL."""
        return aiohttp.UnixConnector(self._path)

    async def answers(self, within_s: float = REQUEST_TIMEOUT_S) -> bool:
        """Whether a server answers there in time: one that is stopped can be connected to."""
        try:
            async with asyncio.timeout(within_s):
                await self.request("GET", "/healthz")
        except (FetchError, TimeoutError):
            return False
        return True

    async def request(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """Send body as JSON, unless it is None, and return the JSON object of the answer.

        Raises:
            HttpStatusError: refused; carries the problem.
            NotReachableError: no server listens, or it went away.
            FetchError: no whole or no sensible answer.
        """
        if self._session is None:
            message = "LocalClient is used outside its context"
            raise RuntimeError(message)
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {hdrs.CONTENT_TYPE: "application/json"}
        try:
            async with self._session.request(method, path, data=data, headers=headers) as response:
                answer = await read_body(response, path, MAX_ANSWER_BYTES)
                if not response.ok:
                    raise HttpStatusError(path, response.status, parse_problem(answer))
                return msgspec.json.decode(answer, type=dict[str, object])
        except TimeoutError:
            message = f"{SOCKET_NAME}: no whole answer in time"
            raise FetchTimeoutError(message) from None
        except (aiohttp.ClientError, OSError, msgspec.DecodeError) as error:
            message = f"{SOCKET_NAME}: no answer ({type(error).__name__})"
            raise NotReachableError(message) from error
