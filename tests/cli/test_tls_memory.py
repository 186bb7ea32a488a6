"""What a TLS connection holds, and how many there may be, with every kind of server."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.test_tls import AUTHORITY, TIMEOUT_S, Client, options
from tests.faults.server_process import ServerProcess, tlog
from tests.workers.test_processes import metrics, process_of

KIB = 1024
CONNECTIONS = 60
CONNECTION_KIB = 400  # 70 to 200 are measured; with all that the loop's TLS would hold, 600


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a private log `a`, beside the files of a certificate."""
    tlog("log", "create", "a", "--data", str(tmp_path / "data"), "--origin", "example.com/a")
    AUTHORITY.issue("server").write(tmp_path, "server")
    return tmp_path / "data"


def _private_kib(server: ServerProcess) -> int:
    """The memory of a server and its workers that nobody shares."""
    core = process_of(server)
    workers = Path(f"/proc/{core}/task/{core}/children").read_text().split()
    smaps = (Path(f"/proc/{process}/smaps_rollup").read_text() for process in (core, *workers))
    lines = [line.split() for text in smaps for line in text.splitlines()]
    return sum(int(line[1]) for line in lines if line[0] == "Private_Dirty:")


def _upload(client: Client, opened: ExitStack) -> None:
    """A connection that goes on after a large body, which was refused."""
    bare = socket.create_connection(client.address, TIMEOUT_S)
    session = opened.enter_context(client.context.wrap_socket(bare, server_hostname="127.0.0.1"))
    header = f"POST /logs/a/add HTTP/1.1\r\nHost: x\r\nContent-Length: {1024 * KIB}\r\n\r\n"
    session.sendall(header.encode() + bytes(1024 * KIB))
    assert session.recv(65_536).startswith(b"HTTP/1.1 401 ")


def test_connections_that_sent_much_hold_little(data: Path) -> None:
    """The loop's TLS would keep more than half a MiB of each for its life."""
    with ServerProcess(data, *options(data)) as server, ExitStack() as opened:
        server.start()
        client = Client(server.url)
        for _ in range(8):
            _upload(client, opened)
        before = _private_kib(server)
        for _ in range(CONNECTIONS):
            _upload(client, opened)
        assert _private_kib(server) - before < CONNECTIONS * CONNECTION_KIB


def test_over_tls_there_are_fewer_connections(data: Path) -> None:
    """1024 in all, of which one address has half; handshakes that are not done count."""
    with ServerProcess(data, *options(data)) as server, ExitStack() as opened:
        server.start()
        for _ in range(530):
            opened.enter_context(socket.create_connection(Client(server.url).address, TIMEOUT_S))
        deadline = time.monotonic() + TIMEOUT_S
        while metrics(data)["tlog_tls_failed_handshakes_total"] < 18:  # those that gave way
            assert time.monotonic() < deadline
        # One asks for the metrics. A worker tells its number once a second.
        assert 500 < metrics(data)["tlog_http_connections"] <= 513
