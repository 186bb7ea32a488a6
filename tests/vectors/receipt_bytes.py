"""COSE receipts written byte by byte: CBOR, texts to be signed and hashes are worked out here.

Nothing of what is tested takes part but the Ed25519 signature, whose vectors RFC 8032 prints.
"""

from __future__ import annotations

import hashlib

from tests import reference
from tests.vectors.keys import LOG
from tlog_proofs import Ed25519Signer

LEAVES = tuple(reference.leaf(b"%d" % n) for n in range(13))
SIZE, INDEX, OLD = 13, 5, 6
ROOT, OLD_ROOT = reference.root(LEAVES), reference.root(LEAVES[:OLD])
PATH = reference.path(INDEX, LEAVES)
NULL = b"\xf6"
ALGORITHM, VDS = b"\x01\x27", b"\x19\x01\x8b\x01"  # 1: -8, 395: 1
PROOFS = b"\x19\x01\x8c"  # 396
INCLUSION, CONSISTENCY = b"\x20", b"\x21"  # -1, -2


def head(major: int, value: int) -> bytes:
    """Write the head of a CBOR item (RFC 8949 section 3): major type and argument."""
    if value < 24:
        return bytes([major << 5 | value])
    width = next(n for n in range(4) if value < 1 << (8 << n))
    return bytes([major << 5 | 24 + width]) + value.to_bytes(1 << width, "big")


def bstr(data: bytes) -> bytes:
    """Write a byte string."""
    return head(2, len(data)) + data


def tstr(text: str) -> bytes:
    """Write a text string."""
    return head(3, len(text.encode())) + text.encode()


def array(*items: bytes) -> bytes:
    """Write an array of encoded items."""
    return head(4, len(items)) + b"".join(items)


def mapping(*entries: bytes) -> bytes:
    """Write a map of encoded entries, each a key and its value."""
    return head(5, len(entries)) + b"".join(entries)


def thumbprint(key: Ed25519Signer) -> bytes:
    """RFC 9679: SHA-256 of {1: 1, -1: 6, -2: public key}."""
    return hashlib.sha256(b"\xa3\x01\x01\x20\x06\x21" + bstr(key.verifier.public_key)).digest()


def tree_size(size: int) -> bytes:
    """Write the entry -65801: size."""
    return b"\x3a\x00\x01\x01\x08" + head(0, size)


def issuer(origin: str) -> bytes:
    """Write the entry 15: {1: origin}."""
    return b"\x0f" + mapping(b"\x01" + tstr(origin))


def protected(size: int = SIZE, key: Ed25519Signer = LOG) -> bytes:
    """Write the protected header that a log of ours writes."""
    kid = b"\x04" + bstr(thumbprint(key))
    return mapping(ALGORITHM, kid, issuer(key.name), VDS, tree_size(size))


def sign(header: bytes, root: bytes, key: Ed25519Signer = LOG) -> bytes:
    """Sign the Sig_structure of RFC 9052 section 4.4."""
    return key.sign(array(tstr("Signature1"), bstr(header), bstr(b""), bstr(root)))


def encoded_proof(first: int, second: int, path: list[bytes]) -> bytes:
    """Write a proof in its byte string."""
    return bstr(array(head(0, first), head(0, second), array(*map(bstr, path))))


def unprotected(kind: bytes, *proofs: bytes) -> bytes:
    """Write {396: {kind: [proof, ...]}}."""
    return mapping(PROOFS + mapping(kind + array(*proofs)))


def sign1(header: bytes, proofs: bytes, signature: bytes, payload: bytes = NULL) -> bytes:
    """Write a COSE_Sign1 with its tag."""
    return b"\xd2" + array(bstr(header), proofs, payload, bstr(signature))


def inclusion(
    header: bytes | None = None,
    *proofs: bytes,
    root: bytes = ROOT,
    payload: bytes = NULL,
    key: Ed25519Signer = LOG,
) -> bytes:
    """Write a receipt of inclusion of leaf 5 of 13, but for what is given."""
    header = protected() if header is None else header
    proofs = proofs or (encoded_proof(SIZE, INDEX, PATH),)
    return sign1(header, unprotected(INCLUSION, *proofs), sign(header, root, key), payload)


def consistency(
    header: bytes | None = None, *proofs: bytes, root: bytes = ROOT, payload: bytes = NULL
) -> bytes:
    """Write a receipt of consistency of sizes 6 and 13, but for what is given."""
    header = protected() if header is None else header
    proofs = proofs or (encoded_proof(OLD, SIZE, reference.consistency(OLD, LEAVES)),)
    return sign1(header, unprotected(CONSISTENCY, *proofs), sign(header, root), payload)
