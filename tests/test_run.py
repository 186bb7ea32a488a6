"""`make run`: what it announces is there, nothing is appended twice, it ends cleanly."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
TIMEOUT_S = 60
LINES = [f'{{"actor":"user{number}","action":"login"}}' for number in range(40)]


@contextmanager
def running(data: Path, samples: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run it on a free port; yields the process and its lines up to `ready:`. Leaves nothing."""
    env = os.environ | {"DATA": str(data), "SAMPLES": str(samples), "LISTEN": "127.0.0.1:0"}
    process = subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "run.py"],
        cwd=ROOT,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    watchdog = threading.Timer(TIMEOUT_S, kill)  # ends the reading below, whatever happens
    watchdog.start()
    assert process.stdout is not None
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("ready: "):
                break
        yield process, lines
    finally:
        kill()
        process.wait()
        watchdog.cancel()
        process.stdout.close()


def write_samples(folder: Path, lines: list[str]) -> Path:
    """Make a folder of samples with these lines."""
    folder.mkdir()
    (folder / "events.ndjson").write_text("".join(line + "\n" for line in lines))
    return folder


@pytest.mark.skipif(shutil.which("curl") is None, reason="it prints a curl command")
def test_run_announces_what_is_there(tmp_path: Path) -> None:
    """The last line is `ready:`, the commands printed before it work, and SIGINT ends it with 0."""
    samples = write_samples(tmp_path / "samples", LINES)
    with running(tmp_path / "data", samples) as (process, lines):
        assert lines[-1].startswith("ready: http://127.0.0.1:")
        assert any(line.startswith("appended 40 entries") for line in lines)
        curl, verify = (line.strip() for line in lines if line.startswith("  "))
        printed = subprocess.run(
            ["bash", "-c", curl.replace("curl ", "curl -sf ")],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=True,
        )
        assert printed.stdout == LINES[-1]
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
    offline = verify.replace(".venv/bin", str(BIN))
    subprocess.run(["bash", "-c", offline], cwd=ROOT, timeout=TIMEOUT_S, check=True)


def test_run_again_appends_nothing_twice(tmp_path: Path) -> None:
    """A second run appends only what is new, makes another token, and SIGTERM ends it with 0."""
    data, tokens = tmp_path / "data", set()
    for number, (lines, appended) in enumerate([(LINES[:25], 25), (LINES, 15)]):
        samples = write_samples(tmp_path / f"samples{number}", lines)
        with running(data, samples) as (process, printed):
            assert any(line.startswith(f"appended {appended} entries") for line in printed)
            tokens |= {line.split()[1] for line in printed if line.startswith("token")}
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT_S) == 0
    assert len(tokens) == 2
    listed = subprocess.run(
        [BIN / "tlog", "log", "list", "--data", data, "--json"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    assert [log["size"] for log in json.loads(listed.stdout)] == [1 + len(LINES)]


def test_run_ends_when_the_server_cannot_start(tmp_path: Path) -> None:
    """On a folder that is no data directory it ends with an error and is never ready."""
    foreign = tmp_path / "data"
    foreign.mkdir()
    (foreign / "file").touch()
    samples = write_samples(tmp_path / "samples", LINES)
    with running(foreign, samples) as (process, lines):
        assert process.wait(TIMEOUT_S) == 2
        assert lines == []
