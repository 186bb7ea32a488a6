"""Other projects' programs, built from their pinned sources into a cache that git ignores."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "peers"
VERIFY_SOURCES = Path(__file__).parent / "verify"

TESSERA = "github.com/transparency-dev/tessera"
TESSERA_VERSION = "v1.0.4"
TESSERA_SUM = "h1:IXjGowubcLR0T3zUQrysSMKgtTh9KGKQ0iajUiubyP4="

BUILD_TIMEOUT_S = 240
NO_NETWORK = re.compile(
    r"dial tcp|no such host|could not resolve host|name resolution|proxyconnect"
    r"|TLS handshake timeout|i/o timeout|connection (?:refused|reset)|network is unreachable"
    r"|deadline exceeded|GOPROXY=off|50[234] [A-Z][a-z]+",
    re.IGNORECASE,
)
OLD_GO = re.compile(r"requires go >= \S+")


def tessera_program(package: str) -> Path:
    """Build one of Tessera's programs, unless the cache has just that version of it.

    Skips the test where Go is absent or too old, or the sources cannot be downloaded.
    """
    program = CACHE / package.rpartition("/")[2]
    go = _find_go()
    if not _is_pinned(go, program):
        _build([go, "install", f"{TESSERA}/{package}@{TESSERA_VERSION}"])
    if not _is_pinned(go, program):
        pytest.fail(f"{program} is not {TESSERA} {TESSERA_VERSION} with the sum {TESSERA_SUM}")
    return program


def verify_program() -> Path:
    """Build our own Go program, which checks and proves with other projects' libraries.

    Skips the test as tessera_program does. Always built: Go's cache knows when nothing changed.
    """
    _build([_find_go(), "install", "-mod=readonly", "."], VERIFY_SOURCES)
    return CACHE / "verify"


def _find_go() -> str:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed: other projects' programs cannot be built")
    return go


def _is_pinned(go: str, program: Path) -> bool:
    """Say whether the file was built from the pinned sources, as Go noted inside it."""
    told = subprocess.run(
        [go, "version", "-m", str(program)], capture_output=True, check=False, text=True, timeout=60
    )
    return f"\tmod\t{TESSERA}\t{TESSERA_VERSION}\t{TESSERA_SUM}\n" in told.stdout


def _build(command: list[str], folder: Path = ROOT) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    own = {
        "GOBIN": str(CACHE),
        "GOFLAGS": "-buildvcs=false",
        "GOTOOLCHAIN": "local",  # no other Go is downloaded
        "GOWORK": "off",
    }
    shown = " ".join(["go", *command[1:]])
    try:
        built = subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd=folder,
            env={**os.environ, **own},
            text=True,
            timeout=BUILD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"`{shown}` did not end within {BUILD_TIMEOUT_S} s: no usable network?")
    if built.returncode != 0:
        _refuse(shown, built.stderr.strip())


def _refuse(shown: str, errors: str) -> NoReturn:
    if old := OLD_GO.search(errors):
        pytest.skip(f"`{shown}` needs a newer Go: {old.group()}")
    if NO_NETWORK.search(errors):
        words = re.sub(r'\w+ "\w+://[^"]*": ', "", errors.splitlines()[-1])
        pytest.skip(f"`{shown}` found no network: {words}")
    pytest.fail(f"`{shown}` failed:\n{errors}")
