"""New TLS files while the server runs: in every process, at both addresses, of clients too."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Certificate
from tests.cli.test_tls import AUTHORITY, TIMEOUT_S, Client, _hang_up, let_in, options, replace_pair
from tests.faults.server_process import ServerProcess, tlog
from tests.workers.test_processes import children, process_of


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a private log `a`, beside the files of a certificate."""
    tlog("log", "create", "a", "--data", str(tmp_path / "data"), "--origin", "example.com/a")
    AUTHORITY.issue("server").write(tmp_path, "server")
    return tmp_path / "data"


@pytest.fixture
def server(data: Path) -> Iterator[ServerProcess]:
    """A running server with an administrative address, which asks clients for certificates."""
    (data.parent / "ca.pem").write_bytes(AUTHORITY.pem)
    asked = ("--tls-client-ca", str(data.parent / "ca.pem"), "--admin-listen", "127.0.0.1:0")
    with ServerProcess(data, *options(data), *asked) as process:
        process.start()
        yield process


def test_both_addresses_show_the_new_certificate(data: Path, server: ServerProcess) -> None:
    """The administrative one too."""
    replace_pair(data, renewed := AUTHORITY.issue("renewed"))
    _hang_up(server)
    for url in (server.url, server.admin_url):
        Client(url).until_shown(renewed)


def test_a_worker_that_begins_later_has_the_new_certificate(data: Path) -> None:
    """One that ended after a reload, and was begun again."""
    with ServerProcess(data, *options(data), "--workers", "2") as server:
        server.start()
        client = Client(server.url)
        replace_pair(data, renewed := AUTHORITY.issue("renewed"))
        _hang_up(server)
        client.until_shown(renewed)
        before = children(process_of(server))
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        deadline = time.monotonic() + TIMEOUT_S
        while len(set(children(process_of(server))) - set(before)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert [client.shown() for _ in range(4)] == [renewed.der] * 4


def test_other_authorities_of_clients_are_taken_alone(data: Path, server: ServerProcess) -> None:
    """With the server's own certificate as it was: the old authority's clients are refused."""
    other = Certificate.authority("another authority")
    clients = {}
    for name, authority in (("old", AUTHORITY), ("new", other)):
        own = authority.issue(name).write(data.parent, name)
        let_in(data, own[0], "append")
        clients[name] = Client(server.url, AUTHORITY.client_context(own))
    assert clients["old"].ask("/logs/a/add", body=b"hello")[0] == 200
    (data.parent / "ca.new").write_bytes(other.pem)
    (data.parent / "ca.new").rename(data.parent / "ca.pem")
    _hang_up(server)
    deadline = time.monotonic() + TIMEOUT_S
    taken = 0
    while taken < 4:
        try:
            assert clients["new"].ask("/logs/a/add", body=b"hello")[0] == 200
            taken += 1
        except (OSError, http.client.HTTPException):
            taken = 0
            assert time.monotonic() < deadline
            time.sleep(0.05)
    for _ in range(4):
        with pytest.raises((OSError, http.client.HTTPException)):
            clients["old"].ask("/logs/a/add", body=b"hello")
