"""Vectors of COSE receipts, from the bytes that receipt_bytes.py writes."""

from __future__ import annotations

from typing import Any

from tests import reference
from tests.vectors import consistency_receipts, malformed_receipts, policy_receipts
from tests.vectors.keys import LOG, ORIGIN, STRANGER, WITNESS
from tests.vectors.receipt_bytes import (
    ALGORITHM,
    CONSISTENCY,
    INCLUSION,
    INDEX,
    LEAVES,
    NULL,
    OLD_ROOT,
    PATH,
    PROOFS,
    ROOT,
    SIZE,
    VDS,
    array,
    bstr,
    consistency,
    encoded_proof,
    inclusion,
    issuer,
    mapping,
    protected,
    sign,
    sign1,
    tstr,
    unprotected,
)

Case = dict[str, Any]

RECEIPT, PROOF = "MalformedReceiptError", "MalformedProofError"
ROOT_ERROR, SIGNATURE = "RootMismatchError", "BadSignatureError"


def files() -> dict[str, Case]:
    """Make the files of the folder receipt."""
    return {
        "receipt/signed.json": {
            "desc": "What a log signs for its receipts, and the receipts it makes of that.",
            "operation": "make_receipts",
            "cases": _made(),
        },
        "receipt/inclusion.json": {
            "desc": "Receipts of inclusion.",
            "operation": "verify_receipt",
            "cases": _good() + _false() + _refused(),
        },
        "receipt/policies.json": {
            "desc": "Receipts of inclusion, verified by a policy.",
            "operation": "verify_receipt_by_policy",
            "cases": policy_receipts.cases(),
        },
        "receipt/consistency.json": {
            "desc": "Receipts of consistency.",
            "operation": "verify_consistency_receipt",
            "cases": consistency_receipts.cases(),
        },
        "receipt/malformed.json": {
            "desc": "Bytes that are no receipt, whatever the key.",
            "operation": "parse_receipt",
            "cases": malformed_receipts.cases(),
        },
    }


def _made() -> list[Case]:
    cases = []
    for size in (2, 3, 8, 13):
        leaves = LEAVES[:size]
        root, header = reference.root(leaves), protected(size)
        signature = sign(header, root)
        index, old = size - 1, size // 2
        path, older = reference.path(index, leaves), reference.consistency(old, leaves)
        cases.append(
            {
                "desc": f"tree size {size}: its last leaf, and from size {old}",
                "input": {
                    "vkey": LOG.verifier.vkey,
                    "size": size,
                    "root": root.hex(),
                    "index": index,
                    "proof": [value.hex() for value in path],
                    "old": old,
                    "consistency_proof": [value.hex() for value in older],
                    "signature": signature.hex(),
                },
                "expected": {
                    "text": array(tstr("Signature1"), bstr(header), bstr(b""), bstr(root)).hex(),
                    "receipt": sign1(
                        header,
                        unprotected(INCLUSION, encoded_proof(size, index, path)),
                        signature,
                    ).hex(),
                    "consistency_receipt": sign1(
                        header, unprotected(CONSISTENCY, encoded_proof(old, size, older)), signature
                    ).hex(),
                },
            }
        )
    return cases


def _case(what: str, receipt: bytes, leaf: bytes = LEAVES[INDEX]) -> Case:
    given = {
        "receipt": receipt.hex(),
        "leaf_hash": leaf.hex(),
        "vkey": LOG.verifier.vkey,
    }
    return {"desc": what, "input": given}


def _expected(index: int = INDEX, size: int = SIZE, *, signed: bool = True) -> Case:
    signed_size = size if signed else None
    return {"index": index, "size": size, "signed_size": signed_size}


def _good() -> list[Case]:
    plain, fully_specified = mapping(ALGORITHM, VDS), mapping(b"\x01\x32", VDS)
    unordered = mapping(VDS, issuer(ORIGIN), b"\x04" + bstr(b"any"), ALGORITHM)
    critical = mapping(ALGORITHM, b"\x02" + array(VDS[:3], b"\x0f"), issuer(ORIGIN), VDS)
    unknown = mapping(ALGORITHM, VDS, tstr("typ") + array(NULL, b"\xf5"))
    claims = mapping(ALGORITHM, b"\x0f" + mapping(b"\x02" + tstr("a subject")), VDS)
    one = mapping(ALGORITHM, VDS)
    second = encoded_proof(SIZE, INDEX, PATH)
    more = mapping(b"\x05" + bstr(b"any"), PROOFS + mapping(INCLUSION + array(second)))
    good: list[tuple[str, bytes, Case]] = [
        ("as logs of ours write it", inclusion(), _expected()),
        ("no more than the RFC demands", inclusion(plain), _expected(signed=False)),
        ("algorithm -19, Ed25519", inclusion(fully_specified), _expected(signed=False)),
        ("another order of protected labels", inclusion(unordered), _expected(signed=False)),
        ("critical labels that are known", inclusion(critical), _expected(signed=False)),
        ("labels that are not known", inclusion(unknown), _expected(signed=False)),
        ("claims without an issuer", inclusion(claims), _expected(signed=False)),
        ("the root attached", inclusion(payload=bstr(ROOT)), _expected()),
        ("the same proof twice", inclusion(None, second, second), _expected()),
        ("the same proof sixteen times", inclusion(None, *[second] * 16), _expected()),
        (
            "another unprotected label",
            sign1(protected(), more, sign(protected(), ROOT)),
            _expected(),
        ),
    ]
    cases = [{**_case(what, receipt), "expected": is_} for what, receipt, is_ in good]
    empty = inclusion(one, encoded_proof(1, 0, []), root=LEAVES[0])
    cases.append(
        {
            **_case("the only leaf of a tree, with no hashes", empty, LEAVES[0]),
            "expected": _expected(0, 1, signed=False),
        }
    )
    for index in (0, 12):
        receipt = inclusion(None, encoded_proof(SIZE, index, reference.path(index, LEAVES)))
        cases.append(
            {
                **_case(f"leaf {index} of 13", receipt, LEAVES[index]),
                "expected": _expected(index),
            }
        )
    return cases


def _false() -> list[Case]:
    plain = mapping(ALGORITHM, VDS)
    wrong_hash = [ROOT, *PATH[1:]]
    flipped = bytearray(sign(protected(), ROOT))
    flipped[20] ^= 0x04
    stranger = mapping(ALGORITHM, issuer(STRANGER.name), VDS)
    proofs = unprotected(INCLUSION, encoded_proof(SIZE, INDEX, PATH))
    right, wrong = encoded_proof(SIZE, INDEX, PATH), encoded_proof(SIZE, INDEX, wrong_hash)
    text = f"{ORIGIN}\n{SIZE}\n".encode()
    false: dict[str, tuple[bytes, str]] = {
        "one hash wrong": (inclusion(None, wrong), SIGNATURE),
        "index of the neighbour": (inclusion(None, encoded_proof(SIZE, 4, PATH)), SIGNATURE),
        "a hash missing": (inclusion(None, encoded_proof(SIZE, INDEX, PATH[1:])), PROOF),
        "a hash too many": (inclusion(None, encoded_proof(SIZE, INDEX, [*PATH, ROOT])), PROOF),
        "index beyond the tree": (inclusion(None, encoded_proof(SIZE, SIZE, PATH)), PROOF),
        "tree size 0": (inclusion(plain, encoded_proof(0, 0, PATH)), PROOF),
        "a second proof that is wrong": (inclusion(None, right, wrong), ROOT_ERROR),
        "a first proof that is wrong": (inclusion(None, wrong, right), ROOT_ERROR),
        "another root attached": (inclusion(payload=bstr(OLD_ROOT)), ROOT_ERROR),
        "an empty payload attached": (inclusion(payload=bstr(b"")), ROOT_ERROR),
        "a bit of the signature wrong": (sign1(protected(), proofs, bytes(flipped)), SIGNATURE),
        "no signature": (sign1(protected(), proofs, b""), SIGNATURE),
        "a signature of 63 bytes": (sign1(protected(), proofs, bytes(flipped[:-1])), SIGNATURE),
        "another root signed": (inclusion(root=OLD_ROOT), SIGNATURE),
        "another header signed": (sign1(protected(), proofs, sign(plain, ROOT)), SIGNATURE),
        "the root alone signed": (sign1(protected(), proofs, LOG.sign(ROOT)), SIGNATURE),
        "a text signed as notes are": (sign1(protected(), proofs, LOG.sign(text)), SIGNATURE),
        "signed by a stranger": (inclusion(key=STRANGER), SIGNATURE),
        "signed by a stranger who says so": (
            inclusion(stranger, key=STRANGER),
            "OriginMismatchError",
        ),
        "another log's name": (
            inclusion(mapping(ALGORITHM, issuer(WITNESS.name), VDS)),
            "OriginMismatchError",
        ),
        "algorithm -7, ES256": (inclusion(mapping(b"\x01\x26", VDS)), "UnknownKeyError"),
    }
    cases: list[Case] = [
        {**_case(what, receipt), "wantErr": error} for what, (receipt, error) in false.items()
    ]
    cases.append(
        {**_case("another leaf hash", inclusion(), LEAVES[6]), "wantErr": SIGNATURE},
    )
    short = _case("a leaf hash of 31 bytes", inclusion(), LEAVES[INDEX][:31])
    return [*cases, {**short, "wantErr": PROOF}]


def _refused() -> list[Case]:
    # As a chain of left siblings, leaf 12 of 13 has the path of leaf 2 of 3 and leaf 6 of 7.
    path = reference.path(12, LEAVES)
    moved = encoded_proof(7, 6, path)
    refused = {
        "a proof of another size than the signed one": inclusion(None, moved),
        "a receipt of consistency": consistency(),
    }
    cases = [
        {**_case(what, receipt, LEAVES[12]), "wantErr": RECEIPT}
        for what, receipt in refused.items()
    ]
    unbound = _case(
        "the same where no size is signed: the leaf is in the tree, and that is all",
        inclusion(mapping(ALGORITHM, VDS), moved),
        LEAVES[12],
    )
    return [*cases, {**unbound, "expected": _expected(6, 7, signed=False)}]
