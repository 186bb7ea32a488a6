"""Building our Go programs into a cache that git ignores, where Go is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bench.process import ROOT

CACHE = ROOT / ".cache" / "bench"
BUILD_TIMEOUT_S = 240
SHOWN_ERROR = 200


def build(sources: Path, program: Path) -> str:
    """Build the program of a module; why there is none, or an empty string.

    Requirements are those of its go.sum; no other Go is downloaded.
    """
    go = shutil.which("go")
    if go is None:
        return "Go is not installed"
    program.parent.mkdir(parents=True, exist_ok=True)
    settings = {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    try:
        done = subprocess.run(
            [go, "build", "-o", str(program), "."],
            capture_output=True,
            check=False,
            cwd=sources,
            env={**os.environ, **settings},
            text=True,
            timeout=BUILD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"Go did not end within {BUILD_TIMEOUT_S} s"
    return "" if done.returncode == 0 else f"Go failed: {done.stderr.strip()[-SHOWN_ERROR:]}"
