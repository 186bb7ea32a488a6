"""SIGHUP at every moment, and a server whose log nobody reads any more."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.test_tls import AUTHORITY, TIMEOUT_S, Client, _hang_up, options, replace_pair
from tests.faults.server_process import DISK, ROOT, ServerProcess, tlog
from tests.workers.test_processes import children, process_of

HANGUP = 1 << (signal.SIGHUP - 1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a private log `a`, beside the files of a certificate."""
    tlog("log", "create", "a", "--data", str(tmp_path / "data"), "--origin", "example.com/a")
    AUTHORITY.issue("server").write(tmp_path, "server")
    return tmp_path / "data"


def _serve(data: Path, errors: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tlog", "serve", "--data", str(data)]
    return subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", *DISK, *options(data)],
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        cwd=ROOT,
    )


def _until_survivable(process: int) -> None:
    """Wait until SIGHUP does not end a process."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        masks = [line.split()[1] for line in lines if line.startswith(("SigIgn:", "SigCgt:"))]
        if any(int(mask, 16) & HANGUP for mask in masks):
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_hang_up_ends_no_server_that_begins(data: Path) -> None:
    """It comes before the files are watched: while a command holds the data directory."""
    with (data / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = _serve(data, subprocess.DEVNULL)
        try:
            _until_survivable(server.pid)
            server.send_signal(signal.SIGHUP)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert server.stdout is not None
            with server.stdout:
                assert server.stdout.readline().startswith("ready: ")
        finally:
            server.kill()
            server.wait(TIMEOUT_S)


def test_a_hang_up_ends_no_worker(data: Path) -> None:
    """Whoever sends it to all processes of the service."""
    with ServerProcess(data, *options(data), "--workers", "2") as server:
        server.start()
        workers = children(process_of(server))
        for worker in workers:
            os.kill(worker, signal.SIGHUP)
        replace_pair(data, renewed := AUTHORITY.issue("renewed"))
        _hang_up(server)
        Client(server.url).until_shown(renewed)
        assert children(process_of(server)) == workers


def test_certificates_are_taken_though_nobody_reads_the_log(data: Path) -> None:
    """Standard error is a pipe whose reader is gone: what is said there is lost, and no more."""
    reader, writer = os.pipe()
    server = _serve(data, writer)
    os.close(writer)
    try:
        assert server.stdout is not None
        with server.stdout:
            client = Client(server.stdout.readline().removeprefix("ready: ").strip())
        os.close(reader)
        for name in ("renewed", "again"):
            (data.parent / "server.pem").write_bytes(b"broken")  # to be said
            server.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            replace_pair(data, renewed := AUTHORITY.issue(name))  # as this is
            server.send_signal(signal.SIGHUP)
            client.until_shown(renewed, times=1)
        server.terminate()
        assert server.wait(TIMEOUT_S) == 0
    finally:
        server.kill()
        server.wait(TIMEOUT_S)
