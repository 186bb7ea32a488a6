"""A log of the real server, as programs of other projects meet it: a URL, a vkey, tokens."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.faults.server_process import ServerProcess, tlog

MAX_BATCH = 1_000
MAX_BATCH_BYTES = 4 << 20  # of base64: half of what the server takes
TIMEOUT_S = 60.0
WAIT_S = 30  # for publication, the longest that the server offers


@dataclass(frozen=True, slots=True)
class SignedHead:
    """Size and root as the checkpoint's lines say them, and the checkpoint."""

    size: int
    root: str  # base64
    note: bytes


class PeerLog:
    """One log. Its methods speak HTTP and split lines; nothing of ours parses or verifies."""

    def __init__(self, server_url: str, data_dir: Path, name: str, *, public: bool) -> None:
        self._address = urlsplit(server_url).netloc
        self.url = f"{server_url}/logs/{name}"
        self.origin = f"peers.example/{name}"
        data = ("--data", str(data_dir))
        visibility = ("--public",) if public else ()
        self.vkey = tlog("log", "create", name, *data, "--origin", self.origin, *visibility)
        self.append_token = tlog("token", "create", *data, "--log", name, "--scope", "append")
        self.read_token = tlog("token", "create", *data, "--log", name, "--scope", "read")

    def get(self, path: str, accept: str = "*/*") -> bytes:
        """Read one resource of the log, with the read token."""
        status, body = self.ask(path, accept)
        assert status == http.HTTPStatus.OK, f"{path}: {status} {body!r}"
        return body

    def ask(self, path: str, accept: str = "*/*") -> tuple[int, bytes]:
        """Read one resource of the log and return the status too."""
        headers = {"Authorization": f"Bearer {self.read_token}", "Accept": accept}
        return self._request("GET", path, b"", headers)

    def get_json(self, path: str) -> dict[str, list[str]]:
        """Read a proof as JSON; its hashes are the only lists."""
        answer: dict[str, list[str]] = json.loads(self.get(path, "application/json"))
        return answer

    def head(self) -> SignedHead:
        """Read the served checkpoint."""
        return self._read_head("checkpoint")

    def head_of(self, size: int) -> SignedHead:
        """Read the checkpoint that was published at this size."""
        return self._read_head(f"checkpoints/{size}")

    def _read_head(self, path: str) -> SignedHead:
        note = self.get(path)
        origin, size, root, *_ = note.decode().split("\n")
        assert origin == self.origin
        return SignedHead(int(size), root, note)

    def append(self, entries: Sequence[bytes]) -> SignedHead:
        """Append entries in batches; return the checkpoint of exactly these at the end."""
        for batch in _batches(entries):
            headers = {
                "Authorization": f"Bearer {self.append_token}",
                "Content-Type": "application/x-ndjson",
            }
            path = f"entries?wait=published&timeout_s={WAIT_S}"
            status, body = self._request("POST", path, b"".join(batch), headers)
            assert status == http.HTTPStatus.CREATED, f"{status} {body!r}"
        return self.head()

    def grow_to(self, size: int) -> SignedHead:
        """Append made-up entries, each another, until the log has this size."""
        present = self.head().size
        return self.append([b"entry of index %d" % index for index in range(present, size)])

    def _request(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_S)
        try:
            target = urlsplit(self.url).path
            connection.request(method, f"{target}/{path}", body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class PeerServer:
    """The server for all tests of a run, with a data directory of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        tlog("init", "--data", str(data_dir))
        self.process = ServerProcess(data_dir)
        self.process.start()

    def create_log(self, name: str, *, public: bool = True) -> PeerLog:
        """Make a log while the server runs."""
        return PeerLog(self.process.url, self.data_dir, name, public=public)

    def log_key(self, name: str) -> str:
        """Read the signer key of a log: what only a test that forges may do."""
        return (self.data_dir / "logs" / name / "key").read_text().strip()


def _batches(entries: Sequence[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    used = 0
    for entry in entries:
        line = b'{"entry": "%s"}\n' % base64.b64encode(entry)
        if batch and (len(batch) == MAX_BATCH or used + len(line) > MAX_BATCH_BYTES):
            yield batch
            batch, used = [], 0
        batch.append(line)
        used += len(line)
    if batch:
        yield batch
