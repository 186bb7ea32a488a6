"""COSE receipts, read and verified: a Merkle proof under a signed root, in CBOR.

    18([<<{1: -8, 4: key thumbprint, 15: {1: origin}, 395: 1, -65801: size}>>,   protected
        {396: {-1: [<<[size, index, [hash, ...]]>>]}},       unprotected, of inclusion
        null,                                                the payload, detached: the root
        signature])

or `{396: {-2: [<<[old, new, [hash, ...]]>>]}}`, of consistency. make_receipt.py writes this form;
read is whatever RFC 9942 allows and keeps the bounds. The page is spec/receipt.md.

Source: RFC 9942, for its verifiable data structure RFC9162_SHA256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tlog_proofs.cbor import decode_cbor
from tlog_proofs.cose_sign1 import (
    MAX_COSE_BYTES,
    CoseSign1,
    Label,
    check_critical,
    parse_cose_sign1,
    text_to_sign,
)
from tlog_proofs.ed25519 import Ed25519Verifier
from tlog_proofs.errors import (
    BadSignatureError,
    MalformedCborError,
    MalformedReceiptError,
    OriginMismatchError,
    RootMismatchError,
    UnknownKeyError,
)
from tlog_proofs.geometry import MAX_SIZE
from tlog_proofs.hashing import HASH_SIZE
from tlog_proofs.note import Verifier
from tlog_proofs.policy import Policy, check_quorum
from tlog_proofs.signed_checkpoint import Trust
from tlog_proofs.strict import show
from tlog_proofs.verify import MAX_PROOF_HASHES, root_from_inclusion, verify_consistency

MAX_RECEIPT_BYTES = MAX_COSE_BYTES
MAX_RECEIPT_PROOFS = 16

ALGORITHM, KEY_ID, CWT_CLAIMS, STRUCTURE, PROOFS = 1, 4, 15, 395, 396
"""Header labels that are registered."""
TREE_SIZE = -65801
"""Header label for private use: the tree size, which a root hash does not bind."""
ISSUER = 1
RFC9162_SHA256 = 1
INCLUSION, CONSISTENCY = -1, -2
EDDSA, ED25519 = -8, -19
"""The two numbers of the algorithm of an Ed25519 key (RFC 9053, RFC 9864)."""

_UNDERSTOOD = frozenset({ALGORITHM, KEY_ID, CWT_CLAIMS, STRUCTURE, TREE_SIZE})


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That a leaf is at `index` of the tree of `size`: hashes, the leaf's sibling first."""

    index: int
    size: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the tree of `new` leaves begins with the tree of `old` leaves."""

    old: int
    new: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as parsed, with nothing verified; its proofs, one or more, are of one kind.

    issuer: origin of the log that is said to have signed, or None. signed_size: the tree size under
    the signature, that of every proof; where it is None, a good signature says nothing of index and
    size, only that the leaf is in the tree, or the older tree in the newer one.
    """

    message: CoseSign1
    algorithm: int
    issuer: str | None
    signed_size: int | None
    inclusion: tuple[InclusionProof, ...] = ()
    consistency: tuple[ConsistencyProof, ...] = ()


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt of either kind; to know that it is true, use the verify functions.

    Raises:
        MalformedReceiptError: it is none, or of another verifiable data structure.
        MissingDependencyError: cbor2 is not installed.
    """
    message = parse_cose_sign1(data)
    headers = message.headers
    check_critical(headers, _UNDERSTOOD)
    algorithm, structure = _integer(headers, ALGORITHM), _integer(headers, STRUCTURE)
    if algorithm is None or structure != RFC9162_SHA256:
        raise MalformedReceiptError(
            "expected a protected header with an algorithm (1) and with RFC9162_SHA256 (395: 1)"
        )
    size = _integer(headers, TREE_SIZE)
    kind, proofs = _decode_proofs(message.unprotected.get(PROOFS))
    if kind == INCLUSION:
        inclusion = tuple(InclusionProof(index, of, proof) for of, index, proof in proofs)
        consistency: tuple[ConsistencyProof, ...] = ()
        sizes = {proof.size for proof in inclusion}
    else:
        inclusion, consistency = (), tuple(ConsistencyProof(*fields) for fields in proofs)
        sizes = {proof.new for proof in consistency}
    if size is not None and sizes != {size}:
        raise MalformedReceiptError(f"expected proofs of the signed tree size {show(size)}")
    return Receipt(message, algorithm, _issuer(headers), size, inclusion, consistency)


def verify_receipt(receipt: bytes, leaf_hash: bytes, trust: Trust) -> None:
    """Verify that the log signed a tree with this leaf hash; where in it, parse_receipt says.

    Where a receipt has several proofs, each must prove this leaf. It carries no cosignatures: a
    policy accepts it only if it asks for none.

    Args:
        receipt: the COSE_Sign1 as it came.
        leaf_hash: 32 bytes, computed by the caller from what it wants proved.
        trust: Ed25519 key of the log, whose name is the log's origin; several, of which one must
            have signed; or a policy, of whose logs one must have signed.

    Raises:
        MalformedReceiptError: it is no receipt of inclusion.
        MalformedProofError: a proof, or the leaf hash, has an impossible count or length.
        RootMismatchError: the proofs, or an attached payload, give different roots.
        OriginMismatchError: the receipt says that another log signed it.
        UnknownKeyError: it is signed by an algorithm that no key is of.
        BadSignatureError: no key signed this: another leaf, log or signature.
        QuorumError: the policy asks for cosignatures.

    Source: RFC 9942, "Receipt of Inclusion".
    """
    parsed = parse_receipt(receipt)
    if not parsed.inclusion:
        raise MalformedReceiptError("expected a receipt of inclusion, got one of consistency")
    root, *others = [
        root_from_inclusion(proof.index, proof.size, leaf_hash, proof.proof)
        for proof in parsed.inclusion
    ]
    for other in others:
        _check_root(root, other)
    _check_signature(parsed, root, _keys_of(trust))


def verify_consistency_receipt(
    receipt: bytes, old: int, new: int, old_root: bytes, new_root: bytes, trust: Trust
) -> None:
    """Verify that the log signed the tree of `new` leaves, and that it begins with the older one.

    Args:
        receipt: the COSE_Sign1 as it came.
        old, new: tree sizes, 1 <= old <= new.
        old_root: root hash (32 bytes) of the older tree, which the caller trusts already.
        new_root: root hash (32 bytes) of the newer tree, which is what is proved.
        trust: as of verify_receipt.

    Raises:
        MalformedReceiptError: it is no receipt of consistency between these sizes.
        MalformedProofError, RootMismatchError: as verify_consistency, or another root is attached.
        OriginMismatchError, UnknownKeyError, BadSignatureError, QuorumError: as verify_receipt.

    Source: RFC 9942, "Receipt of Consistency".
    """
    parsed = parse_receipt(receipt)
    if {(proof.old, proof.new) for proof in parsed.consistency} != {(old, new)}:
        raise MalformedReceiptError(
            f"expected a receipt of consistency from size {show(old)} to {show(new)}"
        )
    _check_signature(parsed, new_root, _keys_of(trust))
    for proof in parsed.consistency:
        verify_consistency(old, new, proof.proof, old_root, new_root)


def _keys_of(trust: Trust) -> Sequence[Verifier]:
    if isinstance(trust, Policy):
        check_quorum(trust, ())
        return [log.key for log in trust.logs]
    return trust if isinstance(trust, Sequence) else [trust]


def _check_signature(receipt: Receipt, root: bytes, keys: Sequence[Verifier]) -> None:
    own = [key for key in keys if receipt.issuer in (None, key.name)]
    if receipt.issuer is not None and keys and not own:
        raise OriginMismatchError(keys[0].name, receipt.issuer)
    # Other keys sign other texts: what a cosigner means is never taken for what a log means.
    fitting = [key for key in own if isinstance(key, Ed25519Verifier)]
    if not fitting or receipt.algorithm not in (EDDSA, ED25519):
        raise UnknownKeyError(
            f"expected a receipt by an Ed25519 key of a log, got algorithm {receipt.algorithm} and "
            f"{len(fitting)} such keys"
        )
    if receipt.message.payload is not None:
        _check_root(root, receipt.message.payload)
    text, signature = text_to_sign(receipt.message.protected, root), receipt.message.signature
    *others, last = fitting
    for key in others:
        with suppress(BadSignatureError):
            key.verify(text, signature)
            return
    last.verify(text, signature)


def _check_root(expected: bytes, actual: bytes) -> None:
    if expected != actual:
        raise RootMismatchError(expected, actual)


def _decode_proofs(field: object) -> tuple[int, list[tuple[int, int, tuple[bytes, ...]]]]:
    """Give the kind of the proofs, and of each its two numbers and its hashes."""
    match field:
        case Mapping() if len(field) == 1:
            ((kind, encoded),) = field.items()
            if kind in (INCLUSION, CONSISTENCY) and isinstance(encoded, list) and encoded:
                if len(encoded) > MAX_RECEIPT_PROOFS:
                    raise MalformedReceiptError(
                        f"expected at most {MAX_RECEIPT_PROOFS} proofs, got {len(encoded)}"
                    )
                return kind, [_decode_proof(item) for item in encoded]
    raise MalformedReceiptError(
        "expected proofs (396) of inclusion (-1) or else of consistency (-2), one or more"
    )


def _decode_proof(encoded: object) -> tuple[int, int, tuple[bytes, ...]]:
    if not isinstance(encoded, bytes):
        raise MalformedReceiptError("expected each proof in a byte string")
    try:
        fields = decode_cbor(encoded, max_bytes=MAX_RECEIPT_BYTES)
    except MalformedCborError as error:
        raise MalformedReceiptError(f"receipt's proof: {error}") from error
    match fields:
        case [first, second, [*hashes]] if _is_size(first) and _is_size(second):
            if len(hashes) <= MAX_PROOF_HASHES and all(map(_is_hash, hashes)):
                return first, second, tuple(hashes)
    raise MalformedReceiptError(
        f"expected two numbers up to 2^63-1 and at most {MAX_PROOF_HASHES} hashes of "
        f"{HASH_SIZE} bytes, got {show(encoded)}"
    )


def _integer(headers: Mapping[Label, object], label: int) -> int | None:
    value = headers.get(label)
    if value is None:
        return None
    if type(value) is not int:
        raise MalformedReceiptError(f"expected an integer under {label}, got {show(value)}")
    return value


def _issuer(headers: Mapping[Label, object]) -> str | None:
    match headers.get(CWT_CLAIMS):
        case None:
            return None
        case Mapping() as claims:
            issuer = claims.get(ISSUER)
            if issuer is None or isinstance(issuer, str):
                return issuer
    raise MalformedReceiptError("expected claims (15) as a map, with an issuer (1) that is text")


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_SIZE


def _is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == HASH_SIZE
