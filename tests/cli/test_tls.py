"""`tlog serve --tls-cert --tls-key` as a process, with every kind of server."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Certificate
from tests.faults.server_process import ROOT, ServerProcess, tlog
from tests.workers.test_processes import metrics, process_of

TIMEOUT_S = 20
AUTHORITY = Certificate.authority()
EXPIRY = "tlog_tls_certificate_expiry_timestamp_seconds"


class Client:
    """Connections to a server, each one new."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        scheme, _, address = url.partition("://")
        assert scheme == "https"
        host, port = address.split(":")
        self.address = host, int(port)
        self.context = context or AUTHORITY.client_context()

    def open(self) -> http.client.HTTPSConnection:
        """A connection, kept alive."""
        connection = http.client.HTTPSConnection(
            *self.address, context=self.context, timeout=TIMEOUT_S
        )
        connection.connect()
        return connection

    def ask(
        self, path: str, token: str = "", body: bytes | None = None, key: str = ""
    ) -> tuple[int, bytes]:
        """Status and body of one request."""
        connection = self.open()
        try:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            headers |= {"Content-Type": "application/octet-stream"} if body is not None else {}
            headers |= {"Idempotency-Key": key} if key else {}
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def shown(self) -> bytes:
        """The certificate that the server shows now."""
        with (
            socket.create_connection(self.address, TIMEOUT_S) as bare,
            self.context.wrap_socket(bare, server_hostname=self.address[0]) as session,
        ):
            certificate = session.getpeercert(binary_form=True)
            assert certificate is not None
            return certificate

    def until_shown(self, certificate: Certificate, times: int = 8) -> None:
        """Wait until every connection sees a certificate, whichever process it reaches."""
        deadline = time.monotonic() + TIMEOUT_S
        seen = 0
        while seen < times:
            seen = seen + 1 if self.shown() == certificate.der else 0
            assert time.monotonic() < deadline


@pytest.fixture
def pair() -> Certificate:
    """The server's first certificate."""
    return AUTHORITY.issue("server")


@pytest.fixture
def data(tmp_path: Path, pair: Certificate) -> Path:
    """A data directory with a private log `a`, beside the files of the certificate."""
    directory = tmp_path / "data"
    tlog("log", "create", "a", "--data", str(directory), "--origin", "example.com/a")
    pair.write(tmp_path, "server")
    return directory


def options(data: Path) -> tuple[str, ...]:
    """The options for the files beside the data directory."""
    files = (data.parent / "server.pem", data.parent / "server.key")
    return ("--tls-cert", str(files[0]), "--tls-key", str(files[1]))


@pytest.fixture
def server(data: Path) -> Iterator[ServerProcess]:
    """A running server with an administrative address."""
    with ServerProcess(data, *options(data), "--admin-listen", "127.0.0.1:0") as process:
        process.start()
        yield process


def make_token(data: Path, *scopes: str) -> str:
    """A token for the log."""
    chosen = [each for scope in scopes for each in ("--scope", scope)]
    return tlog("token", "create", "--data", str(data), "--log", "a", *chosen)


def replace_pair(data: Path, pair: Certificate) -> None:
    """Put another certificate and its key in place, as a tool that renews does."""
    for made, name in zip(
        pair.write(data.parent, "new"), ("server.pem", "server.key"), strict=True
    ):
        made.rename(data.parent / name)


def test_both_addresses_speak_tls_and_nothing_else(data: Path, server: ServerProcess) -> None:
    """HTTPS at the public and at the administrative address; plain HTTP is closed in silence."""
    token = make_token(data, "append", "read", "admin")
    public, admin = Client(server.url), Client(server.admin_url)
    assert public.ask("/logs/a/add", token, b"hello") == (200, b"1")
    assert admin.ask("/logs/a/entries/0", token)[0] == 200
    for address in (public.address, admin.address):
        with socket.create_connection(address, TIMEOUT_S) as bare:
            bare.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                assert b"HTTP" not in bare.recv(65_536)
            except ConnectionResetError:
                continue
    assert server.stop() == 0
    assert "Traceback" not in server.stderr


def test_a_new_certificate_is_taken_under_traffic(
    data: Path, server: ServerProcess, pair: Certificate
) -> None:
    """At SIGHUP, and without it; no request fails, and open connections go on."""
    client, token = Client(server.url), make_token(data, "append")
    assert client.shown() == pair.der
    assert metrics(data)[EXPIRY] == pair.certificate.not_valid_after_utc.timestamp()
    kept = client.open()
    stop = threading.Event()
    statuses: list[int] = []

    def append() -> None:
        while not stop.is_set():
            statuses.append(client.ask("/logs/a/add", token, b"entry")[0])

    appending = threading.Thread(target=append)
    appending.start()
    try:
        second = AUTHORITY.issue("second", days=300)
        replace_pair(data, second)
        _hang_up(server)
        client.until_shown(second)
        assert metrics(data)[EXPIRY] == second.certificate.not_valid_after_utc.timestamp()
        third = AUTHORITY.issue("third")
        replace_pair(data, third)
        client.until_shown(third)  # by itself
    finally:
        stop.set()
        appending.join(TIMEOUT_S)
    assert len(statuses) > 10
    assert set(statuses) == {200}
    kept.request("GET", "/healthz")
    assert kept.getresponse().status == 200
    kept.close()
    assert server.stop() == 0


def _hang_up(server: ServerProcess) -> None:
    """SIGHUP to the process that holds the data directory."""
    os.kill(process_of(server), signal.SIGHUP)


def test_a_pair_that_does_not_match_changes_nothing(
    data: Path, server: ServerProcess, pair: Certificate
) -> None:
    """One clear line, the old certificate goes on; the pair is taken when its key has come."""
    client = Client(server.url)
    renewed = AUTHORITY.issue("renewed")
    (data.parent / "server.pem").write_bytes(renewed.pem)
    for _ in range(3):
        _hang_up(server)
        time.sleep(0.2)
    assert client.shown() == pair.der
    assert server.stderr.count("the key is not that of the certificate") == 1
    (data.parent / "server.key").write_bytes(renewed.key_pem)
    _hang_up(server)
    client.until_shown(renewed)
    assert server.stop() == 0
    assert "Traceback" not in server.stderr
    assert "PRIVATE" not in server.stderr


def test_garbage_is_counted_and_fills_no_log(data: Path, server: ServerProcess) -> None:
    """Whatever is sent that is no TLS: a number in the metrics, and the server goes on."""
    client = Client(server.url)
    before = server.stderr
    for _ in range(20):
        with socket.create_connection(client.address, TIMEOUT_S) as bare:
            bare.sendall(b"\x16\x03\x01\x00\x05hello")
            try:
                while bare.recv(65_536):
                    pass
            except ConnectionResetError:
                continue
    deadline = time.monotonic() + TIMEOUT_S
    while metrics(data)["tlog_tls_failed_handshakes_total"] < 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.ask("/healthz")[0] == 200
    assert server.stderr == before


def _refused(data: Path, *arguments: str) -> str:
    command = (sys.executable, "-m", "tlog", "serve", "--data", str(data), *arguments)
    ended = subprocess.run(
        command, capture_output=True, check=False, text=True, timeout=TIMEOUT_S, cwd=ROOT
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_what_cannot_be_used_at_the_start_is_refused(data: Path) -> None:
    """Exit 2 and a sentence, before anything is served; and the options belong together."""
    listen = ("--listen", "127.0.0.1:0")
    certificate, key = options(data)[:2], options(data)[2:]
    (data.parent / "server.key").chmod(0o644)
    assert "its mode 0644 lets others at the key" in _refused(data, *listen, *certificate, *key)
    (data.parent / "server.key").chmod(0o600)
    (data.parent / "server.key").write_bytes(AUTHORITY.key_pem)
    assert "not that of the certificate" in _refused(data, *listen, *certificate, *key)
    assert "together" in _refused(data, *listen, *certificate)
    assert "together" in _refused(data, *listen, *key)
    assert "--tls-cert" in _refused(data, *listen, "--tls-client-ca", certificate[1])
    assert "--tls-client-ca" in _refused(data, *listen, "--tls-client-required")
    assert "--tls-cert" in _refused(data, "--listen", "0.0.0.0:0")


def test_off_loopback_no_proxy_is_needed(data: Path) -> None:
    """With TLS the server may listen everywhere."""
    with ServerProcess(data, *options(data), "--admin-listen", "0.0.0.0:0") as process:
        process.start()
        assert process.admin_url.startswith("https://0.0.0.0:")
        port = process.admin_url.rpartition(":")[2]
        token = make_token(data, "admin")
        status, body = Client(f"https://127.0.0.1:{port}").ask("/admin/logs", token)
        assert status == 200
        assert [log["name"] for log in json.loads(body)["logs"]] == ["a"]
        assert process.stop() == 0


def _command(data: Path, url: str, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run a client command; exit code, stdout, stderr."""
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(data.parent / "state"),
        "TLOG_URL": f"{url}/logs/a",
        **settings,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "tlog", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=TIMEOUT_S,
        env=environment,
        cwd=ROOT,
    )
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout, ended.stderr


def test_client_commands_trust_the_authorities_they_are_given(
    data: Path, server: ServerProcess
) -> None:
    """Entries go in and come out with --ca or TLOG_CA; without, the certificate is not trusted."""
    ca = data.parent / "ca.pem"
    ca.write_bytes(AUTHORITY.pem)
    (data.parent / "entry").write_bytes(b"hello")
    append = ("append", str(data.parent / "entry"), "--retry-for", "0")
    token = make_token(data, "append", "read")
    trusted = {"TLOG_CA": str(ca), "TLOG_TOKEN": token}
    assert _command(data, server.url, *append, **trusted)[0] == 0
    vkey = json.loads(tlog("log", "list", "--data", str(data), "--json"))[0]["vkey"]
    known = {"TLOG_VKEY": vkey, "TLOG_TOKEN": token}
    got = _command(data, server.url, "get", "1", "--ca", str(ca), **known)
    assert got[:2] == (0, "hello")
    code, _, complaint = _command(data, server.url, *append, TLOG_TOKEN=token)
    assert (code, "the certificate is not trusted" in complaint) == (3, True)
    code, _, complaint = _command(data, server.url, *append, TLOG_TOKEN=token, TLOG_CA="/absent")
    assert (code, "--ca /absent: No such file" in complaint) == (2, True)
    (data.parent / "none").write_bytes(b"none")
    options = ("--client-cert", str(data.parent / "none"))
    code, _, complaint = _command(data, server.url, *append, *options, TLOG_TOKEN=token)
    assert (code, "expected PEM" in complaint) == (2, True)
    code, _, complaint = _command(data, server.url, *append, "--client-key", str(ca))
    assert (code, "--client-key needs --client-cert" in complaint) == (2, True)


@pytest.fixture
def asking(data: Path) -> Iterator[ServerProcess]:
    """A running server that asks its clients for certificates of our authority."""
    ca = data.parent / "ca.pem"
    ca.write_bytes(AUTHORITY.pem)
    with ServerProcess(data, *options(data), "--tls-client-ca", str(ca)) as process:
        process.start()
        yield process


def let_in(data: Path, certificate: Path, *scopes: str) -> str:
    """Let in a certificate; the id of its row."""
    chosen = [each for scope in scopes for each in ("--scope", scope)]
    where = ("token", "create", "--data", str(data), "--log", "a")
    return tlog(*where, *chosen, "--certificate", str(certificate))


def rows(data: Path) -> dict[str, dict[str, object]]:
    """What `tlog token list` says, by id."""
    listed = json.loads(tlog("token", "list", "--data", str(data), "--json"))
    return {row["id"]: row for row in listed}


def test_a_certificate_is_a_principal(data: Path, asking: ServerProcess) -> None:
    """With rights and ids of its own in every process, through renewals, until it is revoked."""
    client = AUTHORITY.issue("client")
    own = client.write(data.parent, "client")
    shows = Client(asking.url, AUTHORITY.client_context(own))
    assert shows.ask("/logs/a/add", body=b"early")[0] == 401
    row_id = let_in(data, own[0], "append")
    for _ in range(4):
        assert shows.ask("/logs/a/add", body=b"hello", key="one") == (200, b"1")
    renewed = AUTHORITY.issue("renewed", key=client.key).write(data.parent, "renewed")
    shows_renewed = Client(asking.url, AUTHORITY.client_context(renewed))
    assert shows_renewed.ask("/logs/a/add", body=b"hello", key="one") == (200, b"1")
    # Another principal's id of the same text is another id.
    token = make_token(data, "append")
    assert shows.ask("/logs/a/add", token, b"hello", key="one") == (200, b"2")
    for wrong in (token[:-1], "none"):
        assert shows.ask("/logs/a/add", wrong, b"hello")[0] == 401
    assert shows.ask("/logs/a/checkpoint")[0] == 403
    row = rows(data)[row_id]
    assert (row["scopes"], row["logs"]) == (["append"], ["a"])
    assert len(str(row["certificate"])) == 64
    assert rows(data)[token.split("_")[1]]["certificate"] is None
    tlog("token", "revoke", row_id, "--data", str(data))
    for each in (shows, shows_renewed) * 2:
        assert each.ask("/logs/a/add", body=b"late")[0] == 401
    assert asking.stop() == 0
    asking.start()
    again = Client(asking.url, shows.context)
    assert again.ask("/logs/a/add", body=b"late")[0] == 401
    let_in(data, own[0], "append")
    assert again.ask("/logs/a/add", body=b"more") == (200, b"3")
    assert asking.stop() == 0
    assert "Traceback" not in asking.stderr


def test_client_commands_show_a_certificate(data: Path, asking: ServerProcess) -> None:
    """--client-cert and --client-key instead of a token, for appends and for reads."""
    certificate, key = AUTHORITY.issue("client").write(data.parent, "client")
    both = data.parent / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    let_in(data, both, "append", "read")  # of which the certificate alone is sent
    (data.parent / "entry").write_bytes(b"hello")
    vkey = json.loads(tlog("log", "list", "--data", str(data), "--json"))[0]["vkey"]
    known = {"TLOG_VKEY": vkey, "TLOG_CA": str(data.parent / "ca.pem")}
    append = ("append", str(data.parent / "entry"), "--retry-for", "0")
    own = ("--client-cert", str(certificate), "--client-key", str(key))
    assert _command(data, asking.url, *append, *own, **known)[0] == 0
    got = _command(data, asking.url, "get", "1", TLOG_CLIENT_CERT=str(both), **known)
    assert got[:2] == (0, "hello")
    assert _command(data, asking.url, *append, **known)[0] == 4  # nobody


def test_a_certificate_can_be_required_of_everybody(data: Path) -> None:
    """At both addresses, in every process; the unix socket is as it is."""
    ca = data.parent / "ca.pem"
    ca.write_bytes(AUTHORITY.pem)
    demanded = ("--tls-client-ca", str(ca), "--tls-client-required")
    with ServerProcess(data, *options(data), *demanded, "--admin-listen", "127.0.0.1:0") as server:
        server.start()
        own = AUTHORITY.issue("admin").write(data.parent, "admin")
        let_in(data, own[0], "admin")
        token = make_token(data, "read", "admin")
        context = AUTHORITY.client_context(own)
        for url in (server.url, server.admin_url):
            with pytest.raises((OSError, http.client.HTTPException)):
                Client(url).ask("/healthz", token)
            assert Client(url, context).ask("/healthz", token)[0] == 200
        (data.parent / "entry").write_bytes(b"hello")
        trusted = {"TLOG_CA": str(ca), "TLOG_TOKEN": token}
        append = ("append", str(data.parent / "entry"))
        code, _, complaint = _command(data, server.url, *append, **trusted)
        assert (code, "nothing was sent" in complaint, "unknown" in complaint) == (3, True, False)
        assert "client's certificate" in complaint
        admin = Client(server.admin_url, context)
        assert admin.ask("/admin/logs")[0] == 200
        assert admin.ask("/admin/logs", "none")[0] == 401
        assert server.stop() == 0
