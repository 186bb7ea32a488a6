"""TLS connections of a listener, on asyncio's loop and on uvloop.

Handshakes that do not end, what is no TLS at all, another certificate for what is new.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from tests.api.conftest import GRACE_S, LIMITS
from tests.api.fakes import FakeHost
from tests.api.wire import HEALTHZ, LIMIT_S, Connection, until, until_closed
from tests.certificates import Certificate
from tlog.api import connection, connections, handshake
from tlog.api.app import make_public_app
from tlog.api.listener import Listener
from tlog.tls import LoadedTls, TlsMaterial

AUTHORITY = Certificate.authority()
SERVER = AUTHORITY.issue("server")
MATERIAL = TlsMaterial(SERVER.pem, SERVER.key_pem)


@dataclass
class Tls:
    """A served host, and what its loop complained of."""

    host: FakeHost
    listener: Listener
    port: int
    complaints: list[dict[str, object]] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, context: ssl.SSLContext | None = None) -> AsyncIterator[Connection]:
        """A connection whose handshake is done."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context or AUTHORITY.client_context()
        )
        try:
            yield reader, writer
        finally:
            writer.close()

    async def ask(self, context: ssl.SSLContext | None = None) -> bytes:
        """The first line of an answer."""
        async with self.connect(context) as (reader, writer):
            writer.write(HEALTHZ)
            return (await reader.readline()).strip()

    @property
    def open(self) -> int:
        """How many connections count."""
        return len(self.listener.connections._table)

    @property
    def waiting(self) -> int:
        """Bytes that wait above TLS, of connections that speak HTTP."""
        return sum(
            one._transport.get_write_buffer_size()
            for one in self.listener.connections._table._open
            if isinstance(one, connection.Connection) and one._transport is not None
        )

    @property
    def failed(self) -> int:
        """How many handshakes failed."""
        return self.host.http_measures.failed_handshakes


Scenario = Callable[[Tls], Awaitable[None]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Scenario], None]:
    """Runs a scenario with a server on one of the loops; nothing may complain meanwhile."""
    monkeypatch.setattr(connections, "SWEEP_S", 0.02)

    async def serve(scenario: Scenario) -> list[dict[str, object]]:
        host = FakeHost(tmp_path)
        bound = socket.create_server(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        app = make_public_app(host.as_host())
        tls = Tls(host, Listener(app, [bound], GRACE_S, LIMITS, MATERIAL), port)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: tls.complaints.append(context))
        await tls.listener.start()
        try:
            async with asyncio.timeout(LIMIT_S):
                await scenario(tls)
        finally:
            await tls.listener.close()
        return tls.complaints

    def runner(scenario: Scenario) -> None:
        with asyncio.Runner(loop_factory=request.param) as loop:
            assert loop.run(serve(scenario)) == []

    return runner


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_are_answered_over_tls(
    run: Callable[[Scenario], None], version: ssl.TLSVersion
) -> None:
    """TLS 1.2 and 1.3, many connections at once, HTTP/1.1 by ALPN."""
    context = AUTHORITY.client_context()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def scenario(tls: Tls) -> None:
        for _ in range(5):
            asking = (tls.ask(context) for _ in range(LIMITS.per_address))
            assert await asyncio.gather(*asking) == [b"HTTP/1.1 200 OK"] * LIMITS.per_address
        async with tls.connect(context) as (_, writer):
            session = writer.get_extra_info("ssl_object")
            assert session.selected_alpn_protocol() == "http/1.1"
            assert session.version() == version.name.replace("_", ".")
        await until(lambda: tls.open == 0)
        assert tls.failed == 0

    run(scenario)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_older_versions_are_refused(run: Callable[[Scenario], None]) -> None:
    """Nothing before TLS 1.2 is spoken."""
    context = AUTHORITY.client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1

    async def scenario(tls: Tls) -> None:
        with pytest.raises(OSError):  # noqa: PT011 - the alert, or what became of the connection
            await tls.ask(context)
        assert await tls.ask() == b"HTTP/1.1 200 OK"

    run(scenario)


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x01\x02"])
def test_a_handshake_that_does_not_end_ends_the_connection(
    run: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    """It counts as a connection from the first moment, and has ten seconds."""
    monkeypatch.setattr(handshake, "HANDSHAKE_S", 0.3)

    async def scenario(tls: Tls) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", tls.port)
        writer.write(beginning)
        await until(lambda: tls.open == 1)
        assert await until_closed(reader) == b""
        await until(lambda: tls.open == 0)
        assert tls.failed == 1
        writer.close()

    run(scenario)


def test_handshakes_that_do_not_end_keep_nobody_out(run: Callable[[Scenario], None]) -> None:
    """They are within the bounds of connections, and give way to others as idle ones do."""

    async def scenario(tls: Tls) -> None:
        silent = []
        for number in range(LIMITS.per_address):
            silent.append(await asyncio.open_connection("127.0.0.1", tls.port))
            await until(lambda expected=number + 1: tls.open == expected)  # type: ignore[misc]
        assert await tls.ask() == b"HTTP/1.1 200 OK"
        assert await until_closed(silent[0][0]) == b""
        assert tls.open <= LIMITS.per_address
        for _, writer in silent:
            writer.close()
        await until(lambda: tls.open == 0)
        assert tls.failed == LIMITS.per_address

    run(scenario)


@pytest.mark.parametrize(
    "garbage",
    [
        HEALTHZ,
        os.urandom(64),
        b"\x16\x03\x01\xff\xff" + b"x" * 70_000,
        b"\x16\x03\x01\x00\x05hello",
        b"\x15\x03\x01\x00\x02\x02\x28",
    ],
)
def test_what_is_no_tls_is_closed_in_silence(
    run: Callable[[Scenario], None], garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """No line, no traceback, no connection that is left; who speaks TLS is served."""

    async def scenario(tls: Tls) -> None:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", tls.port)
            writer.write(garbage)
            writer.write_eof()
            assert b"HTTP" not in await until_closed(reader)
            writer.close()
        await until(lambda: tls.open == 0)
        assert tls.failed == 3
        assert await tls.ask() == b"HTTP/1.1 200 OK"

    run(scenario)
    assert caplog.records == []


def test_garbage_after_the_handshake_is_closed_in_silence(
    run: Callable[[Scenario], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A record that does not decrypt ends the connection and fills no log."""

    async def scenario(tls: Tls) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = AUTHORITY.client_context().wrap_bio(
            incoming, outgoing, server_hostname="127.0.0.1"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", tls.port)
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65_536))
        writer.write(outgoing.read() + b"\x17\x03\x03\x00\x40" + b"x" * 64)
        await until_closed(reader)
        writer.close()
        await until(lambda: tls.open == 0)
        assert tls.failed == 0

    run(scenario)
    assert caplog.records == []


def test_a_request_that_comes_with_the_end_of_the_handshake(
    run: Callable[[Scenario], None],
) -> None:
    """What the client sends in the same segment is not lost, nor a handshake sent in pieces."""

    async def scenario(tls: Tls) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = AUTHORITY.client_context().wrap_bio(
            incoming, outgoing, server_hostname="127.0.0.1"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", tls.port)
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        hello = outgoing.read()
        for start in range(0, len(hello), 100):
            writer.write(hello[start : start + 100])
            await writer.drain()
            await asyncio.sleep(0)
        while True:
            incoming.write(await reader.read(65_536))
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                continue
        session.write(HEALTHZ)
        writer.write(outgoing.read())
        answer = b""
        while b"}" not in answer:
            incoming.write(await reader.read(65_536))
            try:
                answer += session.read(65_536)
            except ssl.SSLWantReadError:
                continue
        assert answer.startswith(b"HTTP/1.1 200 OK")
        gc.collect()  # uvloop holds the protocol that a connection began with, all its life
        left = [one for one in gc.get_objects() if type(one) is handshake.TlsHandshake]
        assert not any(one._early for one in left)
        writer.close()

    run(scenario)


def test_another_certificate_is_for_new_connections(run: Callable[[Scenario], None]) -> None:
    """Connections that are open go on under the old one."""
    other = AUTHORITY.issue("other")

    def shown(writer: asyncio.StreamWriter) -> bytes | None:
        certificate: bytes | None = writer.get_extra_info("ssl_object").getpeercert(True)
        return certificate

    async def scenario(tls: Tls) -> None:
        async with tls.connect() as (reader, writer):
            writer.write(HEALTHZ)
            await reader.readuntil(b"}")
            tls.listener.use_tls(LoadedTls.of(TlsMaterial(other.pem, other.key_pem)))
            async with tls.connect() as (_, newer):
                assert shown(newer) == other.der
            assert shown(writer) == SERVER.der
            writer.write(HEALTHZ)
            assert b"HTTP/1.1 200 OK" in await reader.readuntil(b"}")

    run(scenario)


def test_the_end_waits_for_no_handshake(run: Callable[[Scenario], None]) -> None:
    """A listener that closes ends handshakes at once."""

    async def scenario(tls: Tls) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", tls.port)
        await until(lambda: tls.open == 1)
        await tls.listener.close()
        assert await until_closed(reader) == b""
        assert tls.open == 0
        writer.close()

    run(scenario)


def test_a_client_that_takes_no_answers_is_cut_off(
    run: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small answers to many requests, none of them read: little of them waits, and not for long."""

    async def scenario(tls: Tls) -> None:
        log = tls.host.logs["public"]
        log.entries += [os.urandom(60_000) for _ in range(2)]
        log.publish()
        bare = socket.socket()
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        bare.setblocking(False)
        await asyncio.get_running_loop().sock_connect(bare, ("127.0.0.1", tls.port))
        reader, writer = await asyncio.open_connection(
            sock=bare, ssl=AUTHORITY.client_context(), server_hostname="127.0.0.1", limit=1024
        )
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        request = b"GET /logs/public/entries/1 HTTP/1.1\r\nHost: x\r\n\r\n"
        writer.write(request * 100)
        await until(lambda: tls.waiting > 0)
        await asyncio.sleep(0.2)
        assert tls.waiting < 160_000
        monkeypatch.setattr(connection, "SEND_WINDOW_S", 0.2)
        await until(lambda: tls.open == 0)
        writer.transport.abort()
        await asyncio.sleep(0.05)
        del reader

    run(scenario)


def test_what_waits_below_tls_is_not_forgotten(
    run: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of an answer may have left TLS, and wait in the transport that carries it."""
    monkeypatch.setattr(connection, "SEND_WINDOW_S", 0.2)

    class Full:
        def get_write_buffer_size(self) -> int:
            return 1000

    async def scenario(tls: Tls) -> None:
        async with tls.connect() as (reader, writer):
            writer.write(HEALTHZ)
            await reader.readuntil(b"}")
            (server_side,) = tls.listener.connections._table._open
            monkeypatch.setattr(server_side, "_below", Full())
            await until(lambda: tls.open == 0)

    run(scenario)


def _ask_last(port: int) -> ssl.SSLSocket:
    """A client that was answered, and neither reads nor answers the server's end of TLS."""
    bare = socket.create_connection(("127.0.0.1", port), LIMIT_S)
    session = AUTHORITY.client_context().wrap_socket(bare, server_hostname="127.0.0.1")
    session.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert session.recv(12) == b"HTTP/1.1 200"
    return session


def test_connections_that_the_client_does_not_end_keep_nobody_out(
    run: Callable[[Scenario], None],
) -> None:
    """A connection that waits for the client's end of TLS alone gives way as an idle one does."""

    async def scenario(tls: Tls) -> None:
        kept = [await asyncio.to_thread(_ask_last, tls.port) for _ in range(LIMITS.per_address)]
        await until(lambda: all(one.idle for one in tls.listener.connections._table._open))
        for _ in range(LIMITS.per_address):
            assert await tls.ask() == b"HTTP/1.1 200 OK"
        for session in kept:
            session.close()

    run(scenario)


def test_the_client_has_some_seconds_to_end_tls(
    run: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once everything is sent; then the connection ends without it."""
    monkeypatch.setattr(connection, "END_S", 0.2)

    async def scenario(tls: Tls) -> None:
        session = await asyncio.to_thread(_ask_last, tls.port)
        await until(lambda: tls.open == 0)
        session.close()

    run(scenario)


def test_new_tls_costs_the_loop_nothing(
    run: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context takes long to make where there are many authorities: it comes ready."""
    new = LoadedTls.of(TlsMaterial(SERVER.pem, SERVER.key_pem, AUTHORITY.pem))

    def refuse(material: TlsMaterial) -> ssl.SSLContext:
        message = f"made on the loop: {material}"
        raise AssertionError(message)

    async def scenario(tls: Tls) -> None:
        monkeypatch.setattr(connections, "make_context", refuse)
        tls.listener.use_tls(new)
        assert tls.listener.connections._context is new.context

    run(scenario)
