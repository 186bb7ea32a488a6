"""The files of TLS: what is refused, and what happens when they change while the server runs."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from structlog.testing import LogCapture
from structlog.typing import EventDict

from tests.certificates import Certificate
from tlog import tls_files
from tlog.clock import SystemClock
from tlog.errors import TlsFileError
from tlog.tls import LoadedTls, TlsMaterial, expiry_of, make_context
from tlog.tls_files import TlsFiles, TlsWatch

LIMIT_S = 20.0
AUTHORITY = Certificate.authority()


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    """A certificate and its key."""
    return TlsFiles(*AUTHORITY.issue("server").write(tmp_path, "server"))


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[EventDict]:
    """What the watch logs, whatever the log of this process is set to."""
    capture = LogCapture()
    logger = structlog.wrap_logger(
        None, processors=[capture], wrapper_class=structlog.stdlib.BoundLogger
    )
    monkeypatch.setattr(tls_files, "_LOGGER", logger)
    return capture.entries


def test_material_tells_nothing_of_the_key(files: TlsFiles) -> None:
    """Whatever shows it in an error or a log shows no secret."""
    material = files.read()
    assert b"PRIVATE KEY" in material.key
    assert "PRIVATE" not in repr(material)


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o644, 0o660, 0o601])
def test_a_key_that_others_can_read_or_change_is_refused(files: TlsFiles, mode: int) -> None:
    """The sentence names the file, its mode and what is expected."""
    files.key.chmod(mode)
    with pytest.raises(TlsFileError, match=f"server.key: its mode {mode:04o} .* expected 0600"):
        files.read()


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_key_for_its_owner_or_its_group_is_taken(files: TlsFiles, mode: int) -> None:
    """A group may read: that is how certificates are shared with a service."""
    files.key.chmod(mode)
    assert make_context(files.read()).minimum_version is ssl.TLSVersion.TLSv1_2


def _encrypted() -> bytes:
    key = AUTHORITY.issue("x").key
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("certificate", "key", "authorities", "sentence"),
    [
        (None, AUTHORITY.issue("other").key_pem, None, "the key is not that of the certificate"),
        (None, _encrypted(), None, "the key is encrypted"),
        (None, b"", None, "certificate and key: "),
        (None, b"no key", None, "certificate and key: "),
        (b"", None, None, "certificate and key: expected PEM"),
        (b"no certificate", None, None, "certificate and key: expected PEM"),
        (AUTHORITY.pem[:200], None, None, "certificate and key: "),
        (None, None, b"", "clients' authorities"),
        (None, None, b"none", "clients' authorities"),
    ],
)
def test_what_openssl_cannot_use_is_refused_in_a_sentence(
    certificate: bytes | None, key: bytes | None, authorities: bytes | None, sentence: str
) -> None:
    """No error of OpenSSL gets through, and no prompt for a pass phrase comes."""
    pair = AUTHORITY.issue("server")
    material = TlsMaterial(
        pair.pem if certificate is None else certificate,
        pair.key_pem if key is None else key,
        authorities,
    )
    with pytest.raises(TlsFileError, match=sentence):
        make_context(material)


def test_what_is_no_file_of_a_sensible_size_is_refused(files: TlsFiles, tmp_path: Path) -> None:
    """Absent, a directory, a pipe that nobody writes to, and one that is too large."""
    with pytest.raises(TlsFileError, match="absent: No such file"):
        replace(files, certificate=tmp_path / "absent").read()
    with pytest.raises(TlsFileError, match="Is a directory"):
        replace(files, certificate=tmp_path).read()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TlsFileError, match="pipe: expected a regular file"):
        replace(files, certificate=tmp_path / "pipe").read()
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(TlsFileError, match="large: expected at most 1048576 bytes"):
        replace(files, certificate=tmp_path / "large").read()


class _Watched:
    """What a watch has handed out."""

    def __init__(self, watch: TlsWatch) -> None:
        self.watch = watch
        self.used: list[TlsMaterial] = []
        self.failures: list[OSError] = []  # of using it, one each

    def use(self, tls: LoadedTls, expires: int) -> None:
        """What the watch calls."""
        if self.failures:
            raise self.failures.pop()
        assert expires == expiry_of(tls.material.certificate)
        self.used.append(tls.material)

    async def until_used(self, count: int) -> None:
        """Wait for so many."""
        async with asyncio.timeout(LIMIT_S):
            while len(self.used) < count:  # noqa: ASYNC110 - what is waited for lies in the watch
                await asyncio.sleep(0.01)

    async def look(self, logs: list[EventDict], count: int) -> None:
        """Have the files looked at until so many lines are logged, and a few times more."""
        async with asyncio.timeout(LIMIT_S):
            while len(logs) < count:
                self.watch.look()
                await asyncio.sleep(0.01)
        for _ in range(5):
            self.watch.look()
            await asyncio.sleep(0.02)


@asynccontextmanager
async def _watching(files: TlsFiles, look_s: float = LIMIT_S) -> AsyncIterator[_Watched]:
    watched = _Watched(TlsWatch(files, SystemClock(), look_s=look_s))
    running = asyncio.create_task(watched.watch.run(watched.use))
    try:
        yield watched
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("look_s", [0.05, LIMIT_S], ids=["by itself", "when told"])
async def test_a_new_pair_is_taken(files: TlsFiles, tmp_path: Path, look_s: float) -> None:
    """Renamed into place as it should be, or through links as Kubernetes does."""
    async with _watching(files, look_s) as watched:
        for name in ("second", "third"):
            pair = AUTHORITY.issue(name)
            certificate, key = pair.write(tmp_path, name)
            certificate.rename(files.certificate)
            key.rename(files.key)
            if look_s == LIMIT_S:
                watched.watch.look()
            await watched.until_used(1)
            taken = watched.used.pop()
            assert (taken.certificate, taken.key) == (pair.pem, pair.key_pem)
            assert watched.watch.expires == pair.certificate.not_valid_after_utc.timestamp()


@pytest.mark.parametrize("spoiled", ["another key", "too open", "absent", "no PEM"])
async def test_what_cannot_be_used_changes_nothing_and_is_said_once(
    files: TlsFiles, tmp_path: Path, logs: list[EventDict], spoiled: str
) -> None:
    """The old pair goes on; as soon as the new one is whole it is taken."""
    pair = AUTHORITY.issue("renewed")
    async with _watching(files) as watched:
        before = watched.watch.material
        files.certificate.write_bytes(pair.pem)
        if spoiled == "too open":
            files.key.write_bytes(pair.key_pem)
            files.key.chmod(0o644)
        elif spoiled == "absent":
            files.key.unlink()
        elif spoiled == "no PEM":
            files.certificate.write_bytes(b"")
        await watched.look(logs, 1)
        assert watched.used == []
        assert watched.watch.material == before
        assert [line["log_level"] for line in logs] == ["error"]
        assert "goes on with what it has" in str(logs[0]["event"])
        assert "PRIVATE" not in str(logs)
        pair.write(tmp_path, "server")
        files.key.chmod(0o600)
        watched.watch.look()
        await watched.until_used(1)
        assert watched.used[0].certificate == pair.pem


async def test_what_cannot_be_used_at_this_moment_is_used_later(
    files: TlsFiles, tmp_path: Path, logs: list[EventDict]
) -> None:
    """Without a free descriptor no context can be made: it is tried again, and the watch lives."""
    async with _watching(files, 0.05) as watched:
        watched.failures = [OSError(24, "Too many open files")] * 2
        pair = AUTHORITY.issue("renewed")
        pair.write(tmp_path, "server")
        await watched.until_used(1)
        assert watched.used[0].certificate == pair.pem
    reasons = [line["reason"] for line in logs if line["log_level"] == "error"]
    assert reasons.count("[Errno 24] Too many open files") == 1


async def test_what_came_right_and_wrong_again_is_said_again(
    files: TlsFiles, tmp_path: Path, logs: list[EventDict]
) -> None:
    """The same error, after files that could be used; and so is another end that is near."""
    async with _watching(files) as watched:
        for number in (1, 2):
            files.certificate.write_bytes(b"")
            await watched.look(logs, len(logs) + 1)
            AUTHORITY.issue("renewed", days=5).write(tmp_path, "server")
            watched.watch.look()
            await watched.until_used(number)
            await watched.look(logs, 1)
            levels = [line["log_level"] for line in logs]
            assert (levels.count("info"), levels.count("warning")) == (number, number)
            assert levels.count("error") >= number


def test_nothing_is_negotiated_anew(files: TlsFiles) -> None:
    """A client of TLS 1.2 could have the server do a handshake after another."""
    assert make_context(files.read()).options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize(("days", "lines"), [(15, 0), (13, 1), (-1, 1)])
async def test_a_certificate_that_ends_soon_is_said_once_a_day(
    tmp_path: Path, logs: list[EventDict], days: int, lines: int
) -> None:
    """From two weeks before its end on, with how many days are left."""
    pair = AUTHORITY.issue("server", days=days)
    files = TlsFiles(*pair.write(tmp_path, "server"))
    async with _watching(files) as watched:
        await watched.look(logs, lines)
    assert [line["log_level"] for line in logs] == ["warning"] * lines
    assert expiry_of(pair.pem) == pair.certificate.not_valid_after_utc.timestamp()
    if lines:
        assert logs[0]["days_left"] in (days - 1, days)
