"""COSE receipts: every leaf and pair of sizes, what cannot be made, what cannot be believed."""

from __future__ import annotations

import hashlib

import pytest

from tests import reference
from tests.vectors import runner
from tests.vectors.keys import LOG, ORIGIN, signer
from tests.vectors.receipt_bytes import (
    OLD,
    OLD_ROOT,
    ROOT,
    SIZE,
    bstr,
    consistency,
    inclusion,
)
from tlog_proofs import (
    MAX_RECEIPT_BYTES,
    BadSignatureError,
    ConsistencyProof,
    Ed25519Cosigner,
    InclusionProof,
    MalformedCborError,
    MalformedProofError,
    MalformedReceiptError,
    QuorumError,
    UnknownKeyError,
    decode_cbor,
    format_consistency_receipt,
    format_receipt,
    parse_note_unverified,
    parse_policy,
    parse_receipt,
    receipt_text,
    sign_note,
    sign_receipts,
    verify_consistency,
    verify_consistency_receipt,
    verify_inclusion,
    verify_receipt,
)

LEAVES = tuple(reference.leaf(b"%d" % n) for n in range(20))
KEY = LOG.verifier


def test_every_leaf_of_every_small_tree_has_a_receipt() -> None:
    """One signature a tree head serves all its leaves; each receipt proves its leaf, no other."""
    for size in range(2, 18):
        leaves = LEAVES[:size]
        signature = sign_receipts(LOG, size, reference.root(leaves))
        for index, leaf in enumerate(leaves):
            path = reference.path(index, leaves)
            receipt = format_receipt(KEY, index, size, path, signature)
            verify_receipt(receipt, leaf, KEY)
            parsed = parse_receipt(receipt)
            assert parsed.inclusion == (InclusionProof(index, size, tuple(path)),)
            assert (parsed.consistency, parsed.signed_size, parsed.issuer) == ((), size, ORIGIN)
            with pytest.raises(BadSignatureError):
                verify_receipt(receipt, leaves[index - 1], KEY)


def test_every_pair_of_small_trees_has_a_receipt() -> None:
    """The signature of the newer head, the same as for inclusion, proves each older one."""
    for new in range(2, 18):
        leaves = LEAVES[:new]
        root = reference.root(leaves)
        signature = sign_receipts(LOG, new, root)
        for old in range(1, new):
            path = reference.consistency(old, leaves)
            receipt = format_consistency_receipt(KEY, old, new, path, signature)
            old_root = reference.root(leaves[:old])
            verify_consistency_receipt(receipt, old, new, old_root, root, KEY)
            assert parse_receipt(receipt).consistency == (ConsistencyProof(old, new, tuple(path)),)
            with pytest.raises(BadSignatureError):
                verify_consistency_receipt(receipt, old, new, old_root, old_root, KEY)


@pytest.mark.parametrize(
    ("index", "size", "proof", "error"),
    [
        (0, 1, [], MalformedReceiptError),
        (2, 2, [bytes(32)], MalformedReceiptError),
        (0, 0, [bytes(32)], MalformedReceiptError),
        (-1, 2, [bytes(32)], MalformedProofError),
        (0, 2**63, [bytes(32)], MalformedProofError),
        (0, 2, [bytes(31)], MalformedProofError),
        (0, 2, [bytes(32)] * 65, MalformedReceiptError),
    ],
    ids=["only leaf", "beyond", "empty tree", "negative", "size 2^63", "31 bytes", "65 hashes"],
)
def test_inclusion_receipts_that_cannot_be_made(
    index: int, size: int, proof: list[bytes], error: type[Exception]
) -> None:
    """What the RFC cannot express, or no tree has, is refused before it is written."""
    with pytest.raises(error):
        format_receipt(KEY, index, size, proof, bytes(64))


@pytest.mark.parametrize(
    ("old", "new", "proof", "error"),
    [
        (2, 2, [], MalformedReceiptError),
        (0, 2, [bytes(32)], MalformedReceiptError),
        (3, 2, [bytes(32)], MalformedReceiptError),
        (1, 2, [], MalformedReceiptError),
        (-1, 2, [bytes(32)], MalformedProofError),
        (1, 2**63, [bytes(32)], MalformedProofError),
    ],
    ids=["equal", "from nothing", "backwards", "no hashes", "negative", "size 2^63"],
)
def test_consistency_receipts_that_cannot_be_made(
    old: int, new: int, proof: list[bytes], error: type[Exception]
) -> None:
    """Trees that are the same have no hashes between them, and the empty one proves nothing."""
    with pytest.raises(error):
        format_consistency_receipt(KEY, old, new, proof, bytes(64))


def test_only_roots_of_32_bytes_are_signed() -> None:
    """Another length, or a size that no tree has, is refused."""
    for size, root in ((1, bytes(31)), (1, bytes(33)), (-1, bytes(32)), (2**63, bytes(32))):
        with pytest.raises(MalformedProofError):
            sign_receipts(LOG, size, root)


def test_the_signed_text_is_no_note() -> None:
    """No parser of notes takes it, so that neither signature can pass for the other."""
    text = receipt_text(KEY, 13, bytes(32))
    assert text[0] == 0x84
    with pytest.raises(UnicodeDecodeError):
        text.decode()
    with pytest.raises(MalformedReceiptError):
        parse_receipt(text)
    note = parse_note_unverified(sign_note(b"text\n", [LOG]))
    receipt = format_receipt(KEY, 0, 2, [LEAVES[1]], note.signatures[0].signature)
    with pytest.raises(BadSignatureError):
        verify_receipt(receipt, LEAVES[0], KEY)


def test_a_cosigner_signs_no_receipts() -> None:
    """A key of another type is refused by its type, whatever it would say to the signature."""
    cosigner = Ed25519Cosigner(LOG.name, LOG.seed)
    with pytest.raises(UnknownKeyError, match="Ed25519 key of a log"):
        verify_receipt(inclusion(), reference.leaf(b"5"), cosigner.verifier)


def test_several_keys_of_a_log() -> None:
    """Where a log changes its key, old and new are trusted for a while: either is enough."""
    new = signer(ORIGIN, 1)
    for keys in ([KEY, new.verifier], [new.verifier, KEY]):
        verify_receipt(inclusion(), reference.leaf(b"5"), keys)
        with pytest.raises(BadSignatureError):
            verify_receipt(inclusion(), reference.leaf(b"4"), keys)
    with pytest.raises(BadSignatureError):
        verify_receipt(inclusion(), reference.leaf(b"5"), [new.verifier])
    with pytest.raises(UnknownKeyError, match="0 such keys"):
        verify_receipt(inclusion(), reference.leaf(b"5"), [])


def test_consistency_by_several_keys_and_by_a_policy() -> None:
    """A receipt of consistency is trusted as one of inclusion is."""
    keys = [signer(ORIGIN, 1).verifier, KEY]
    verify_consistency_receipt(consistency(), OLD, SIZE, OLD_ROOT, ROOT, keys)
    policy = parse_policy(f"log {KEY.vkey}\nquorum none\n".encode())
    verify_consistency_receipt(consistency(), OLD, SIZE, OLD_ROOT, ROOT, policy)
    witness = Ed25519Cosigner("w", LOG.seed).verifier.vkey
    policy = parse_policy(f"log {KEY.vkey}\nwitness w {witness}\nquorum w\n".encode())
    with pytest.raises(QuorumError):
        verify_consistency_receipt(consistency(), OLD, SIZE, OLD_ROOT, ROOT, policy)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_the_working_group_s_examples_agree() -> None:
    """Both are of one tree of five leaves: the paths lead to the same roots."""
    cases = runner.load("receipt/printed-cose-wg-examples.json")["cases"]
    included, consistent = (
        parse_receipt(bytes.fromhex(case["input"]["receipt"])) for case in cases
    )
    (inclusion_proof,), (proof,) = included.inclusion, consistent.consistency
    leaf_2, leaf_3, first_two, leaf_4 = proof.proof
    assert inclusion_proof.proof == (leaf_2, first_two, leaf_4)
    old_root = _node(first_two, leaf_2)
    new_root = _node(_node(first_two, _node(leaf_2, leaf_3)), leaf_4)
    verify_inclusion(3, 5, leaf_3, inclusion_proof.proof, new_root)
    verify_consistency(3, 5, proof.proof, old_root, new_root)


def test_a_receipt_is_bounded() -> None:
    """One byte more than there may be is refused before anything is made of it."""
    filler = MAX_RECEIPT_BYTES - len(inclusion(None, bstr(b"")))
    for length, message in ((filler - 10, "receipt's proof"), (filler, "at most 65535 bytes")):
        with pytest.raises(MalformedReceiptError, match=message):
            parse_receipt(inclusion(None, bstr(bytes(length))))


def test_keys_in_any_order_are_each_there_once() -> None:
    """Where any order of keys is taken, nothing else is that deterministic CBOR has not."""
    for data in (b"\xa2\x02\x00\x01\x00", b"\xa2\x61a\x00\x01\xa2\x20\x00\x01\x00"):
        value = decode_cbor(data, max_bytes=20, any_key_order=True)
        assert value[1] in (0, {-1: 0, 1: 0})
        with pytest.raises(MalformedCborError):
            decode_cbor(data, max_bytes=20)
    for data in (b"\xa2\x01\x00\x01\x00", b"\xa1\x18\x01\x00", b"\xa1\x01\xb8\x01\x00\x00"):
        with pytest.raises(MalformedCborError):
            decode_cbor(data, max_bytes=20, any_key_order=True)
