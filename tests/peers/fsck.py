"""Tessera's fsck: its exit code is 0 on failure too, and it may hang, so its words are judged."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.peers.peer_log import SignedHead

TIMEOUT_S = 60.0
WORKERS = 8
SUCCESS = re.compile(r"Successfully fsck'd log with size (\d+) and root ([A-Za-z0-9+/]{43}=) \(")


class FsckFailedError(Exception):
    """fsck did not say that the log is good; the text is all that it said."""


@dataclass(frozen=True, slots=True)
class Fsck:
    """The program, and a folder for the key files that it wants."""

    program: Path
    folder: Path

    def check(
        self,
        url: str,
        vkey: str,
        *,
        origin: str,
        token: str | None = None,
        workers: int = WORKERS,
        timeout_s: float = TIMEOUT_S,
    ) -> tuple[int, str]:
        """Rebuild the log at the URL and return its size and root (base64) as fsck found them.

        Raises:
            FsckFailedError: anything but one line of success, a hang included.
        """
        key_file = self.folder / "vkey"
        key_file.write_text(vkey)
        command = [
            str(self.program),
            *("--storage_url", url, "--public_key", str(key_file), "--origin", origin),
            *("--N", str(workers), "--ui=false"),
            *(("--bearer_token", token) if token else ()),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, check=False, text=True, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as error:
            said = (error.stderr or b"").decode(errors="replace")
            raise FsckFailedError(f"no end within {timeout_s} s; it said: {said}") from None
        good = SUCCESS.findall(done.stderr)
        if done.returncode != 0 or len(good) != 1:
            raise FsckFailedError(f"exit code {done.returncode}; it said: {done.stderr}")
        size, root = good[0]
        return int(size), root

    def accepts(self, url: str, vkey: str, head: SignedHead, *, token: str | None = None) -> bool:
        """Say whether fsck finds just this head to be true."""
        origin = head.note.decode().split("\n", 1)[0]
        return self.check(url, vkey, origin=origin, token=token) == (head.size, head.root)
