"""The files of TLS: read as one moment had them, and looked at again while the server runs."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from tlog.clock import Clock
from tlog.errors import TlsFileError
from tlog.tls import LoadedTls, TlsMaterial, expiry_of

MAX_FILE_BYTES = 1024 * 1024
FORBIDDEN_KEY_MODE = 0o027  # others may do nothing with a key, its group may read it
LOOK_S = 5.0  # between two looks at the files
DAY_S = 24 * 3600
SOON_S = 14 * DAY_S  # before the end of a certificate
_LOGGER = structlog.get_logger("tlog.tls")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the server's certificate with its chain, its key and its clients' authorities are."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    client_required: bool = False

    def read(self) -> TlsMaterial:
        """What the files hold, whether it can be used or not; blocks.

        Raises:
            TlsFileError: one cannot be read, or too many can read the key.
        """
        return TlsMaterial(
            _read(self.certificate),
            _read(self.key, forbidden_mode=FORBIDDEN_KEY_MODE),
            None if self.client_ca is None else _read(self.client_ca),
            self.client_required,
        )


class TlsWatch:
    """Keeps TLS as its files have it: from `run` on, until that is cancelled; the loop owns it.

    What cannot be used changes nothing, and is said once; it is looked at again all the same, so
    that a certificate whose key comes a moment later is taken with it.
    """

    def __init__(self, files: TlsFiles, clock: Clock, *, look_s: float = LOOK_S) -> None:
        """Read the files; blocks.

        Raises:
            TlsFileError: what they hold cannot be used.
        """
        self._files = files
        self._clock = clock
        self._look_s = look_s
        self._woken = asyncio.Event()
        self._said = ""
        self._warned_s: int | None = None
        self.material = files.read()
        self.expires = _load(self.material)[1]

    def look(self) -> None:
        """Look at the files now."""
        self._woken.set()

    async def run(self, use: Callable[[LoadedTls, int], None]) -> None:
        """Look again and again; use is called with whatever is new, and when it expires."""
        while True:
            self._warn_of_expiry()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await self._woken.wait()
            self._woken.clear()
            try:
                found = await asyncio.to_thread(self._read_changed)
                if found is not None:
                    use(*found)
            except (TlsFileError, OSError) as error:  # the second: no descriptors left, perhaps
                if str(error) != self._said:
                    self._said = str(error)
                    _LOGGER.error(  # noqa: TRY400 - the sentence says it all
                        "the new TLS files cannot be used, the server goes on with what it has",
                        reason=self._said,
                    )
                continue
            self._said = ""
            if found is not None:
                self.material, self.expires = found[0].material, found[1]
                self._warned_s = None
                _LOGGER.info("new TLS files are in use", expires=self.expires)

    def _read_changed(self) -> tuple[LoadedTls, int] | None:
        """What the files hold with its expiry; None when it is what is in use."""
        material = self._files.read()
        return None if material == self.material else _load(material)

    def _warn_of_expiry(self) -> None:
        """Say once a day that the certificate ends soon."""
        now_s = self._clock.wall_ms() // 1000
        if self.expires - now_s >= SOON_S:
            return
        if self._warned_s is None or now_s - self._warned_s >= DAY_S:
            self._warned_s = now_s
            _LOGGER.warning(
                "the TLS certificate ends soon or has ended",
                expires=self.expires,
                days_left=(self.expires - now_s) // DAY_S,
            )


def _load(material: TlsMaterial) -> tuple[LoadedTls, int]:
    """What to do TLS with, and when the certificate expires (POSIX seconds)."""
    return LoadedTls.of(material), expiry_of(material.certificate)


def _read(path: Path, forbidden_mode: int = 0) -> bytes:
    """The bytes of a regular file."""
    try:
        # Not blocking: a named pipe would hold the server until somebody writes into it.
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                message = f"{path}: expected a regular file"
                raise TlsFileError(message)
            if status.st_mode & forbidden_mode:
                mode = stat.S_IMODE(status.st_mode)
                message = (
                    f"{path}: its mode {mode:04o} lets others at the key; expected 0600, or 0640 "
                    "for a group that may read it (chmod)"
                )
                raise TlsFileError(message)
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise TlsFileError(message) from error
    if len(content) > MAX_FILE_BYTES:
        message = f"{path}: expected at most {MAX_FILE_BYTES} bytes"
        raise TlsFileError(message)
    return content


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
