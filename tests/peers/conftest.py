"""Other projects' programs and the server that they meet, one of each for a whole run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.fsck import Fsck
from tests.peers.go_verifier import GoVerifier
from tests.peers.hammer import Hammer
from tests.peers.peer_log import PeerServer
from tests.peers.programs import rust_program, tessera_program, verify_program
from tests.peers.rust_crates import RustCrates


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeerServer]:
    """`tlog serve` as a child process; it must end well and without a traceback."""
    server = PeerServer(tmp_path_factory.mktemp("peers") / "data")
    try:
        yield server
    finally:
        exit_code = server.process.stop()
    assert exit_code == 0
    assert "Traceback" not in server.process.stderr


@pytest.fixture(scope="session")
def fsck_program() -> Path:
    """Tessera's fsck."""
    return tessera_program("cmd/fsck")


@pytest.fixture
def fsck(fsck_program: Path, tmp_path: Path) -> Fsck:
    """Tessera's fsck with a folder for its key files."""
    return Fsck(fsck_program, tmp_path)


@pytest.fixture(scope="session")
def hammer() -> Hammer:
    """Tessera's load generator."""
    return Hammer(tessera_program("internal/hammer"))


@pytest.fixture(scope="session")
def go_verifier() -> GoVerifier:
    """Our Go program over golang.org/x/mod and transparency-dev/formats."""
    return GoVerifier(verify_program())


@pytest.fixture(scope="session")
def rust_crates() -> RustCrates:
    """Our Rust program over Cloudflare's crates."""
    return RustCrates(rust_program())
