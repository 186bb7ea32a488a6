"""Real entries under our proofs, verified by others' libraries; their proofs and notes by ours."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.go_verifier import GoVerifier, VerifyRefusedError
from tests.peers.peer_log import PeerLog, PeerServer, SignedHead
from tlog_proofs import (
    MAX_ENTRY_BYTES,
    leaf_hash,
    open_note,
    parse_signer_key,
    parse_tlog_proof,
    parse_vkey,
    sign_note,
    verify_consistency,
    verify_tlog_proof,
)

pytestmark = pytest.mark.peers

SAMPLES = Path(os.environ.get("SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "data"))
EDGE_ENTRIES = (b"", b"\n", b"\x00\xff", b"\xe2\x80\x94 a.example AAAA\n", b"x" * MAX_ENTRY_BYTES)
HEADS_AFTER = (1, 2, 7, 255, 256, 257, 512, 700)  # entries; the head after the last comes as well


@dataclass(frozen=True, slots=True)
class FilledLog:
    """A log, the entries in it and the checkpoints it had on the way."""

    log: PeerLog
    entries: tuple[bytes, ...]
    heads: tuple[SignedHead, ...]


@pytest.fixture(scope="module")
def filled(server: PeerServer) -> FilledLog:
    """A log with edge cases, then real audit records where there are any, else made-up ones."""
    log = server.create_log("real", public=False)
    files = sorted([*SAMPLES.glob("*.ndjson"), *SAMPLES.glob("*.txt")])
    lines = [line for file in files for line in file.read_bytes().split(b"\n")]
    lines = [line for line in lines if 0 < len(line) <= MAX_ENTRY_BYTES]
    made_up = [b'{"made up": %d}' % number for number in range(1_000 - len(lines))]
    entries = [*EDGE_ENTRIES, *lines, *made_up]
    genesis = log.get("entries/0")
    heads = [log.head()]
    done = 0
    for count in (*HEADS_AFTER, len(entries)):
        heads.append(log.append(entries[done:count]))
        done = count
    assert [head.size for head in heads] == [1, *(1 + n for n in HEADS_AFTER), 1 + len(entries)]
    return FilledLog(log, (genesis, *entries), tuple(heads))


def tlog_proofs_of(filled: FilledLog, indexes: Sequence[int]) -> list[bytes]:
    """The server's own tlog-proofs."""
    return [filled.log.get(f"proof/inclusion/{index}", "text/plain") for index in indexes]


def decoded(hashes: Sequence[str]) -> list[bytes]:
    """Hashes out of JSON."""
    return [base64.b64decode(hash_) for hash_ in hashes]


def test_go_verifies_the_proof_of_every_entry(filled: FilledLog, go_verifier: GoVerifier) -> None:
    """transparency-dev/formats parses each tlog-proof, golang.org/x/mod opens and proves it."""
    proofs = tlog_proofs_of(filled, range(len(filled.entries)))
    verified = go_verifier.inclusion(filled.log.vkey, zip(filled.entries, proofs, strict=True))
    assert len(verified) > 1_000
    assert verified == [(index, len(filled.entries)) for index in range(len(filled.entries))]


def test_go_refuses_what_is_not_proved(filled: FilledLog, go_verifier: GoVerifier) -> None:
    """Another entry, another path, another key: each is refused, so the test above can fail."""
    entry = filled.entries[5]
    (proof,) = tlog_proofs_of(filled, [5])
    lines = proof.split(b"\n")
    path = b"\n".join([*lines[:2], lines[3], lines[2], *lines[4:]])
    other = go_verifier.sign(filled.log.origin, "a\n").vkey
    for vkey, item, sentence in (
        (filled.log.vkey, (entry + b" ", proof), "invalid transparency proof"),
        (filled.log.vkey, (entry, path), "invalid transparency proof"),
        (
            filled.log.vkey,
            (entry, proof.replace(b"index 5\n", b"index 6\n")),
            "invalid transparency proof",
        ),
        (other, (entry, proof), "no verifiable signatures"),
    ):
        with pytest.raises(VerifyRefusedError, match=sentence):
            go_verifier.inclusion(vkey, [item])
    assert go_verifier.inclusion(filled.log.vkey, [(entry, proof)])


def test_go_verifies_consistency_of_all_heads(filled: FilledLog, go_verifier: GoVerifier) -> None:
    """Every pair of checkpoints that the log had, by the proofs that it serves."""
    pairs = [
        (old, new) for place, new in enumerate(filled.heads) for old in filled.heads[: place + 1]
    ]
    items = [
        (old.note, new.note, decoded(filled.log.get_json(path)["proof"]))
        for old, new in pairs
        for path in [f"proof/consistency/{old.size}/{new.size}"]
    ]
    verified = go_verifier.consistency(filled.log.vkey, items)
    assert verified == [(old.size, new.size) for old, new in pairs]
    old, new, proof = next(item for item in items if len(item[2]) > 1)
    with pytest.raises(VerifyRefusedError, match="invalid transparency proof"):
        go_verifier.consistency(filled.log.vkey, [(old, new, proof[::-1])])


def test_go_proves_from_our_tiles_what_we_prove(filled: FilledLog, go_verifier: GoVerifier) -> None:
    """Proofs that Go makes of checkpoint and tiles are the server's byte for byte, and verify."""
    size = len(filled.entries)
    indexes = sorted({0, 1, 254, 255, 256, 257, 511, 512, *range(600, size, 37), size - 1})
    sizes = sorted({1, 2, 255, 256, 257, 511, 512, *range(600, size, 41), size})
    inclusion, consistency = go_verifier.prove(filled.log, indexes, sizes)
    assert inclusion == tlog_proofs_of(filled, indexes)
    key = parse_vkey(filled.log.vkey)
    for index, proof in zip(indexes, inclusion, strict=True):
        head = verify_tlog_proof(parse_tlog_proof(proof), leaf_hash(filled.entries[index]), key)
        assert head.size == size
    for old, hashes in zip(sizes, consistency, strict=True):
        served = filled.log.get_json(f"proof/consistency/{old}/{size}")["proof"]
        assert hashes == decoded(served)
    roots = {head.size: base64.b64decode(head.root) for head in filled.heads}
    for old in roots.keys() & set(sizes):
        proof_hashes = consistency[sizes.index(old)]
        verify_consistency(old, size, proof_hashes, roots[old], roots[size])


@pytest.mark.parametrize(
    "text", ["a\n", "a.example/log\n0\nAAAA\n", "one\n\ntwo\n\n\nthree — ü 日本\n"]
)
def test_go_signed_note_is_ours(text: str, go_verifier: GoVerifier) -> None:
    """A note by golang.org/x/mod's key opens with ours, and signing with that key is the same."""
    signed = go_verifier.sign("peers.example/signer", text)
    opened = open_note(signed.note, [parse_vkey(signed.vkey)])
    assert opened.text == text.encode()
    assert len(opened.verified) == 1
    signer = parse_signer_key(signed.key)
    assert signer.verifier.vkey == signed.vkey
    assert sign_note(text.encode(), [signer]) == signed.note
