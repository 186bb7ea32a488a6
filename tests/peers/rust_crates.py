"""Our Rust program in rust/: what Cloudflare's crates say of notes, checkpoints and proofs."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class RustOpened:
    """A note that signed_note opened: text, (name, key id) of verified lines, count of others."""

    text: bytes
    verified: list[tuple[str, bytes]]
    unverified: int


@dataclass(frozen=True, slots=True)
class RustCrates:
    """The program; each method runs it once, with None or False for what a crate refuses."""

    program: Path

    def open(self, vkeys: Sequence[str], notes: Sequence[bytes]) -> list[RustOpened | None]:
        """Open notes with Ed25519 keys."""
        answer = self._run(vkeys=list(vkeys), notes=[_encode(note) for note in notes])
        return [
            None
            if note is None
            else RustOpened(
                base64.b64decode(note["text"]),
                [(name, id_.to_bytes(4, "big")) for name, id_ in note["verified"]],
                note["unverified"],
            )
            for note in answer["notes"]
        ]

    def checkpoints(self, texts: Sequence[bytes]) -> list[tuple[str, int, bytes, str] | None]:
        """Parse checkpoints: origin, size, root and extension lines."""
        return [
            None
            if found is None
            else (
                found["origin"],
                found["size"],
                base64.b64decode(found["root"]),
                found["extension"],
            )
            for found in self._run(checkpoints=[_encode(text) for text in texts])["checkpoints"]
        ]

    def inclusion(
        self, proofs: Sequence[tuple[int, int, bytes, Sequence[bytes], bytes]]
    ) -> list[bool]:
        """Check (index, size, leaf hash, proof, root)."""
        shown = [
            {
                "index": index,
                "size": size,
                "leaf_hash": _encode(leaf),
                "proof": [_encode(value) for value in path],
                "root": _encode(root),
            }
            for index, size, leaf, path, root in proofs
        ]
        checked: list[bool] = self._run(inclusion=shown)["inclusion"]
        return checked

    def consistency(
        self, proofs: Sequence[tuple[int, int, Sequence[bytes], bytes, bytes]]
    ) -> list[bool]:
        """Check (old, new, proof, old root, new root)."""
        shown = [
            {
                "old": old,
                "new": new,
                "proof": [_encode(value) for value in path],
                "old_root": _encode(old_root),
                "new_root": _encode(new_root),
            }
            for old, new, path, old_root, new_root in proofs
        ]
        checked: list[bool] = self._run(consistency=shown)["consistency"]
        return checked

    def _run(self, **asked: object) -> dict[str, Any]:
        nothing: dict[str, object] = {
            "vkeys": [],
            "notes": [],
            "checkpoints": [],
            "inclusion": [],
            "consistency": [],
        }
        done = subprocess.run(
            [str(self.program)],
            input=json.dumps({**nothing, **asked}).encode(),
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        assert done.returncode == 0, done.stderr.decode()
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
