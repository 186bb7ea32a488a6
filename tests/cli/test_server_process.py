"""`tlog serve` as a process: readiness, the socket, signals, the end."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.faults.server_process import ROOT, ServerProcess, tlog
from tlog.lock import DirectoryLock

TIMEOUT_S = 20


def ask(url: str, token: str = "", body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of one request."""
    headers = {"Content-Type": "application/octet-stream"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a public log, whose path is longer than a socket address."""
    directory = tmp_path / ("long-" * 20) / ("path-" * 10)
    tlog("log", "create", "a", "--data", str(directory), "--origin", "example.com/a", "--public")
    return directory


@pytest.fixture
def server(data: Path) -> Iterator[ServerProcess]:
    """A running server of that directory."""
    process = ServerProcess(data, "--log-level", "info")
    process.start()
    yield process
    process.kill()


def test_commands_reach_the_running_server(data: Path, server: ServerProcess) -> None:
    """What a command makes through the socket is served at once, and what it revokes is dead."""
    vkey = tlog("log", "create", "b", "--data", str(data), "--origin", "example.com/b")
    assert vkey.startswith("example.com/b+")
    scopes = ("--scope", "append", "--scope", "read")
    token = tlog("token", "create", "--data", str(data), "--log", "b", *scopes)
    assert ask(f"{server.url}/logs/b/add", token, b"hello") == (200, b"1")
    token_id = token.split("_")[1]
    tlog("token", "revoke", token_id, "--data", str(data))
    assert ask(f"{server.url}/logs/b/checkpoint", token)[0] == 401
    facts = json.loads(tlog("log", "show", "b", "--data", str(data), "--json"))
    assert facts["vkey"] == vkey
    # Nothing secret has reached the log, although every request is in it.
    assert "/logs/{name}/add" in server.stderr
    assert token not in server.stderr
    assert "hello" not in server.stderr
    assert server.stop() == 0
    # Without the server the directory says the same.
    assert json.loads(tlog("log", "show", "b", "--data", str(data), "--json"))["size"] == 2


def test_commands_at_once_on_a_new_directory_all_succeed(tmp_path: Path) -> None:
    """One of them makes the directory, the others find it made."""
    create = (sys.executable, "-m", "tlog", "log", "create")
    commands = [
        [*create, name, "--data", str(tmp_path / "data"), "--origin", f"example.com/{name}"]
        for name in ("a", "b", "c")
    ]
    processes = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    assert [process.wait(TIMEOUT_S) for process in processes] == [0, 0, 0]
    logs = json.loads(tlog("log", "list", "--data", str(tmp_path / "data"), "--json"))
    assert [log["name"] for log in logs] == ["a", "b", "c"]


def test_a_second_server_is_refused(data: Path, server: ServerProcess) -> None:
    """The lock is held: exit 4, and the first server goes on."""
    second = _serve(data, "127.0.0.1:0")
    assert second.returncode == 4
    assert "Traceback" not in second.stderr
    assert ask(f"{server.url}/readyz")[0] == 200


def test_an_address_that_is_taken_is_an_input_output_error(data: Path) -> None:
    """Exit 3, and the directory is free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        failed = _serve(data, f"127.0.0.1:{taken.getsockname()[1]}")
    assert failed.returncode == 3
    assert "Traceback" not in failed.stderr
    DirectoryLock(data).release()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_is_clean_and_answers_who_waits(
    data: Path, server: ServerProcess, number: signal.Signals
) -> None:
    """Requests under way are answered, then exit 0; socket and lock are gone; nothing is lost."""
    token = tlog("token", "create", "--data", str(data), "--log", "a", "--scope", "append")
    answers: list[tuple[int, bytes]] = []

    def append() -> None:
        for entry in range(1000):
            try:
                url = f"{server.url}/logs/a/entries?wait=published&timeout_s=30"
                answers.append(ask(url, token, b"%d" % entry))
            except OSError:
                return

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + TIMEOUT_S
    while len(answers) < 20 and time.monotonic() < deadline:
        time.sleep(0.01)
    process = server._process
    assert process is not None
    for _ in range(3):
        process.send_signal(number)
    assert process.wait(TIMEOUT_S) == 0
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert not (data / "tlog.sock").exists()
    DirectoryLock(data).release()
    assert {status for status, _ in answers} <= {201, 202, 503}
    standing = {json.loads(body)["index"] for status, body in answers if status in (201, 202)}
    facts = json.loads(tlog("log", "show", "a", "--data", str(data), "--json"))
    # The last publication covers every acknowledged entry, and no index was given twice.
    assert standing <= set(range(1, facts["size"]))
    assert len(standing) == sum(status in (201, 202) for status, _ in answers)
    server.kill()


def test_clients_that_never_finish_do_not_keep_the_server(
    data: Path, server: ServerProcess
) -> None:
    """Half a header, half a body and an idle connection: exit 0, so before the deadline."""
    token = tlog("token", "create", "--data", str(data), "--log", "a", "--scope", "append")
    host, port = server.url.removeprefix("http://").split(":")
    beginnings = (
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: x",
        f"POST /logs/a/add HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 10\r\n\r\nhello".encode(),
    )
    connections = [socket.create_connection((host, int(port))) for _ in beginnings]
    try:
        for connection, beginning in zip(connections, beginnings, strict=True):
            connection.sendall(beginning)
        assert ask(f"{server.url}/healthz")[0] == 200
        assert server.stop() == 0
    finally:
        for connection in connections:
            connection.close()


class _ServerWithFewDescriptors(ServerProcess):
    """May have 64 descriptors, and 256 when it asks."""

    def _spawn(self, errors: IO[str]) -> subprocess.Popen[str]:
        limited = 'ulimit -S -n 64; ulimit -H -n 256; exec "$@"'
        command = (sys.executable, "-m", "tlog", "serve", "--data", str(self._data_dir))
        return subprocess.Popen(
            ["sh", "-c", limited, "sh", *command, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        )


def test_too_few_descriptors_for_the_logs_are_said_at_once(data: Path) -> None:
    """A server that could not carry its logs and a few connections does not begin."""
    limited = 'ulimit -S -n 64; ulimit -H -n 64; exec "$@"'
    command = (sys.executable, "-m", "tlog", "serve", "--data", str(data))
    ended = subprocess.run(
        ["sh", "-c", limited, "sh", *command, "--listen", "127.0.0.1:0"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.returncode == 2
    assert "1 logs and 16 connections take 72 file descriptors, 64 are allowed" in ended.stderr


def test_connections_leave_descriptors_for_everything_else(data: Path) -> None:
    """However many connections are open, new ones, commands and databases have descriptors."""
    with _ServerWithFewDescriptors(data) as server, contextlib.ExitStack() as opened:
        server.start()
        host, port = server.url.removeprefix("http://").split(":")
        for _ in range(300):
            opened.enter_context(socket.create_connection((host, int(port)), TIMEOUT_S))
        assert ask(f"{server.url}/logs/a/checkpoint")[0] == 200
        assert tlog("log", "create", "b", "--data", str(data), "--origin", "example.com/b")
        token = tlog("token", "create", "--data", str(data), "--log", "b", "--scope", "append")
        assert ask(f"{server.url}/logs/b/add", token, b"x")[0] in (200, 507)
        assert server._process is not None
        descriptors = Path(f"/proc/{server._process.pid}/fd")
        assert 64 < len(list(descriptors.iterdir())) < 256
        assert server.stop() == 0
        assert "Too many open files" not in server.stderr


def test_a_socket_left_by_a_crash_is_replaced(data: Path, server: ServerProcess) -> None:
    """After kill -9 the stale socket hinders neither commands nor the next server."""
    server.kill()
    assert (data / "tlog.sock").is_socket()
    assert json.loads(tlog("log", "list", "--data", str(data), "--json"))
    server.start()
    assert json.loads(tlog("log", "list", "--data", str(data), "--json"))
    assert server.stop() == 0
    assert not (data / "tlog.sock").exists()


def test_a_server_that_cannot_end_is_ended() -> None:
    """When the event loop does not turn any more, the process still ends in time, with exit 1."""
    program = (
        "import asyncio, time\n"
        "from tlog.signals import StopSignals\n"
        "async def main():\n"
        "    with StopSignals(0.2) as signals:\n"
        "        print('ready', flush=True)\n"
        "        await signals.stop.wait()\n"
        "        time.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.wait(TIMEOUT_S) == 1


def _serve(data: Path, address: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tlog", "serve", "--data", str(data), "--listen", address],
        capture_output=True,
        check=False,
        text=True,
        timeout=TIMEOUT_S,
        cwd=ROOT,
    )
