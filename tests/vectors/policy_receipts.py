"""Vectors of receipts under policies, which accept them only without a quorum."""

from __future__ import annotations

from typing import Any

from tests.vectors.cosigners import ED25519, ML_DSA, NOTE, Key
from tests.vectors.keys import ORIGIN, STRANGER, signer
from tests.vectors.receipt_bytes import (
    ALGORITHM,
    INDEX,
    LEAVES,
    PATH,
    ROOT,
    SIZE,
    VDS,
    encoded_proof,
    inclusion,
    issuer,
    mapping,
    tree_size,
)

Case = dict[str, Any]


def cases() -> list[Case]:
    """Give the cases of receipt/policies.json."""
    log, next_log, ml_dsa = Key(ORIGIN, NOTE), Key(ORIGIN, NOTE, 1), Key(ORIGIN, ML_DSA)
    other, witness = Key("log.example/two", NOTE), Key("witness.example/w1", ED25519)
    nameless = mapping(ALGORITHM, VDS)
    by_next = inclusion(mapping(ALGORITHM, issuer(ORIGIN), VDS), key=signer(ORIGIN, 1))
    by_other = inclusion(
        mapping(ALGORITHM, issuer(other.name), VDS, tree_size(SIZE)), key=signer(other.name)
    )
    by_stranger = inclusion(nameless, key=STRANGER)

    def policy(*keys: Key, quorum: str = "none") -> str:
        logs = "".join(f"log {key.vkey}\n" for key in keys)
        return f"{logs}witness W {witness.vkey}\ngroup G any W\nquorum {quorum}\n"

    good = {
        "no witness asked for": (policy(log), inclusion(), True),
        "two keys, the old one signed": (policy(log, next_log), inclusion(), True),
        "two keys, the new one signed": (policy(log, next_log), by_next, False),
        "a key that signs no receipts beside": (policy(ml_dsa, log), inclusion(), True),
        "another log beside": (policy(other, log), inclusion(), True),
        "another log of the policy": (policy(log, other), by_other, True),
        "two logs, and no issuer": (policy(other, log), inclusion(nameless), False),
    }
    bad = {
        "a witness asked for": (policy(log, quorum="W"), inclusion(), "QuorumError"),
        "a group asked for": (policy(log, quorum="G"), inclusion(), "QuorumError"),
        "a log that the policy does not list": (policy(other), inclusion(), "OriginMismatchError"),
        "no log in the policy": (policy(), inclusion(), "UnknownKeyError"),
        "no log in the policy, and no issuer": (policy(), inclusion(nameless), "UnknownKeyError"),
        "no key that signs receipts": (policy(ml_dsa), inclusion(), "UnknownKeyError"),
        "none but another log's key that signs receipts": (
            policy(ml_dsa, other),
            inclusion(),
            "UnknownKeyError",
        ),
        "a new key that the policy does not list": (policy(log), by_next, "BadSignatureError"),
        "another log's key, which is listed, under this log's name": (
            policy(log, other),
            inclusion(key=signer(other.name)),
            "BadSignatureError",
        ),
        "no issuer, and a stranger's signature": (
            policy(log, other),
            by_stranger,
            "BadSignatureError",
        ),
        "two keys, and no hash right": (
            policy(log, next_log),
            inclusion(None, encoded_proof(SIZE, INDEX, [ROOT, *PATH[1:]])),
            "BadSignatureError",
        ),
    }
    return [
        {
            "desc": what,
            "input": _by(text, receipt),
            "expected": {"index": INDEX, "size": SIZE, "signed_size": SIZE if signed else None},
        }
        for what, (text, receipt, signed) in good.items()
    ] + [
        {"desc": what, "input": _by(text, receipt), "wantErr": error}
        for what, (text, receipt, error) in bad.items()
    ]


def _by(policy: str, receipt: bytes) -> Case:
    return {"policy": policy, "receipt": receipt.hex(), "leaf_hash": LEAVES[INDEX].hex()}
