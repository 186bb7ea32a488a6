"""The three wheels, built from the checkout without any network, and each laid out alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Wheel]:
    """Build and install a distribution of the checkout once, without a package index."""
    built: dict[str, Wheel] = {}

    def build(name: str) -> Wheel:
        if name not in built:
            folder = tmp_path_factory.mktemp(name)
            run_python(
                "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=PROJECTS[name]
            )
            (file,) = folder.glob(f"{name}-*.whl")
            target = folder / "installed"
            pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
            run_python(*pip, "--target", str(target), str(file), cwd=folder)
            with zipfile.ZipFile(file) as archive:
                names = frozenset(archive.namelist())
                (metadata,) = (n for n in names if n.endswith(".dist-info/METADATA"))
                message = BytesParser().parsebytes(archive.read(metadata))
            built[name] = Wheel(names, message, target)
        return built[name]

    return build
