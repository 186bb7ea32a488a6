"""A real server with one private log on loopback, and client commands that are set up for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.faults.server_process import ROOT, ServerProcess, tlog

TIMEOUT_S = 120
ORIGIN = "example.com/end-to-end"


class Site:
    """A data directory with one private log, its server, and the settings of a client."""

    def __init__(self, directory: Path, *server_options: str) -> None:
        self.directory = directory
        self.data = directory / "data"
        create = ("log", "create", "a", "--data", str(self.data), "--origin", ORIGIN)
        self.vkey = tlog(*create)
        self.server = ServerProcess(self.data, *server_options)
        self.server.start()
        self.token = self.make_token("append", "read")

    @property
    def url(self) -> str:
        """The log's address."""
        return f"{self.server.url}/logs/a"

    def make_token(self, *scopes: str) -> str:
        """A new token for the log, made through the server's socket."""
        options = [option for scope in scopes for option in ("--scope", scope)]
        return tlog("token", "create", "--data", str(self.data), "--log", "a", *options)

    def environment(self, token: str = "", state: str = "state") -> dict[str, str]:
        """The settings of a client command."""
        return {
            **os.environ,
            "TLOG_URL": self.url,
            "TLOG_VKEY": self.vkey,
            "TLOG_TOKEN": token or self.token,
            "XDG_STATE_HOME": str(self.directory / state),
        }

    def run(
        self, *arguments: str, stdin: bytes = b"", token: str = "", state: str = "state"
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a client command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "tlog", *arguments],
            check=False,
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT_S,
            env=self.environment(token, state),
            cwd=ROOT,
        )

    def swap_in(self, other: Path) -> None:
        """Stop the server, put another directory in the data directory's place, start again."""
        assert self.server.stop() == 0
        aside = self.directory / "aside"
        self.data.rename(aside)
        other.rename(self.data)
        aside.rename(other)
        self.server.start()
