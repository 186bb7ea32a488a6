"""Making COSE receipts, in the one form that receipt.py describes.

A log signs once for each tree head that it publishes; the receipts under it are made from that
signature and proofs, without the key.

Source: RFC 9942, for its verifiable data structure RFC9162_SHA256; spec/receipt.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from tlog_proofs.cbor import encode_cbor
from tlog_proofs.cose_sign1 import CoseSign1, Label, format_cose_sign1, text_to_sign
from tlog_proofs.ed25519 import Ed25519Signer, Ed25519Verifier
from tlog_proofs.errors import MalformedReceiptError
from tlog_proofs.geometry import check_size
from tlog_proofs.receipt import (
    ALGORITHM,
    CONSISTENCY,
    CWT_CLAIMS,
    EDDSA,
    INCLUSION,
    ISSUER,
    KEY_ID,
    PROOFS,
    RFC9162_SHA256,
    STRUCTURE,
    TREE_SIZE,
)
from tlog_proofs.verify import MAX_PROOF_HASHES, check_hash

_KEY_TYPE, _CURVE, _PUBLIC_KEY = 1, -1, -2  # of a COSE_Key
_OKP, _CURVE_ED25519 = 1, 6


def receipt_text(log_key: Ed25519Verifier, size: int, root: bytes) -> bytes:
    """Give what a log signs for all receipts under the tree head of `size` with `root`.

    Raises:
        MalformedProofError: the size is not of 0 to 2^63-1, or the root not of 32 bytes.
        MissingDependencyError: cbor2 is not installed.
    """
    check_hash(root)
    return text_to_sign(_protected_header(log_key, size), root)


def sign_receipts(signer: Ed25519Signer, size: int, root: bytes) -> bytes:
    """Make the signature (64 bytes) of all receipts under a tree head; raises as receipt_text.

    It is a promise, as that of a checkpoint is: only for a head that the log publishes.
    """
    return signer.sign(receipt_text(signer.verifier, size, root))


def format_receipt(
    log_key: Ed25519Verifier, index: int, size: int, proof: Sequence[bytes], signature: bytes
) -> bytes:
    """Write a receipt of inclusion; `signature` is as from sign_receipts, and not verified here.

    Raises:
        MalformedReceiptError: index >= size, or no hashes: the only entry of a tree has no receipt.
        MalformedProofError: an index, size or hash cannot be one.
        MissingDependencyError: cbor2 is not installed.
    """
    check_size("index", index)
    check_size("tree size", size)
    if index >= size:
        raise MalformedReceiptError(f"expected index < size, got index {index} and size {size}")
    encoded = _encode_proof(size, index, proof)
    return _format(_protected_header(log_key, size), INCLUSION, encoded, signature)


def format_consistency_receipt(
    log_key: Ed25519Verifier, old: int, new: int, proof: Sequence[bytes], signature: bytes
) -> bytes:
    """Write a receipt of consistency; `signature` is that of the newer tree head.

    Raises:
        MalformedReceiptError: not 1 <= old < new, or no hashes.
        MalformedProofError: a size or a hash cannot be one.
        MissingDependencyError: cbor2 is not installed.
    """
    check_size("old size", old)
    check_size("new size", new)
    if not 1 <= old < new:
        raise MalformedReceiptError(f"expected sizes 1 <= old < new, got old {old} and new {new}")
    encoded = _encode_proof(old, new, proof)
    return _format(_protected_header(log_key, new), CONSISTENCY, encoded, signature)


def _protected_header(log_key: Ed25519Verifier, size: int) -> bytes:
    check_size("tree size", size)
    return encode_cbor(
        {
            ALGORITHM: EDDSA,
            KEY_ID: _thumbprint(log_key.public_key),
            CWT_CLAIMS: {ISSUER: log_key.name},
            STRUCTURE: RFC9162_SHA256,
            TREE_SIZE: size,
        }
    )


def _thumbprint(public_key: bytes) -> bytes:
    """Compute the COSE Key Thumbprint (32 bytes) of an Ed25519 key (RFC 9679)."""
    key = {_KEY_TYPE: _OKP, _CURVE: _CURVE_ED25519, _PUBLIC_KEY: public_key}
    return sha256(encode_cbor(key)).digest()


def _encode_proof(first: int, second: int, proof: Sequence[bytes]) -> bytes:
    for value in proof:
        check_hash(value)
    if not 1 <= len(proof) <= MAX_PROOF_HASHES:
        raise MalformedReceiptError(
            f"expected a receipt's proof of 1 to {MAX_PROOF_HASHES} hashes, got {len(proof)}"
        )
    return encode_cbor([first, second, tuple(proof)])


def _format(protected: bytes, kind: int, encoded_proof: bytes, signature: bytes) -> bytes:
    proofs: dict[Label, object] = {PROOFS: {kind: [encoded_proof]}}
    return format_cose_sign1(CoseSign1(protected, proofs, None, signature))
