"""Our Go program in verify/: what other projects' libraries say of our bytes, and make for us."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
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
class CosignerKeys:
    """Keys that Go made: Ed25519, the signer key of type 0x01, its vkey of 0x04; ML-DSA-44."""

    key: str
    vkey: str
    ml_dsa_key: str
    ml_dsa_vkey: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A note that Go opened: (name, key id, timestamp) of each verified line, count of others."""

    verified: list[tuple[str, bytes, int]]
    unverified: int


@dataclass(frozen=True, slots=True)
class Subtree:
    """What an ML-DSA-44 cosigner signs; without a signature, it is to be signed."""

    timestamp: int
    origin: str
    start: int
    end: int
    root: bytes
    signature: bytes = b""


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

    def cosigner_keys(self, name: str) -> CosignerKeys:
        """Make a cosigner's key of each kind."""
        return CosignerKeys(**self._run("keys", {"name": name}))

    def cosign(self, keys: Sequence[str], text: str) -> bytes:
        """Cosign a checkpoint with signer keys, now; return the note."""
        return base64.b64decode(self._run("cosign", {"keys": list(keys), "text": text})["note"])

    def open(self, vkeys: Sequence[str], notes: Sequence[bytes]) -> list[Opened]:
        """Open notes with keys of any type."""
        answer = self._run("open", {"vkeys": list(vkeys), "notes": list(map(_encode, notes))})
        return [
            Opened(
                [
                    (line["name"], bytes.fromhex(line["id"]), line["timestamp"])
                    for line in note["verified"]
                ],
                note["unverified"],
            )
            for note in answer["notes"]
        ]

    def subtrees(self, key: str, vkey: str, trees: Sequence[Subtree]) -> list[bytes]:
        """Verify each subtree's signature, or make it with the signer key; return all of them."""
        shown = [
            {**asdict(tree), "root": tree.root.hex(), "signature": _encode(tree.signature)}
            for tree in trees
        ]
        answer = self._run("subtrees", {"key": key, "vkey": vkey, "subtrees": shown})
        return [base64.b64decode(signature) for signature in answer["signatures"]]

    def satisfied(self, policy: str, notes: Sequence[bytes]) -> list[bool]:
        """Say of each note whether the policy's quorum cosigned it."""
        request = {"policy": policy, "notes": list(map(_encode, notes))}
        satisfied: list[bool] = self._run("policy", request)["satisfied"]
        return satisfied

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
