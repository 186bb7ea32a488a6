"""Commands that wait for input, find none, have hardly begun, or have no home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.clients.simulator import LogSimulator

TIMEOUT_S = 30.0
URL = "http://127.0.0.1:1/logs/test"
ROOT = Path(__file__).resolve().parents[2]
# Says when a thread is about to read the descriptor, by way of an audit event: no timing.
RUN = """
import sys
def hook(event, arguments):
    if event == "open" and arguments[0] == sys.stdin.fileno():
        sys.stderr.write("reading\\n")
        sys.stderr.flush()
sys.addaudithook(hook)
from tlog.cli import main
main()
"""


@pytest.mark.parametrize("arguments", [["-"], ["--lines", "-"]], ids=" ".join)
def test_waiting_for_input(arguments: list[str], tmp_path: Path) -> None:
    """Ctrl-C ends a command that waits for somebody to type."""
    command = [sys.executable, "-c", RUN, "append", "--url", URL, *arguments]
    reader, writer = os.pipe()  # nothing is ever written, and it is never closed
    try:
        process = subprocess.Popen(
            [*command, "--state", str(tmp_path / "heads.json")],
            stdin=reader,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        too_late = threading.Timer(TIMEOUT_S, process.kill)
        too_late.start()
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == b"reading\n"
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate()
        finally:
            process.kill()
            process.wait()
            too_late.cancel()
    finally:
        os.close(reader)
        os.close(writer)
    assert (process.returncode, stdout, stderr) == (130, b"", b"tlog: interrupted\n")


@pytest.mark.parametrize("arguments", [["-"], ["--lines", "-"]], ids=" ".join)
def test_no_input(arguments: list[str], tmp_path: Path) -> None:
    """Without stdin a command ends with exit 3 and one line."""
    command = [sys.executable, "-m", "tlog", "append", "--url", URL, *arguments]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command, "--state", str(tmp_path / "heads.json")],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"tlog: stdin is closed\n")


def test_the_command_line_is_light() -> None:
    """The client library is imported within the part that ends well when it is interrupted."""
    code = "import sys, tlog.cli; print('aiohttp' in sys.modules, 'tlog_clients' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=TIMEOUT_S, check=True, cwd=ROOT
    )
    assert done.stdout == b"False False\n"


def test_interrupted_while_it_is_imported() -> None:
    """Nothing more is imported to say so: it may be what was interrupted."""
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'tlog_clients': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from tlog.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "head", "--url", URL],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"tlog: interrupted\n")


def test_no_home_directory(tmp_path: Path) -> None:
    """Where no default state file can be named, --state is asked for; with it, all is well."""
    code = (
        "import pathlib\n"
        "def home(): raise RuntimeError('no home')\n"
        "pathlib.Path.home = home\n"
        "from tlog.cli import main\n"
        "main()\n"
    )
    vkey = LogSimulator([]).key.vkey
    command = [sys.executable, "-c", code, "head", "--url", URL, "--vkey", vkey]
    environment = {name: value for name, value in os.environ.items() if name != "XDG_STATE_HOME"}
    for options, exit_code, word in (
        ([], 2, b"--state FILE"),
        (["--state", str(tmp_path / "heads.json")], 3, b"cannot connect"),
    ):
        done = subprocess.run(
            [*command, *options],
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
            cwd=ROOT,
            env=environment,
        )
        assert (done.returncode, done.stdout) == (exit_code, b"")
        assert word in done.stderr
        assert b"Traceback" not in done.stderr
