"""A built wheel, installed alone, and a clean interpreter to try it in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = {"tlog": ROOT, "tlog_clients": ROOT / "clients", "tlog_proofs": ROOT / "proofs"}


@dataclass(frozen=True)
class Wheel:
    """One built wheel: the names in it, its metadata, the folder where it is installed alone."""

    names: frozenset[str]
    metadata: Message
    folder: Path

    @property
    def requirements(self) -> dict[str, str]:
        """Requirement lines that no extra guards, by the name they require."""
        lines = self.metadata.get_all("Requires-Dist") or []
        return {line.split(">")[0]: line for line in lines if "extra ==" not in line}


def run_python(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run this interpreter and return what it printed; its error output fails the test."""
    env = {"PATH": "/usr/bin:/bin"} | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout
