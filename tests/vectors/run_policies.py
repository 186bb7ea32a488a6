"""Running vectors of policies; a policy's octets are characters up to U+00FF here."""

from __future__ import annotations

import tlog_proofs
from tests.vectors.fields import Api, Case, octets


def parse_policy(api: Api, case: Case) -> Case:
    """Run a case of parse_policy."""
    policy = api.parse_policy(octets(case, "policy"))
    return {
        "logs": [{"vkey": log.key.vkey, "url": _text(log.url)} for log in policy.logs],
        "witnesses": [
            {"name": _text(item.name), "vkey": item.key.vkey, "url": _text(item.url)}
            for item in policy.witnesses
        ],
        "groups": [
            {
                "name": _text(group.name),
                "threshold": group.threshold,
                "members": [_text(member) for member in group.members],
            }
            for group in policy.groups
        ],
        "quorum": _text(policy.quorum),
    }


def open_checkpoint_by_policy(api: Api, case: Case) -> Case:
    """Run a case of open_checkpoint with a policy."""
    note = octets(case, "note")
    signed = api.open_checkpoint(note, api.parse_policy(octets(case, "policy")))
    assert signed.note == note
    text = tlog_proofs.parse_note_unverified(note).text
    assert signed.checkpoint == tlog_proofs.parse_checkpoint(text)
    return {
        "logs": [f"{key.name}+{key.key_id.hex()}" for key in signed.log_keys],
        "cosignatures": [
            {"witness": _text(item.witness), "timestamp": item.timestamp}
            for item in signed.cosignatures
        ],
    }


def verify_tlog_proof_by_policy(api: Api, case: Case) -> Case:
    """Run a case of verify_tlog_proof with a policy."""
    proof = api.parse_tlog_proof(octets(case, "tlog_proof"))
    policy = api.parse_policy(octets(case, "policy"))
    signed = api.verify_tlog_proof(proof, bytes.fromhex(case["leaf_hash"]), policy)
    witnesses = [_text(item.witness) for item in signed.cosignatures]
    return {"index": proof.index, "size": signed.size, "witnesses": witnesses}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


OPERATIONS = {
    "open_checkpoint_by_policy": open_checkpoint_by_policy,
    "parse_policy": parse_policy,
    "verify_tlog_proof_by_policy": verify_tlog_proof_by_policy,
}
