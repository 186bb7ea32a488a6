"""The first contact under TLS: who is refused in the handshake knows that nothing was sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.certificates import Certificate
from tlog_clients import (
    HttpFetcher,
    NotReachableError,
    OutcomeUnknownError,
    Retries,
    RetryPolicy,
    submit_entry,
)
from tlog_clients.connection_errors import broke_off, reason_of

SERVERS = Certificate.authority("servers' authority")
CLIENTS = Certificate.authority("clients' authority")
STRANGERS = Certificate.authority("another authority")
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Server:
    """Answers 404 to GET; of a POST it takes the body and then hangs up."""

    def __init__(self, directory: Path, version: ssl.TLSVersion) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*SERVERS.issue("server").write(directory, "server"))
        (directory / "clients.pem").write_bytes(CLIENTS.pem)
        self.context.load_verify_locations(str(directory / "clients.pem"))
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.minimum_version = self.context.maximum_version = version
        self.requests: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Server]:
        """Listen on loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # of refused handshakes
        async with server:
            self.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/logs/a"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := (await reader.readuntil(b"\r\n\r\n")).split()[0].decode():
                self.requests.append(line)
                if line == "POST":
                    break
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
        except asyncio.IncompleteReadError:
            pass
        writer.close()


def shown(directory: Path, authority: Certificate | None) -> ssl.SSLContext:
    """A client that trusts the server, with a certificate of an authority or none."""
    own = None if authority is None else authority.issue("client").write(directory, "client")
    return SERVERS.client_context(own)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("authority", [STRANGERS, None])
@pytest.mark.parametrize("size", [5, 65_535])
async def test_a_refused_certificate(
    tmp_path: Path, version: ssl.TLSVersion, authority: Certificate | None, size: int
) -> None:
    """Nothing was sent, which is said, is certain, and is not tried again."""
    tried: list[object] = []
    retries = Retries(RetryPolicy(2), on_retry=lambda error, _: tried.append(error))
    async with (
        Server(tmp_path, version).listening() as server,
        HttpFetcher(server.url, ssl=shown(tmp_path, authority), retries=retries) as fetcher,
    ):
        with pytest.raises(NotReachableError, match=r"client's certificate.*nothing was sent"):
            await submit_entry(fetcher, bytes(size), retries=retries)
        assert server.requests == []
        with pytest.raises(NotReachableError, match="client's certificate"):
            await fetcher.fetch("checkpoint", max_bytes=10)
    assert tried == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_connection_that_breaks_later(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Who was let in asks once before the first entry; what is lost then may have taken effect."""
    never = Retries(RetryPolicy(0))
    async with (
        Server(tmp_path, version).listening() as server,
        HttpFetcher(server.url, ssl=shown(tmp_path, CLIENTS), retries=never) as fetcher,
    ):
        for _ in range(2):
            with pytest.raises(OutcomeUnknownError) as caught:
                await submit_entry(fetcher, b"entry", retries=never)
            assert "certificate" not in str(caught.value)
        assert server.requests == ["GET", "POST", "POST"]


async def test_a_server_that_is_not_trusted(tmp_path: Path) -> None:
    """Its certificate is named as the reason, not ours."""
    context = STRANGERS.client_context(CLIENTS.issue("client").write(tmp_path, "client"))
    async with (
        Server(tmp_path, VERSIONS[1]).listening() as server,
        HttpFetcher(server.url, ssl=context) as fetcher,
    ):
        with pytest.raises(NotReachableError, match="the certificate is not trusted") as caught:
            await submit_entry(fetcher, b"entry")
        assert "client's" not in str(caught.value)
        assert server.requests == []


async def test_a_server_without_tls() -> None:
    """No certificate is the reason there."""

    def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with (
        server,
        HttpFetcher(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/logs/a") as fetcher,
    ):
        with pytest.raises(NotReachableError, match="TLS") as caught:
            await submit_entry(fetcher, b"entry")
        assert "client's" not in str(caught.value)


def test_the_words_of_a_refusal() -> None:
    """An alert of TLS is told by its name, not by the number that would be another error."""
    alert = ssl.SSLError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca")
    alert.reason = "TLSV1_ALERT_UNKNOWN_CA"
    error = aiohttp.ClientOSError(1, str(alert))
    error.__cause__ = alert
    assert reason_of(error) == "TLS: tlsv1 alert unknown ca"
    assert broke_off(error)
    refused = aiohttp.ClientConnectorError(None, ConnectionRefusedError())  # type: ignore[arg-type]
    assert not broke_off(refused)
