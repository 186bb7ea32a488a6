"""What a running server looks at again and again: its certificates, its hold on its directory."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from tlog.clock import SystemClock
from tlog.config import Config
from tlog.host import Host
from tlog.tls import LoadedTls
from tlog.tls_files import TlsFiles, TlsWatch

AGAIN_S = 1.0  # before a watch is begun again
LOCK_LOOK_S = 1.0  # between two looks at the lock file
EXIT_LOCK_LOST = 1
_logger = structlog.get_logger("tlog.watching")


class UsesTls(Protocol):
    """What speaks TLS with certificates that may change."""

    def use_tls(self, tls: LoadedTls) -> None:
        """Do TLS with this from the next connection on."""


async def watch_tls(config: Config) -> TlsWatch | None:
    """The TLS files as they are now; None where HTTP is spoken plainly."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    files = TlsFiles(
        config.tls_cert, config.tls_key, config.tls_client_ca, config.tls_client_required
    )
    return await asyncio.to_thread(TlsWatch, files, SystemClock())


@asynccontextmanager
async def serving_new_certificates(
    watch: TlsWatch | None, host: Host, listeners: Sequence[UsesTls]
) -> AsyncIterator[None]:
    """Give listeners what the TLS files come to hold, at SIGHUP at once.

    The signal stays caught after the context, until the loop is closed: it ends no server.
    """
    if watch is None:
        yield
        return

    def use(tls: LoadedTls, expires: int) -> None:
        for listener in listeners:
            listener.use_tls(tls)
        host.measures.certificate_expires = expires

    host.measures.certificate_expires = watch.expires
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, watch.look)
    watching = loop.create_task(_keep_watching(watch, use))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _keep_watching(watch: TlsWatch, use: Callable[[LoadedTls, int], None]) -> None:
    """Begin the watch again when it ends by a defect: without it a certificate would run out."""
    while True:
        try:
            await watch.run(use)
        except Exception:
            _logger.exception("the watch of the TLS files ended, and is begun again")
        await asyncio.sleep(AGAIN_S)


@asynccontextmanager
async def guarding_directory(host: Host) -> AsyncIterator[None]:
    """Look again and again whether the directory is still ours alone."""
    guarding = asyncio.create_task(_guard(host))
    try:
        yield
    finally:
        guarding.cancel()
        await asyncio.gather(guarding, return_exceptions=True)


async def _guard(host: Host) -> None:
    """End the process as a crash would, once another one may write to the directory too.

    An orderly end would commit and sign what is under way, and remove the other's socket.
    """
    while await asyncio.to_thread(host.holds_directory):  # noqa: ASYNC110 - of a file
        await asyncio.sleep(LOCK_LOOK_S)
    _logger.error(
        "the lock file was removed or replaced while the server ran: another process may have the "
        "data directory; what is not durable is dropped",
        lock=str(host.config.data_dir / "lock"),
    )
    os._exit(EXIT_LOCK_LOST)
