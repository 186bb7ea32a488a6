"""An in-memory log, honest or not, that implements Fetcher and Poster.

Its tree is the recursion of RFC 6962 section 2.1 over hashlib, written here again: nothing of it
comes from the code under test. Only keys and signed notes are made with tlog_proofs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tlog_clients import HttpStatusError, PostAnswer, Problem, TooLargeError
from tlog_proofs import (
    Ed25519Cosigner,
    Ed25519Signer,
    Ed25519Verifier,
    format_note,
    parse_note_unverified,
    sign_note,
)

ORIGIN = "log.example/simulated"
SEED = bytes(range(32))
OTHER_SEED = bytes(range(1, 33))
COSIGNED_S = 1_700_000_000


def leaf(entry: bytes) -> bytes:
    """The leaf hash of RFC 6962."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The node hash of RFC 6962."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class ReferenceTree:
    """MTH and PATH of RFC 6962 section 2.1, by their recursion."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = list(leaves)
        self._full: dict[tuple[int, int], bytes] = {}

    def root(self, start: int, end: int) -> bytes:
        """MTH(D[start:end])."""
        count = end - start
        if count == 0:
            return hashlib.sha256(b"").digest()
        if count == 1:
            return self.leaves[start]
        known = self._full.get((start, end))
        if known is not None:
            return known
        split = 1 << ((count - 1).bit_length() - 1)
        root = node(self.root(start, start + split), self.root(start + split, end))
        self._full[start, end] = root
        return root

    def path(self, index: int, start: int, end: int) -> list[bytes]:
        """PATH(index, D[start:end]), lowest first."""
        count = end - start
        if count == 1:
            return []
        split = 1 << ((count - 1).bit_length() - 1)
        middle = start + split
        if index < middle:
            return [*self.path(index, start, middle), self.root(middle, end)]
        return [*self.path(index, middle, end), self.root(start, middle)]


def tile_name(index: int) -> str:
    """Three digits a group, all but the last after an x (C2SP tlog-tiles)."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def make_entries(count: int, salt: str = "") -> list[bytes]:
    """Entries of different lengths, the first of them empty."""
    return [f"{salt}entry {number}".encode() * (number % 3) for number in range(count)]


@dataclass
class LogSimulator:
    """A log over a list of entries; every misbehaviour is planted from outside.

    `answer` may replace any answer: it gets the path and the honest bytes (None: 404) and returns
    the bytes to serve, None for 404, or raises. `size` is the published size.
    """

    entries: list[bytes]
    origin: str = ORIGIN
    seed: bytes = SEED
    further_seeds: tuple[bytes, ...] = ()
    cosigners: tuple[Ed25519Cosigner, ...] = ()
    size: int | None = None
    answer: Callable[[str, bytes | None], bytes | None] | None = None
    answer_post: Callable[[dict[str, object]], dict[str, object]] | None = None
    post_status: int = 201
    may_read: bool = True
    has_entries_route: bool = True
    drops_partials: bool = False
    requests: list[str] = field(default_factory=list)
    posts: int = 0
    ids: dict[str, int] = field(default_factory=dict)
    _tree_of: list[bytes] = field(default_factory=list)
    _tree: ReferenceTree = field(default_factory=lambda: ReferenceTree([]))

    @property
    def key(self) -> Ed25519Verifier:
        """The public key."""
        return Ed25519Signer(self.origin, self.seed).verifier

    @property
    def published(self) -> int:
        """The published size."""
        return len(self.entries) if self.size is None else self.size

    @property
    def tree(self) -> ReferenceTree:
        """The tree over all entries as they are now."""
        if self.entries != self._tree_of:
            self._tree_of = list(self.entries)
            self._tree = ReferenceTree([leaf(entry) for entry in self.entries])
        return self._tree

    def root(self, size: int | None = None) -> bytes:
        """The root at a size."""
        return self.tree.root(0, self.published if size is None else size)

    def checkpoint(self, size: int | None = None, root: bytes | None = None) -> bytes:
        """A signed checkpoint, by default the published one."""
        size = self.published if size is None else size
        encoded = base64.b64encode(self.root(size) if root is None else root).decode()
        text = f"{self.origin}\n{size}\n{encoded}\n".encode()
        note = sign_note(
            text, [Ed25519Signer(self.origin, seed) for seed in (self.seed, *self.further_seeds)]
        )
        cosignatures = [key.cosign(text, COSIGNED_S) for key in self.cosigners]
        return format_note(text, [*parse_note_unverified(note).signatures, *cosignatures])

    def tlog_proof(self, index: int, size: int | None = None) -> bytes:
        """A tlog-proof, by default at the published checkpoint."""
        size = self.published if size is None else size
        hashes = self.tree.path(index, 0, size)
        lines = ["c2sp.org/tlog-proof@v1", f"index {index}"]
        lines += [base64.b64encode(value).decode() for value in hashes]
        return ("\n".join(lines) + "\n\n").encode() + self.checkpoint(size)

    def resource(self, path: str) -> bytes | None:
        """The honest answer; None where there is none."""
        if path == "checkpoint":
            return self.checkpoint()
        if path.startswith("entries/") and self.has_entries_route:
            index = int(path.removeprefix("entries/"))
            return self.entries[index] if index < self.published else None
        if path.startswith("tile/"):
            return self._tile(path)
        return None

    def _tile(self, path: str) -> bytes | None:
        _, level_text, rest = path.split("/", 2)
        name, _, width_text = rest.partition(".p/")
        width = int(width_text) if width_text else 256
        index = int(name.replace("x", "").replace("/", ""))
        assert tile_name(index) == name, "the client asks for canonical paths only"
        if width < 256 and self.drops_partials and self._tile(path.partition(".p/")[0]) is not None:
            return None
        if level_text == "entries":
            chosen = self.entries[index * 256 : index * 256 + width]
            if len(chosen) < width:
                return None
            return b"".join(struct.pack(">H", len(entry)) + entry for entry in chosen)
        span = 256 ** int(level_text)
        hashes = range(index * 256, index * 256 + width)
        if (hashes[-1] + 1) * span > len(self.entries):
            return None
        tree = self.tree
        return b"".join(tree.root(at * span, (at + 1) * span) for at in hashes)

    async def fetch(self, path: str, *, max_bytes: int) -> bytes:
        """As Fetcher."""
        self.requests.append(path)
        if not self.may_read:
            raise HttpStatusError(path, 403, Problem("urn:tlog:problem:forbidden", "Forbidden", ""))
        data = self.resource(path)
        if self.answer is not None:
            data = self.answer(path, data)
        if data is None:
            raise HttpStatusError(path, 404)
        if len(data) > max_bytes:
            raise TooLargeError(path, max_bytes)
        return data

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        content_type: str,
        params: Mapping[str, str],
        max_bytes: int,
        idempotency_key: str | None = None,
    ) -> PostAnswer:
        """As Poster."""
        assert path == "entries"
        assert params == {"wait": "published"}
        self.posts += 1
        single = content_type == "application/octet-stream"
        if single:
            assert idempotency_key is not None
            lines = [(body, idempotency_key)]
        else:
            assert idempotency_key is None
            lines = [_parse_line(line) for line in body.splitlines()]
        first = len(self.entries)
        indexes = self._place(lines)
        acks: list[dict[str, object]] = [
            {"index": index, "leaf_hash": base64.b64encode(leaf(entry)).decode()}
            for index, (entry, _) in zip(indexes, lines, strict=True)
        ]
        value: dict[str, object]
        if single:
            value = acks[0] | {"proof": self.tlog_proof(indexes[0]).decode()}
        else:
            value = {"count": len(lines), "entries": acks}
            if max(indexes) >= first:
                value["first_index"] = first
            value["checkpoint"] = self.checkpoint().decode()
        if self.answer_post is not None:
            value = self.answer_post(value)
        data = json.dumps(value).encode()
        if len(data) > max_bytes:
            raise TooLargeError(path, max_bytes)
        status = 200 if self.post_status == 201 and max(indexes) < first else self.post_status
        return PostAnswer(status, data)

    def _place(self, lines: list[tuple[bytes, str]]) -> list[int]:
        """Append what has a new id, all or none; the index of each line."""
        conflict = Problem("urn:tlog:problem:id-conflict", "The id was sent before", "")
        sent: dict[str, bytes] = {}
        for entry, entry_id in lines:
            known = self.ids.get(entry_id)
            before = sent.setdefault(entry_id, entry) if known is None else self.entries[known]
            if before != entry:
                raise HttpStatusError("entries", 409, conflict)
        for entry, entry_id in lines:
            if entry_id not in self.ids:
                self.ids[entry_id] = len(self.entries)
                self.entries.append(entry)
        return [self.ids[entry_id] for _, entry_id in lines]


def _parse_line(line: bytes) -> tuple[bytes, str]:
    value = json.loads(line)
    assert value.keys() == {"entry", "id"}
    return base64.b64decode(value["entry"], validate=True), value["id"]
