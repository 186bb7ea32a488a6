"""Running vectors of cosignatures and cosigners' keys."""

from __future__ import annotations

import tlog_proofs
from tests.vectors.fields import Api, Case, number, octets


def open_cosignature(api: Api, case: Case) -> Case:
    """Run a case of open_note with a cosigner's key, and read the time."""
    opened = api.open_note(octets(case, "note"), [api.parse_vkey(case["vkey"])])
    (line,) = opened.verified
    timestamp = api.cosignature_timestamp(line)
    return {"timestamp": timestamp if timestamp < 2**53 else str(timestamp)}


def verify_subtree_cosignature(api: Api, case: Case) -> Case:
    """Run a case of MlDsa44CosignatureVerifier.verify_subtree."""
    key = api.parse_vkey(case["vkey"])
    key.verify_subtree(
        case["origin"],
        number(case["start"]),
        number(case["end"]),
        bytes.fromhex(case["root"]),
        bytes.fromhex(case["signature"]),
    )
    return {}


def cosignature_message(api: Api, case: Case) -> Case:
    """Run a case of cosignature_message."""
    message = api.cosignature_message(number(case["timestamp"]), case["checkpoint"].encode())
    return {"message": message.hex()}


def subtree_message(api: Api, case: Case) -> Case:
    """Run a case of subtree_message."""
    message = api.subtree_message(
        case["cosigner"],
        number(case["timestamp"]),
        case["origin"],
        number(case["start"]),
        number(case["end"]),
        bytes.fromhex(case["root"]),
    )
    return {"message": message.hex()}


def parse_cosigner_key(api: Api, case: Case) -> Case:
    """Run a case of parse_cosigner_key."""
    signer = api.parse_cosigner_key(case["signer_key"])
    assert signer.text == case["signer_key"]
    assert tlog_proofs.parse_vkey(signer.verifier.vkey) == signer.verifier
    return {"name": signer.name, "vkey": signer.verifier.vkey}


OPERATIONS = {
    "cosignature_message": cosignature_message,
    "open_cosignature": open_cosignature,
    "parse_cosigner_key": parse_cosigner_key,
    "subtree_message": subtree_message,
    "verify_subtree_cosignature": verify_subtree_cosignature,
}
