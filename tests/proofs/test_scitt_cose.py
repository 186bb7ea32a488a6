"""Receipts of ours read by scitt-cose, and receipts of its making read by us."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests import reference
from tests.vectors.keys import LOG, ORIGIN, STRANGER
from tlog_proofs import (
    Ed25519Signer,
    TlogError,
    format_receipt,
    parse_receipt,
    sign_receipts,
    verify_receipt,
)

scitt_cose = pytest.importorskip("scitt_cose", reason="scitt-cose is not installed")

ENTRIES = [b"entry %d" % n for n in range(11)]
LEAVES = tuple(map(reference.leaf, ENTRIES))
SIZES = (2, 3, 7, 8, 11)


def _private_pem(signer: Ed25519Signer) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(signer.seed).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public_pem(signer: Ed25519Signer) -> bytes:
    return (
        Ed25519PrivateKey.from_private_bytes(signer.seed)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _receipt(index: int, size: int) -> bytes:
    leaves = LEAVES[:size]
    signature = sign_receipts(LOG, size, reference.root(leaves))
    return format_receipt(LOG.verifier, index, size, reference.path(index, leaves), signature)


def _asked(receipt: bytes, entry: bytes, key: Ed25519Signer = LOG) -> Mapping[str, object]:
    """What scitt-cose says of a receipt."""
    found = scitt_cose.verify_receipt(
        receipt, leaf_entry_hex=entry.hex(), log_public_key_pem=_public_pem(key)
    )
    facts: Mapping[str, object] = vars(found)
    return facts


@pytest.mark.parametrize("size", SIZES)
def test_scitt_cose_accepts_ours(size: int) -> None:
    """Each leaf's receipt is good there too, with our root, size, index and issuer."""
    for index in range(size):
        found = _asked(_receipt(index, size), ENTRIES[index])
        assert (found["ok"], found["errors"]) == (True, [])
        assert (found["tree_size"], found["leaf_index"]) == (size, index)
        assert found["root"] == reference.root(LEAVES[:size]).hex()
        assert found["issuer"] == ORIGIN


def test_scitt_cose_refuses_ours_for_anything_else() -> None:
    """Another entry and another key are refused there, as here."""
    receipt = _receipt(3, 7)
    assert not _asked(receipt, ENTRIES[4])["ok"]
    assert not _asked(receipt, ENTRIES[3], STRANGER)["ok"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "header",
    [
        {},
        {"iss": ORIGIN, "sub": "a subject", "kid": b"a key"},
        {"iss": ORIGIN, "iat": 1_700_000_000, "grade": "observed-only"},
    ],
    ids=["plain", "with claims and key id", "with a time and a private label"],
)
def test_we_accept_those_of_scitt_cose(size: int, header: dict[str, object]) -> None:
    """Each leaf's receipt is good here too, with the same index and size, which are not signed."""
    tree = [entry.hex() for entry in ENTRIES[:size]]
    for index in range(size):
        receipt = scitt_cose.build_receipt(
            leaf_entry_hex=tree[index],
            leaf_index=index,
            tree_entries_hex=tree,
            alg="EdDSA",
            log_private_key_pem=_private_pem(LOG),
            **header,
        )
        verify_receipt(receipt, LEAVES[index], LOG.verifier)
        parsed = parse_receipt(receipt)
        assert [(proof.index, proof.size) for proof in parsed.inclusion] == [(index, size)]
        assert (parsed.signed_size, parsed.issuer) == (None, header.get("iss"))
        with pytest.raises(TlogError):
            verify_receipt(receipt, LEAVES[index - 1], LOG.verifier)


def test_no_flipped_bit_is_accepted_by_either() -> None:
    """Of the two only ours binds the size: the other one takes a size that gives the same root."""
    receipt = _receipt(5, 11)
    for position in range(len(receipt)):
        for bit in range(8):
            flipped = bytearray(receipt)
            flipped[position] ^= 1 << bit
            with pytest.raises(TlogError):
                verify_receipt(bytes(flipped), LEAVES[5], LOG.verifier)
            found = _asked(bytes(flipped), ENTRIES[5])
            assert not found["ok"] or found["tree_size"] != 11


def test_the_size_that_only_we_bind() -> None:
    """A leaf before the last full subtree has one path in trees of several sizes."""
    receipt = _receipt(5, 11)
    other = receipt.replace(b"\x83\x0b\x05", b"\x83\x0a\x05")
    assert other != receipt
    found = _asked(other, ENTRIES[5])
    assert (found["ok"], found["tree_size"]) == (True, 10)
    with pytest.raises(TlogError, match="signed tree size"):
        verify_receipt(other, LEAVES[5], LOG.verifier)
