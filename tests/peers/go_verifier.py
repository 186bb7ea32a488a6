"""Our Go program in verify/: what other projects' libraries say of our bytes, and make for us."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.peers.peer_log import PeerLog

TIMEOUT_S = 60.0


class VerifyRefusedError(Exception):
    """The Go program found something wrong; the text is its sentence."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A key that Go made, and a note that it signed."""

    key: str
    vkey: str
    note: bytes


@dataclass(frozen=True, slots=True)
class GoVerifier:
    """The program: each method runs it once and raises VerifyRefusedError on its exit code 1."""

    program: Path

    def inclusion(self, vkey: str, items: Iterable[tuple[bytes, bytes]]) -> list[tuple[int, int]]:
        """Verify (entry, tlog-proof) pairs; return each one's index and tree size."""
        pairs = [{"entry": _encode(entry), "proof": _encode(proof)} for entry, proof in items]
        answer = self._run("inclusion", {"vkey": vkey, "items": pairs})
        return list(zip(answer["indexes"], answer["sizes"], strict=True))

    def consistency(
        self, vkey: str, items: Iterable[tuple[bytes, bytes, Sequence[bytes]]]
    ) -> list[tuple[int, int]]:
        """Verify (old checkpoint, new checkpoint, proof) triples; return each one's sizes."""
        triples = [
            {"old": _encode(old), "new": _encode(new), "proof": [_encode(hash_) for hash_ in proof]}
            for old, new, proof in items
        ]
        answer = self._run("consistency", {"vkey": vkey, "items": triples})
        return [(old, new) for old, new in answer["sizes"]]

    def prove(
        self, log: PeerLog, indexes: Sequence[int], sizes: Sequence[int]
    ) -> tuple[list[bytes], list[list[bytes]]]:
        """Make tlog-proofs and consistency proofs from the log's checkpoint and tiles alone."""
        request = {"url": log.url, "token": log.read_token, "vkey": log.vkey}
        answer = self._run("prove", {**request, "indexes": list(indexes), "sizes": list(sizes)})
        inclusion = [base64.b64decode(proof) for proof in answer["inclusion"]]
        consistency = [
            [base64.b64decode(hash_) for hash_ in proof] for proof in answer["consistency"]
        ]
        return inclusion, consistency

    def sign(self, name: str, text: str) -> Signed:
        """Make a key of that name and sign the text with it."""
        answer = self._run("sign", {"name": name, "text": text})
        return Signed(answer["key"], answer["vkey"], base64.b64decode(answer["note"]))

    def _run(self, verb: str, request: object) -> dict[str, Any]:
        done = subprocess.run(
            [str(self.program), verb],
            input=json.dumps(request).encode(),
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode == 1:
            raise VerifyRefusedError(done.stderr.decode())
        assert done.returncode == 0, done.stderr.decode()
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
