"""A log copied into static files and served on loopback, so that a test can damage it."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.peers.peer_log import PeerLog

WIDTH = 256


def resource_paths(size: int) -> list[str]:
    """Paths of the entry bundles and of the tiles of all levels in a tree of so many entries."""
    paths = _row("tile/entries", size)
    level = 0
    while size:
        paths += _row(f"tile/{level}", size)
        size //= WIDTH
        level += 1
    return paths


def copy_log(log: PeerLog, folder: Path) -> None:
    """Write what the log serves at its checkpoint, each resource under its path."""
    head = log.head()
    (folder / "checkpoint").write_bytes(head.note)
    for path in resource_paths(head.size):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(log.get(path))


def read_entries(log: PeerLog) -> list[bytes]:
    """All entries that the log's bundles hold."""
    entries: list[bytes] = []
    size = log.head().size
    for path in _row("tile/entries", size):
        data = log.get(path)
        while data:
            end = 2 + int.from_bytes(data[:2], "big")
            entries.append(data[2:end])
            data = data[end:]
    assert len(entries) == size
    return entries


@contextmanager
def serve_files(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of loopback and give the URL."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with _QuietServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over a peer that hung up, as fsck does once it found something."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing: the base class names the argument so."""


def _row(prefix: str, count: int) -> list[str]:
    """Paths of the full tiles and the partial one that hold so many hashes (or entries)."""
    paths = [f"{prefix}/{_number(index)}" for index in range(count // WIDTH)]
    if width := count % WIDTH:
        paths.append(f"{prefix}/{_number(count // WIDTH)}.p/{width}")
    return paths


def _number(index: int) -> str:
    text = f"{index % 1000:03d}"
    while index := index // 1000:
        text = f"x{index % 1000:03d}/{text}"
    return text
