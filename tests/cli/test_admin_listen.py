"""`tlog serve --admin-listen` as a process: administration over TCP, with every kind of server."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.faults.server_process import DISK, ROOT, ServerProcess, tlog
from tlog.lock import DirectoryLock

TIMEOUT_S = 20
LOG = {"name": "new", "origin": "example.com/new", "kind": "opaque/1"}


def ask(
    url: str, token: str = "", body: object = None, method: str | None = None
) -> tuple[int, bytes]:
    """Status and body of one request; a JSON body is sent as such, bytes as an entry."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    kind = "octet-stream" if isinstance(body, bytes) else "json"
    headers["Content-Type"] = f"application/{kind}"
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - our own
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with two private logs, `mine` and `theirs`."""
    directory = tmp_path / "data"
    for name in ("mine", "theirs"):
        tlog("log", "create", name, "--data", str(directory), "--origin", f"example.com/{name}")
    return directory


@pytest.fixture
def server(data: Path) -> Iterator[ServerProcess]:
    """A running server of that directory, with an administrative address."""
    with ServerProcess(data, "--admin-listen", "127.0.0.1:0") as process:
        process.start()
        yield process


def test_an_administrator_makes_a_log_and_its_tokens(data: Path, server: ServerProcess) -> None:
    """What is made at the one address holds at the other, at once and after a restart."""
    admin = tlog("token", "create", "--data", str(data), "--log", "mine", "--scope", "admin")
    assert ask(f"{server.admin_url}/admin/logs", admin, LOG)[0] == 201
    wanted = {"logs": ["new"], "scopes": ["append", "read"]}
    status, body = ask(f"{server.admin_url}/admin/tokens", admin, wanted)
    assert status == 201
    token = json.loads(body)["token"]
    assert ask(f"{server.url}/logs/new/add", token, b"hello") == (200, b"1")
    assert server.stop() == 0
    server.start()
    status, body = ask(f"{server.admin_url}/admin/logs", admin)
    assert [log["name"] for log in json.loads(body)["logs"]] == ["mine", "new"]
    assert ask(f"{server.admin_url}/logs/new/entries/1", admin) == (200, b"hello")
    token_id = token.split("_")[1]
    url = f"{server.admin_url}/admin/tokens/{token_id}"
    assert ask(url, admin, method="DELETE")[0] == 200
    assert ask(f"{server.url}/logs/new/add", token, b"more")[0] == 401
    assert ask(f"{server.admin_url}/admin/tokens", token)[0] == 401


def test_the_addresses_do_not_serve_each_others_matters(data: Path, server: ServerProcess) -> None:
    """No administration at the public address, no append at the other, nothing of others' logs."""
    scopes = ("--scope", "admin", "--scope", "append", "--scope", "read")
    admin = tlog("token", "create", "--data", str(data), "--log", "mine", *scopes)
    for path in ("/metrics", "/admin/logs", "/admin/tokens"):
        assert ask(server.url + path, admin)[0] == 404
        assert ask(server.admin_url + path, admin)[0] == 200
        assert ask(server.admin_url + path)[0] == 401
    assert ask(f"{server.admin_url}/logs/mine/add", admin, b"entry")[0] == 404
    assert ask(f"{server.admin_url}/admin/logs/theirs", admin)[0] == 404
    assert ask(f"{server.admin_url}/healthz")[0] == 401
    assert ask(f"{server.url}/logs/mine/add", admin, b"entry") == (200, b"1")
    metrics = ask(f"{server.admin_url}/metrics", admin)[1].decode()
    assert 'tlog_committed_size{log="mine"} 2.0' in metrics
    assert "theirs" not in metrics


class _ServerWithFewDescriptors(ServerProcess):
    """May have 256 descriptors."""

    def _spawn(self, errors: IO[str]) -> subprocess.Popen[str]:
        command = (sys.executable, "-m", "tlog", "serve", "--data", str(self._data_dir))
        options = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", *DISK)
        return subprocess.Popen(
            ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *command, *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        )


def test_both_addresses_share_the_descriptors(data: Path) -> None:
    """However many connections are open at both, requests, commands and databases have some."""
    token = tlog("token", "create", "--data", str(data), "--log", "mine", "--scope", "admin")
    with _ServerWithFewDescriptors(data) as server, contextlib.ExitStack() as opened:
        server.start()
        for url in (server.url, server.admin_url):
            host, port = url.removeprefix("http://").split(":")
            for _ in range(250):
                opened.enter_context(socket.create_connection((host, int(port)), TIMEOUT_S))
        assert ask(f"{server.url}/healthz")[0] == 200
        assert ask(f"{server.admin_url}/admin/logs", token, LOG)[0] == 201
        assert tlog("log", "create", "b", "--data", str(data), "--origin", "example.com/b")
        assert server._process is not None
        descriptors = list(Path(f"/proc/{server._process.pid}/fd").iterdir())
        # The one half of 256 is for connections, three quarters of it for the public address.
        assert 128 < len(descriptors) < 200
        assert server.stop() == 0
        assert "Too many open files" not in server.stderr


def _refused(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "tlog", "serve", "--data", str(data))
    return subprocess.run(
        [*command, "--listen", "127.0.0.1:0", *options],
        capture_output=True,
        check=False,
        text=True,
        timeout=TIMEOUT_S,
        cwd=ROOT,
    )


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_off_loopback_it_wants_a_proxy_that_speaks_tls(data: Path, address: str) -> None:
    """A token that rules logs travels no network in the clear; exit 2, and the option is named."""
    refused = _refused(data, "--admin-listen", address)
    assert refused.returncode == 2
    assert "--behind-tls-proxy" in refused.stderr


def test_an_address_that_is_taken_ends_everything(data: Path) -> None:
    """Exit 3 without a ready line, and the directory is free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = _refused(data, "--admin-listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "Traceback" not in refused.stderr
    DirectoryLock(data).release()
