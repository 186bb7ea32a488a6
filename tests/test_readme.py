"""The five-minute tour of the README, run as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 60


def free_port() -> int:
    """A port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour uses curl")
def test_tour_prints_what_the_readme_says(tmp_path: Path) -> None:
    """Each command of the tour succeeds, and `tlog verify` prints the lines shown under it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (tour,) = re.findall(r"```sh\n(export PATH.*?)```", readme, flags=re.DOTALL)
    (shown,) = re.findall(r"```\n(proved: .*?)```", readme, flags=re.DOTALL)
    # What a reader does by waiting for the `ready:` line, and by reading the exit codes.
    ready = "\nuntil curl -sf -o answer http://127.0.0.1:8081/readyz; do sleep 0.1; done\n"
    tour = tour.replace(" &\n", " &\n" + ready).replace("8081", str(free_port()))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {"PATH": path, "TMPDIR": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    shell = subprocess.Popen(
        ["bash", "-c", f"set -eu\ntrap 'kill $(jobs -p) 2>&- || true' EXIT\n{tour}\nwait"],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, errors = shell.communicate(timeout=TIMEOUT_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    assert shell.returncode == 0, errors
    expected = re.escape(shown).replace(r"\.\.\.", "[A-Za-z0-9+/]{43}=")
    assert re.search(expected, printed)
    assert '{"actor":"alice","action":"login"}{"index":1,"size":2' in printed
