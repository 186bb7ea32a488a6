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
RUST_SOURCES = Path(__file__).parent / "rust"

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
NO_CRATES = re.compile(r"failed to (?:download|fetch)|download of \S+ failed|network error")


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


def rust_program() -> Path:
    """Build our own Rust program over Cloudflare's crates; skips without Cargo or a network.

    Built beside the cache's other programs, where Cargo keeps what it resolved.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("Cargo is not installed: the Rust program cannot be built")
    folder = CACHE / "rust"
    shutil.copytree(RUST_SOURCES, folder, dirs_exist_ok=True)
    built = _run([cargo, "build", "--quiet", "--target-dir", "target"], folder, {})
    if built.returncode != 0:
        if NO_CRATES.search(built.stderr):
            pytest.skip("`cargo build` found no network")
        pytest.fail(f"`cargo build` failed:\n{built.stderr}")
    return folder / "target" / "debug" / "peers"


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
    own = {
        "GOBIN": str(CACHE),
        "GOFLAGS": "-buildvcs=false",
        "GOTOOLCHAIN": "local",  # no other Go is downloaded
        "GOWORK": "off",
    }
    built = _run(command, folder, own)
    if built.returncode != 0:
        _refuse(_shown(command), built.stderr.strip())


def _run(command: list[str], folder: Path, own: dict[str, str]) -> subprocess.CompletedProcess[str]:
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        return subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd=folder,
            env={**os.environ, **own},
            text=True,
            timeout=BUILD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(
            f"`{_shown(command)}` did not end within {BUILD_TIMEOUT_S} s: no usable network?"
        )


def _shown(command: list[str]) -> str:
    return " ".join([Path(command[0]).name, *command[1:]])


def _refuse(shown: str, errors: str) -> NoReturn:
    if old := OLD_GO.search(errors):
        pytest.skip(f"`{shown}` needs a newer Go: {old.group()}")
    if NO_NETWORK.search(errors):
        words = re.sub(r'\w+ "\w+://[^"]*": ', "", errors.splitlines()[-1])
        pytest.skip(f"`{shown}` found no network: {words}")
    pytest.fail(f"`{shown}` failed:\n{errors}")
