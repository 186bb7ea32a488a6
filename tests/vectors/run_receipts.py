"""Running vectors of COSE receipts."""

from __future__ import annotations

import tlog_proofs
from tests.vectors.fields import Api, Case, hashes, octets


def _log_key(case: Case) -> tlog_proofs.Ed25519Verifier:
    key = tlog_proofs.parse_vkey(case["vkey"])
    assert isinstance(key, tlog_proofs.Ed25519Verifier)
    return key


def _number(value: int) -> int | str:
    return value if value < 2**53 else str(value)


def make_receipts(api: Api, case: Case) -> Case:
    """Run a case of receipt_text, format_receipt and format_consistency_receipt."""
    key, size, signature = _log_key(case), case["size"], bytes.fromhex(case["signature"])
    text = api.receipt_text(key, size, bytes.fromhex(case["root"]))
    key.verify(text, signature)
    receipt = api.format_receipt(key, case["index"], size, hashes(case["proof"]), signature)
    consistency = api.format_consistency_receipt(
        key, case["old"], size, hashes(case["consistency_proof"]), signature
    )
    return {
        "text": text.hex(),
        "receipt": receipt.hex(),
        "consistency_receipt": consistency.hex(),
    }


def parse_receipt(api: Api, case: Case) -> Case:
    """Run a case of parse_receipt."""
    receipt = api.parse_receipt(bytes.fromhex(case["receipt"]))
    return {
        "algorithm": receipt.algorithm,
        "issuer": receipt.issuer,
        "signed_size": receipt.signed_size,
        "inclusion": [
            [_number(proof.index), _number(proof.size), [value.hex() for value in proof.proof]]
            for proof in receipt.inclusion
        ],
        "consistency": [
            [_number(proof.old), _number(proof.new), [value.hex() for value in proof.proof]]
            for proof in receipt.consistency
        ],
    }


def verify_receipt(api: Api, case: Case) -> Case:
    """Run a case of verify_receipt, and of parse_receipt for what it proves."""
    return _verify_by(api, case, tlog_proofs.parse_vkey(case["vkey"]))


def verify_receipt_by_policy(api: Api, case: Case) -> Case:
    """Run a case of verify_receipt with a policy."""
    return _verify_by(api, case, tlog_proofs.parse_policy(octets(case, "policy")))


def _verify_by(api: Api, case: Case, trust: object) -> Case:
    data = bytes.fromhex(case["receipt"])
    assert api.verify_receipt(data, bytes.fromhex(case["leaf_hash"]), trust) is None
    receipt = api.parse_receipt(data)
    return {
        "index": receipt.inclusion[0].index,
        "size": receipt.inclusion[0].size,
        "signed_size": receipt.signed_size,
    }


def verify_consistency_receipt(api: Api, case: Case) -> Case:
    """Run a case of verify_consistency_receipt."""
    data = bytes.fromhex(case["receipt"])
    old_root, new_root = bytes.fromhex(case["old_root"]), bytes.fromhex(case["new_root"])
    key = tlog_proofs.parse_vkey(case["vkey"])
    api.verify_consistency_receipt(data, case["old"], case["new"], old_root, new_root, key)
    return {}


OPERATIONS = {
    "make_receipts": make_receipts,
    "parse_receipt": parse_receipt,
    "verify_consistency_receipt": verify_consistency_receipt,
    "verify_receipt": verify_receipt,
    "verify_receipt_by_policy": verify_receipt_by_policy,
}
