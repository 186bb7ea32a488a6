"""Clients whose certificate or version of TLS is not what the server takes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import structlog
from cryptography.x509.oid import ExtendedKeyUsageOID
from structlog.testing import LogCapture
from structlog.typing import EventDict

from tests.api.test_client_certificates import CLIENTS, OPTIONAL, REQUIRED, Run, _ask, _let_in
from tests.api.test_tls import AUTHORITY, Tls, run
from tests.api.wire import LIMIT_S, until
from tests.certificates import Certificate
from tlog.api import handshake
from tlog.errors import TlsFileError
from tlog.tls import (
    LoadedTls,
    TlsMaterial,
    expiry_of,
    make_context,
    read_client_certificate,
    read_client_pem,
)
from tlog.tokens import Scope

__all__ = ["run"]  # the fixture


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[EventDict]:
    """What handshakes log, whatever the log of this process is set to."""
    capture = LogCapture()
    logger = structlog.wrap_logger(
        None, processors=[capture], wrapper_class=structlog.stdlib.BoundLogger
    )
    monkeypatch.setattr(handshake, "_LOGGER", logger)
    return capture.entries


@pytest.mark.parametrize("version", [1, 3, 4])
def test_a_certificate_of_a_version_that_there_is_not(
    run: Run, tmp_path: Path, lines: list[EventDict], version: int
) -> None:
    """OpenSSL takes X.509 of versions 2, 4 and 5: a handshake that failed, counted and logged."""
    client = CLIENTS.issue("odd")
    pem = ssl.DER_cert_to_PEM_cert(CLIENTS.of_version(client, version))
    certificate, key = client.write(tmp_path, "odd")
    certificate.write_text(pem)
    with pytest.raises(TlsFileError):
        read_client_certificate(ssl.PEM_cert_to_DER_cert(pem))
    with pytest.raises(TlsFileError):
        read_client_pem(pem)
    with pytest.raises(TlsFileError):
        expiry_of(pem.encode())

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(OPTIONAL))
        with pytest.raises((OSError, IndexError)):
            await _ask(tls, AUTHORITY.client_context((certificate, key)))
        await until(lambda: tls.failed == 1)
        await until(lambda: tls.open == 0)
        assert [line["log_level"] for line in lines] == ["info"]
        assert "X.509" in lines[0]["reason"]

    run(scenario)


@pytest.mark.parametrize("material", [OPTIONAL, REQUIRED], ids=["optional", "required"])
@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (CLIENTS.issue("later", begins=2), "certificate is not yet valid"),
        (
            CLIENTS.issue("server", usages=[ExtendedKeyUsageOID.SERVER_AUTH]),
            "unsuitable certificate purpose",
        ),
    ],
    ids=["not yet valid", "for servers"],
)
def test_a_certificate_that_is_not_for_clients_now_is_refused(
    run: Run,
    tmp_path: Path,
    lines: list[EventDict],
    material: TlsMaterial,
    client: Certificate,
    reason: str,
) -> None:
    """Whoever signed it, and though its key was let in."""

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(material))
        await _let_in(tls, client, Scope.READ)
        with pytest.raises((OSError, IndexError)):
            await _ask(tls, AUTHORITY.client_context(client.write(tmp_path, "client")))
        await until(lambda: tls.failed == 1)
        assert [line["reason"] for line in lines] == [f"certificate: {reason}"]

    run(scenario)


@pytest.mark.parametrize("material", [OPTIONAL, REQUIRED], ids=["optional", "required"])
def test_clients_with_certificates_speak_tls_1_3(
    run: Run, tmp_path: Path, material: TlsMaterial
) -> None:
    """Under 1.2 a session can be taken up again, and what the client showed stays in memory."""
    context = AUTHORITY.client_context(CLIENTS.issue("client").write(tmp_path, "client"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(material))
        with pytest.raises((OSError, IndexError)):
            await _ask(tls, context)
        await until(lambda: tls.failed == 1)

    run(scenario)


def test_no_session_is_taken_up_again(run: Run, tmp_path: Path) -> None:
    """A client that offers the session of a connection before is asked for its certificate anew."""
    known = CLIENTS.issue("known")
    context = AUTHORITY.client_context(known.write(tmp_path, "known"))

    def twice(port: int) -> list[bool]:
        reused: list[bool] = []
        session: ssl.SSLSession | None = None
        for _ in range(2):
            bare = socket.create_connection(("127.0.0.1", port), LIMIT_S)
            with context.wrap_socket(
                bare, server_hostname="127.0.0.1", session=session
            ) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(12) == b"HTTP/1.1 200"
                session = connection.session
                reused.append(bool(connection.session_reused))
        return reused

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(OPTIONAL))
        assert await asyncio.to_thread(twice, tls.port) == [False, False]
        context_of_server = tls.listener.connections._context
        assert context_of_server is not None
        assert context_of_server.session_stats()["hits"] == 0

    run(scenario)


def test_a_revocation_list_among_the_authorities_is_refused() -> None:
    """OpenSSL would take it and never look at it."""
    material = TlsMaterial(OPTIONAL.certificate, OPTIONAL.key, CLIENTS.pem + CLIENTS.crl())
    with pytest.raises(TlsFileError, match=r"clients' authorities: .* revocation list"):
        make_context(material)
