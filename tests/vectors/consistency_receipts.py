"""Vectors of COSE receipts of consistency."""

from __future__ import annotations

from typing import Any

from tests import reference
from tests.vectors.keys import LOG
from tests.vectors.receipt_bytes import (
    ALGORITHM,
    LEAVES,
    OLD,
    OLD_ROOT,
    ROOT,
    SIZE,
    VDS,
    bstr,
    consistency,
    encoded_proof,
    inclusion,
    mapping,
    protected,
)

Case = dict[str, Any]

RECEIPT, PROOF = "MalformedReceiptError", "MalformedProofError"
ROOT_ERROR, SIGNATURE = "RootMismatchError", "BadSignatureError"


def _case(what: str, receipt: bytes, old: int = OLD, new: int = SIZE, **roots: bytes) -> Case:
    given = {
        "receipt": receipt.hex(),
        "old": old,
        "new": new,
        "old_root": roots.get("old_root", reference.root(LEAVES[:old])).hex(),
        "new_root": roots.get("new_root", reference.root(LEAVES[:new])).hex(),
        "vkey": LOG.verifier.vkey,
    }
    return {"desc": what, "input": given}


def cases() -> list[Case]:
    """Make the cases."""
    plain = mapping(ALGORITHM, VDS)
    path = reference.consistency(OLD, LEAVES)
    right = encoded_proof(OLD, SIZE, path)
    wrong = encoded_proof(OLD, SIZE, [ROOT, *path[1:]])
    power = encoded_proof(8, SIZE, reference.consistency(8, LEAVES))
    same = consistency(None, encoded_proof(SIZE, SIZE, []))
    good = [
        _case("as logs of ours write it", consistency()),
        _case("no more than the RFC demands", consistency(plain)),
        _case("the newer root attached", consistency(payload=bstr(ROOT))),
        _case("the same proof twice", consistency(None, right, right)),
        _case("from size 8", consistency(None, power), 8),
        _case("between equal sizes, with no hashes", same, SIZE),
    ]
    bad: list[tuple[Case, str]] = [
        (_case("one hash wrong", consistency(None, wrong)), ROOT_ERROR),
        (_case("a second proof wrong", consistency(None, right, wrong)), ROOT_ERROR),
        (
            _case("another older root", consistency(), old_root=LEAVES[0]),
            ROOT_ERROR,
        ),
        (
            _case("another newer root", consistency(), new_root=LEAVES[0]),
            SIGNATURE,
        ),
        (
            _case("the older root attached", consistency(payload=bstr(OLD_ROOT))),
            ROOT_ERROR,
        ),
        (_case("the older root signed", consistency(root=OLD_ROOT)), SIGNATURE),
        (
            _case("a hash missing", consistency(None, encoded_proof(OLD, SIZE, path[1:]))),
            PROOF,
        ),
        (
            _case("a hash too many", consistency(None, encoded_proof(OLD, SIZE, [*path, ROOT]))),
            PROOF,
        ),
        (
            _case("sizes the other way", consistency(plain, encoded_proof(13, 6, path))) | {},
            RECEIPT,
        ),
        (
            _case("from size 0", consistency(None, encoded_proof(0, SIZE, [])), 0),
            PROOF,
        ),
        (_case("asked about another older size", consistency(), 5), RECEIPT),
        (_case("asked about another newer size", consistency(), OLD, 12), RECEIPT),
        (
            _case("two proofs of two older sizes", consistency(None, right, power), OLD),
            RECEIPT,
        ),
        (
            _case("of another newer size than the signed one", consistency(protected(12))),
            RECEIPT,
        ),
        (_case("a receipt of inclusion", inclusion()), RECEIPT),
    ]
    return [{**case, "expected": {}} for case in good] + [
        {**case, "wantErr": error} for case, error in bad
    ]
