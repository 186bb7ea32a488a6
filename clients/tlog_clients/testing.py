"""A log for the unit tests of programs that append to one or read one.

    with FakeLog() as log:
        program_under_test(log.url, log.vkey)
        assert log.entries == [b"an entry"]

It listens on a free port of 127.0.0.1, so that any client works with it, and its tree, proofs and
signatures are real. Its key is public: never trust it outside a test.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiohttp import web

from tlog_clients.testing_http import make_app
from tlog_clients.testing_state import FakeState, ProblemError
from tlog_clients.testing_tree import FakeTree

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from tlog_proofs import Ed25519Verifier

_Result = TypeVar("_Result")
DEFAULT_ORIGIN = "fake.example/log"
_START_TIMEOUT_S = 10.0


class FakeLog:
    """An opaque log in memory behind a real listener; a context manager, `with` or `async with`.

    It serves the resources of C2SP tlog-tiles, entries, proofs, and `add` and `entries` with
    idempotency ids, from a thread of its own. Entry 0 is the genesis, as in every log of tlog.
    """

    def __init__(self, *, origin: str = DEFAULT_ORIGIN, token: str | None = None) -> None:
        """Make the log, with its genesis; it listens only inside the context.

        Args:
            origin: the log's name, and that of its key.
            token: which every request must bring; None for a log that anybody may use.

        Raises:
            MalformedGenesisError: no log may have that origin.
        """
        self._state = FakeState(FakeTree(origin), token)
        self._loop: asyncio.AbstractEventLoop | None = None  # runs in the thread
        self._thread: threading.Thread | None = None
        self._runner: web.AppRunner | None = None  # owned by the thread
        self._port = 0

    @property
    def url(self) -> str:
        """The log's address."""
        return f"http://127.0.0.1:{self._port}/logs/fake"

    @property
    def log_key(self) -> Ed25519Verifier:
        """The log's public key."""
        return self._state.tree.log_key

    @property
    def vkey(self) -> str:
        """The log's public key as text."""
        return self.log_key.vkey

    @property
    def entries(self) -> list[bytes]:
        """What was appended, in order: entry 1 of the log is the first, the genesis is left out."""
        return self._state.tree.entries[1:]

    @property
    def requests(self) -> list[str]:
        """Method and path of every request so far."""
        return list(self._state.requests)

    def append(self, entry: bytes) -> int:
        """Append an entry from the test itself and return its index."""
        return self._call(self._append(entry))

    def fail_next(
        self, status: int, times: int = 1, *, problem: str = "", retry_after_s: int | None = None
    ) -> None:
        """Refuse the next POST requests; nothing is appended by them.

        Args:
            status: of the answers.
            times: how many requests.
            problem: the last part of the problem type, as "queue-full".
            retry_after_s: sent as Retry-After.
        """
        for _ in range(times):
            error = ProblemError(status, problem or "planned", "The test planned this")
            error.retry_after_s = retry_after_s
            self._state.failures.append(error)

    def drop_answer(self, times: int = 1) -> None:
        """Take what the next POST requests append, and close the connection without an answer."""
        self._state.dropped += times

    def delay(self, seconds: float) -> None:
        """Wait before every answer from now on."""
        self._state.delay_s = seconds

    def hold_publication(self, *, held: bool = True) -> None:
        """Publish nothing more: appends that wait for it are answered 202. False publishes all."""
        self._call(self._hold(held=held))

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Be away: every connection is closed and no other accepted until the block ends."""
        self._call(self._hang_up())
        try:
            yield
        finally:
            self._call(self._listen())

    def __enter__(self) -> Self:
        """Begin to listen."""
        if self._loop is not None:
            raise RuntimeError("a FakeLog listens already")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=_run, args=[self._loop], name="fake-log", daemon=True
        )
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening; what was appended can still be looked at."""
        if self._loop is None or self._thread is None:
            return
        self._call(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop = None

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        await asyncio.to_thread(self.__exit__)

    def _call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        if self._loop is None:
            work.close()
            raise RuntimeError("FakeLog is used outside its context")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_START_TIMEOUT_S)

    async def _listen(self) -> None:
        self._runner = web.AppRunner(make_app(self._state), access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def _hang_up(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _append(self, entry: bytes) -> int:
        return self._state.append([(entry, None)])[0]

    async def _hold(self, *, held: bool) -> None:
        self._state.publishing = not held
        if not held:
            self._state.publish()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()
