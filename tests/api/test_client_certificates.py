"""Clients that show a certificate: who they are, and what a token says beside it."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import LogCapture

from tests.api.conftest import Api
from tests.api.fakes import NOW_S
from tests.api.test_tls import AUTHORITY, MATERIAL, Scenario, Tls, run
from tests.api.wire import until
from tests.certificates import Certificate
from tlog.api import handshake
from tlog.errors import TlsFileError
from tlog.tls import LoadedTls, TlsMaterial, read_client_certificate, read_client_pem
from tlog.tokens import MAX_LIFETIME_S, Scope

__all__ = ["run"]  # the fixture

CLIENTS = Certificate.authority("clients' authority")
OPTIONAL = TlsMaterial(MATERIAL.certificate, MATERIAL.key, CLIENTS.pem)
REQUIRED = TlsMaterial(MATERIAL.certificate, MATERIAL.key, CLIENTS.pem, client_required=True)
LISTING = b"GET /logs HTTP/1.1\r\nHost: x\r\n"
PRIVATE = b"GET /logs/private/checkpoint HTTP/1.1\r\nHost: x\r\n"
Run = Callable[[Scenario], None]


@pytest.fixture
def context(tmp_path: Path) -> Callable[[Certificate | None], ssl.SSLContext]:
    """Makes a client's context that shows a certificate."""

    def make(client: Certificate | None) -> ssl.SSLContext:
        own = None if client is None else client.write(tmp_path, "client")
        return AUTHORITY.client_context(own)

    return make


async def _let_in(tls: Tls, client: Certificate, *scopes: Scope) -> str:
    """Give a certificate's key scopes on the private log, for as long as there may be."""
    key_hash = read_client_certificate(client.der).key_hash
    return await tls.host.create_certificate(key_hash, ["private"], scopes, MAX_LIFETIME_S)


async def _ask(tls: Tls, context: ssl.SSLContext, request: bytes = PRIVATE) -> int:
    """The status of an answer."""
    async with tls.connect(context) as (reader, writer):
        writer.write(request + b"\r\n")
        return int((await reader.readline()).split()[1])


Make = Callable[[Certificate | None], ssl.SSLContext]


def test_a_certificate_that_is_known_has_its_scopes(run: Run, context: Make) -> None:
    """And only these; one that is not known, and none, are nobody."""
    known, unknown = CLIENTS.issue("known"), CLIENTS.issue("known")

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(OPTIONAL))
        await _let_in(tls, known, Scope.READ)
        assert await _ask(tls, context(known)) == 200
        add = PRIVATE.replace(b"GET", b"POST").replace(b"checkpoint", b"add")
        assert await _ask(tls, context(known), add + b"Content-Length: 0\r\n") == 403
        events = PRIVATE.replace(b"private", b"events")
        assert await _ask(tls, context(known), events) == 404
        for nobody in (unknown, None):
            assert await _ask(tls, context(nobody)) == 401
            assert await _ask(tls, context(nobody), LISTING) == 200
            public = PRIVATE.replace(b"private", b"public")
            assert await _ask(tls, context(nobody), public) == 200
        assert tls.failed == 0

    run(scenario)


def test_a_header_that_is_sent_decides_alone(run: Run, context: Make) -> None:
    """A bad token never falls back to the certificate, nor does another scheme; a good one wins."""
    known = CLIENTS.issue("known")

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(OPTIONAL))
        await _let_in(tls, known, Scope.READ)
        weak = tls.host.token(("private",), Scope.APPEND)
        reader = tls.host.token(("private",), Scope.READ)
        expired = tls.host.token(("private",), Scope.READ, lifetime_s=0)
        for value, status in (
            (f"Bearer {reader}", 200),
            (f"Bearer {weak}", 403),
            (f"Bearer {expired}", 401),
            (f"Bearer {reader[:-1]}", 401),
            ("Bearer ", 401),
            ("Basic eDp5", 401),
            ("", 401),
        ):
            header = f"Authorization: {value}\r\n".encode()
            assert await _ask(tls, context(known), PRIVATE + header) == status, value
        header = f"Authorization: Bearer {reader}\r\n".encode()
        assert await _ask(tls, context(None), PRIVATE + header) == 200

    run(scenario)


def test_a_renewed_certificate_of_the_same_key_is_the_same_client(run: Run, context: Make) -> None:
    """The same name with another key is not."""
    first = CLIENTS.issue("client")
    renewed, other = CLIENTS.issue("renewed", key=first.key), CLIENTS.issue("client")

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(OPTIONAL))
        row_id = await _let_in(tls, first, Scope.READ)
        for client in (first, renewed):
            assert await _ask(tls, context(client)) == 200
            found = tls.host.tokens.find_certificate(read_client_certificate(client.der))
            assert found is not None
            assert found.id == row_id
        assert await _ask(tls, context(other)) == 401

    run(scenario)


@pytest.mark.parametrize("material", [OPTIONAL, REQUIRED], ids=["optional", "required"])
def test_a_certificate_that_cannot_be_verified_ends_the_handshake(
    run: Run,
    context: Make,
    monkeypatch: pytest.MonkeyPatch,
    material: TlsMaterial,
) -> None:
    """Of another authority, expired, signed by itself: no answer; the log says why."""
    capture = LogCapture()
    logger = structlog.wrap_logger(
        None, processors=[capture], wrapper_class=structlog.stdlib.BoundLogger
    )
    monkeypatch.setattr(handshake, "_LOGGER", logger)
    refused = [
        (
            AUTHORITY.issue("of the server's authority"),
            "self-signed certificate in certificate chain",
        ),
        (CLIENTS.issue("expired", days=-1), "certificate has expired"),
        (Certificate.authority("itself"), "self-signed certificate"),
    ]

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(material))
        for number, (client, reason) in enumerate(refused):
            await _let_in(tls, client, Scope.READ)
            with pytest.raises((OSError, IndexError)):  # the alert, or an end without an answer
                await _ask(tls, context(client))
            await until(lambda expected=number + 1: tls.failed == expected)  # type: ignore[misc]
            line = capture.entries.pop()
            assert (line["log_level"], line["reason"]) == ("info", f"certificate: {reason}")

    run(scenario)


def test_a_chain_that_would_take_much_memory_is_refused(
    run: Run, context: Make, tmp_path: Path
) -> None:
    """What comes before the handshake is done is bounded; a long request behind it is not."""
    known = CLIENTS.issue("known")
    chain = [Certificate.authority("x" * 60 + str(number)).pem for number in range(150)]

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(OPTIONAL))
        await _let_in(tls, known, Scope.READ)
        certificate, key = known.write(tmp_path, "chain")
        certificate.write_bytes(known.pem + b"".join(chain[:30]))
        long = PRIVATE + b"X: " + b"x" * 20_000 + b"\r\n"
        assert await _ask(tls, AUTHORITY.client_context((certificate, key)), long) in (200, 400)
        certificate.write_bytes(known.pem + b"".join(chain))
        with pytest.raises((OSError, IndexError)):
            await _ask(tls, AUTHORITY.client_context((certificate, key)))
        await until(lambda: tls.open == 0)
        assert tls.failed == 1

    run(scenario)


def test_a_certificate_can_be_required(run: Run, context: Make) -> None:
    """Then nothing is answered without one, whatever the token; with one all is as before."""
    known = CLIENTS.issue("known")

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(REQUIRED))
        token = tls.host.token(("private",), Scope.READ)
        header = f"Authorization: Bearer {token}\r\n".encode()
        with pytest.raises((OSError, IndexError)):
            await _ask(tls, context(None), PRIVATE + header)
        await until(lambda: tls.failed == 1)
        assert await _ask(tls, context(known)) == 401
        assert await _ask(tls, context(known), PRIVATE + header) == 200

    run(scenario)


@pytest.mark.parametrize("end", ["revoked", "its row expired", "it expired"])
def test_open_connections_lose_what_their_certificate_lost(
    run: Run, context: Make, end: str
) -> None:
    """A certificate is looked at with every request, not when the connection is made alone.

    The list of logs is then refused too, as with a bad token.
    """
    known = CLIENTS.issue("known")

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(OPTIONAL))
        row_id = await _let_in(tls, known, Scope.READ)
        async with tls.connect(context(known)) as (reader, writer):
            statuses = []
            for _ in range(2):
                writer.write(PRIVATE + b"\r\n")
                header = await reader.readuntil(b"\r\n\r\n")
                statuses.append(int(header.split()[1]))
                length = next(line for line in header.split(b"\r\n") if b"Content-Length" in line)
                await reader.readexactly(int(length.split()[1]))
                if end == "revoked":
                    await tls.host.revoke_token(row_id)
                elif end == "its row expired":
                    tls.host.clock.now_s = NOW_S + MAX_LIFETIME_S
                else:
                    expires = known.certificate.not_valid_after_utc
                    tls.host.clock.now_s = int(expires.timestamp())
            assert statuses == [200, 401]
        async with tls.connect(context(known)) as (reader, writer):
            writer.write(LISTING + b"\r\n")
            assert int((await reader.readline()).split()[1]) == 401
            header = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in header.split(b"\r\n") if b"Content-Length" in line)
            answer = await reader.readexactly(int(length.split()[1]))
            assert "certificate" in json.loads(answer)["detail"]

    run(scenario)


def test_no_ticket_is_given(run: Run, context: Make) -> None:
    """A session that is taken up again would skip the check of the certificate."""

    async def scenario(tls: Tls) -> None:
        tls.listener.use_tls(LoadedTls.of(OPTIONAL))
        shows = context(CLIENTS.issue("known"))
        async with tls.connect(shows) as (reader, writer):
            writer.write(PRIVATE + b"\r\n")
            await reader.readuntil(b"\r\n\r\n")
            session = writer.get_extra_info("ssl_object").session
            assert session is None or not session.has_ticket

    run(scenario)


def test_what_is_no_certificate_is_refused() -> None:
    """Neither DER nor PEM of anything else; a chain tells of its first certificate."""
    client = CLIENTS.issue("client")
    chain = (client.pem + CLIENTS.pem).decode()
    assert read_client_pem(chain) == read_client_certificate(client.der)
    for text in ("", "none", client.key_pem.decode(), "-----BEGIN CERTIFICATE-----\nAAAA\n"):
        with pytest.raises(TlsFileError):
            read_client_pem(text)
    with pytest.raises(TlsFileError):
        read_client_certificate(client.der[:-1])


async def test_a_certificate_is_let_in_by_its_pem(api: Api) -> None:
    """The answer names its row, which is listed with the hash of its key; anything else is 400."""
    client = CLIENTS.issue("client")
    wanted = {"logs": ["private"], "scopes": ["read"], "certificate": client.pem.decode()}
    async with api.local.post("/admin/tokens", json=wanted) as response:
        assert response.status == 201
        row_id = (await response.json())["id"]
    token = api.bearer(Scope.READ)["Authorization"].split("_")[1]
    key = client.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    async with api.local.get("/admin/tokens") as response:
        shown = {row["id"]: row["certificate"] for row in (await response.json())["tokens"]}
    assert shown == {row_id: hashlib.sha256(key).hexdigest(), token: None}
    for bad in ("", "none", client.key_pem.decode(), "\ud800", 1):
        body = {**wanted, "certificate": bad}
        async with api.local.post("/admin/tokens", json=body) as response:
            assert response.status == 400, bad
