"""`tlog serve --workers 2`: several processes, and everything as with one."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.server_process import ServerProcess, tlog
from tlog.local import socket_path

TIMEOUT_S = 20
WORKERS = 2


def ask(url: str, token: str = "", body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of one request, on a connection of its own."""
    headers = {"Content-Type": "application/octet-stream"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - our own server
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def children(process: int) -> list[int]:
    """The processes that a process has begun."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(number) for number in text.split()]


def process_of(server: ServerProcess) -> int:
    """The process that holds the data directory."""
    assert server._process is not None
    return server._process.pid


def until_gone(numbers: list[int]) -> None:
    """Wait for processes to end."""
    deadline = time.monotonic() + TIMEOUT_S
    while any(Path(f"/proc/{number}").exists() for number in numbers):
        assert time.monotonic() < deadline, numbers
        time.sleep(0.02)


def metrics(data: Path) -> dict[str, float]:
    """The samples of one scrape at the unix socket, by the text before their value."""
    with socket_path(data) as path, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    lines = answer.partition(b"\r\n\r\n")[2].decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line[:1] not in ("#", ""))
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a public log `a`."""
    directory = tmp_path / "data"
    tlog("log", "create", "a", "--data", str(directory), "--origin", "example.com/a", "--public")
    return directory


@pytest.fixture
def server(data: Path) -> Iterator[ServerProcess]:
    """A running server of that directory with two workers."""
    process = ServerProcess(data, "--workers", str(WORKERS))
    process.start()
    yield process
    process.kill()


@pytest.fixture
def token(data: Path, server: ServerProcess) -> str:
    """A token that may append."""
    assert server.url
    return tlog("token", "create", "--data", str(data), "--log", "a", "--scope", "append")


def test_every_worker_serves_what_another_appended(server: ServerProcess, token: str) -> None:
    """Appends over many connections, then the checkpoint over many others: never one behind."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: ask(f"{server.url}/logs/a/add", token, b"%d" % n), range(40))
        )
    assert sorted(int(body) for status, body in answers if status == 200) == list(range(1, 41))
    status, body = ask(f"{server.url}/logs/a/entries?wait=published", token, b"last")
    assert status == 201
    assert json.loads(body)["index"] == 41
    for _ in range(3 * WORKERS):
        assert ask(f"{server.url}/logs/a/checkpoint")[1].split(b"\n")[1] == b"42"
    assert server.stop() == 0
    assert not server.stderr or "error" not in server.stderr


def test_what_the_operator_changes_holds_in_every_worker(
    data: Path, server: ServerProcess, token: str
) -> None:
    """A log, a token, a revocation: from the moment that the command is done."""
    for _ in range(2 * WORKERS):
        assert ask(f"{server.url}/logs/a/add", token, b"x")[0] == 200
    tlog("token", "revoke", token.split("_")[1], "--data", str(data))
    for _ in range(2 * WORKERS):
        assert ask(f"{server.url}/logs/a/add", token, b"x")[0] == 401
    tlog("log", "create", "b", "--data", str(data), "--origin", "example.com/b", "--public")
    for _ in range(2 * WORKERS):
        assert ask(f"{server.url}/logs/b/checkpoint")[0] == 200


def test_a_worker_that_dies_is_begun_again(server: ServerProcess, token: str) -> None:
    """Each worker is killed: others serve on, a new one comes, what was acknowledged stands."""
    acked = []
    for number in children(process_of(server)):
        os.kill(number, signal.SIGKILL)
        until_gone([number])
        for at in range(10):
            with contextlib.suppress(OSError):
                status, body = ask(f"{server.url}/logs/a/add", token, b"%d %d" % (number, at))
                if status == 200:
                    acked.append((int(body), b"%d %d" % (number, at)))
    deadline = time.monotonic() + TIMEOUT_S
    while len(children(process_of(server))) < WORKERS:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(acked) >= 10
    ask(f"{server.url}/logs/a/entries?wait=published", token, b"last")
    for index, entry in acked:
        assert ask(f"{server.url}/logs/a/entries/{index}") == (200, entry)
    assert "begun again" in server.stderr
    assert server.stop() == 0


def test_signals_of_the_terminal_end_no_worker(server: ServerProcess, token: str) -> None:
    """Ctrl-C and a hang-up go to every process of a terminal: the first one says what follows."""
    workers = children(process_of(server))
    for number in workers:
        os.kill(number, signal.SIGINT)
        os.kill(number, signal.SIGHUP)
    for at in range(2 * WORKERS):
        assert ask(f"{server.url}/logs/a/add", token, b"%d" % at)[0] == 200
    assert children(process_of(server)) == workers
    assert server.stop() == 0
    assert "Traceback" not in server.stderr


def test_no_worker_outlives_the_server(server: ServerProcess) -> None:
    """After kill -9 of the process that holds the directory its workers end by themselves."""
    workers = children(process_of(server))
    assert len(workers) == WORKERS
    address = server.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), TIMEOUT_S):
        server.kill()
        until_gone(workers)
    server.start()
    assert ask(f"{server.url}/readyz")[0] == 200
    workers = children(process_of(server))
    assert server.stop() == 0
    until_gone(workers)


def test_the_end_answers_what_was_begun(server: ServerProcess, token: str) -> None:
    """SIGTERM under load: every append is answered or refused, the exit code is 0."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        url = f"{server.url}/logs/a/add"

        def append_many(worker: int) -> list[int]:
            acked = []
            for at in range(500):
                try:
                    status, body = ask(url, token, b"%d %d" % (worker, at))
                except OSError:
                    break
                if status == 200:
                    acked.append(int(body))
            return acked

        loads = [pool.submit(append_many, worker) for worker in range(8)]
        time.sleep(0.3)
        assert server.stop() == 0
        acked = [index for load in loads for index in load.result()]
    assert len(acked) == len(set(acked)) > 0
    server.start()
    ask(f"{server.url}/logs/a/entries?wait=published", token, b"last")
    for index in acked:
        assert ask(f"{server.url}/logs/a/entries/{index}")[0] == 200


def test_one_scrape_answers_for_all_processes(
    data: Path, token: str, server: ServerProcess
) -> None:
    """Requests of every worker are in it, their memory too; none is lost by being counted there."""
    for number in range(8):
        assert ask(f"{server.url}/logs/a/add", token, b"%d" % number)[0] == 200
    appended = 'tlog_appends_total{log="a",result="accepted"}'
    deadline = time.monotonic() + TIMEOUT_S
    while (samples := metrics(data)).get(appended, 0) < 8:
        assert time.monotonic() < deadline, samples
        time.sleep(0.1)
    assert samples[appended] == 8
    assert samples['tlog_committed_entries_total{log="a"}'] == 8
    assert samples['tlog_published_size{log="a"}'] <= samples['tlog_committed_size{log="a"}'] == 9
    for process in ("core", "worker-0", "worker-1"):
        assert samples[f'process_resident_memory_bytes{{process="{process}"}}'] > 1 << 20
    assert samples["tlog_worker_restarts_total"] == 0
    os.kill(children(process_of(server))[0], signal.SIGKILL)
    while metrics(data)["tlog_worker_restarts_total"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
