"""Running vectors of encodings, keys, notes, checkpoints, tlog-proofs and the genesis."""

from __future__ import annotations

import tlog_proofs
from tests.vectors.fields import Api, Case, as_json, expect_again, octets


def parse_decimal(api: Api, case: Case) -> Case:
    """Run a case of parse_decimal."""
    value = api.parse_decimal(case["text"])
    assert api.parse_decimal(case["text"].encode()) == value
    return {"value": value if value < 2**53 else str(value)}


def decode_base64(api: Api, case: Case) -> Case:
    """Run a case of decode_base64."""
    data = api.decode_base64(case["text"])
    expect_again(api.encode_base64, data, case["text"])
    return {"bytes": data.hex()}


def decode_cbor(api: Api, case: Case) -> Case:
    """Run a case of decode_cbor."""
    data = bytes.fromhex(case["cbor"])
    value = api.decode_cbor(data, max_bytes=len(data))
    expect_again(api.encode_cbor, value, data)
    return {"value": as_json(value)}


def parse_vkey(api: Api, case: Case) -> Case:
    """Run a case of parse_vkey."""
    key = api.parse_vkey(case["vkey"])
    assert key.vkey == case["vkey"]
    return {"name": key.name, "key_id": key.key_id.hex(), "public_key": key.public_key.hex()}


def parse_signer_key(api: Api, case: Case) -> Case:
    """Run a case of parse_signer_key."""
    signer = api.parse_signer_key(case["signer_key"])
    assert signer.text == case["signer_key"]
    return {"name": signer.name, "vkey": signer.verifier.vkey}


def sign_message(api: Api, case: Case) -> Case:
    """Run a case of sign_message."""
    signer = api.Ed25519Signer("example.com/signer", bytes.fromhex(case["seed"]))
    message = bytes.fromhex(case["message"])
    signature = signer.sign(message)
    signer.verifier.verify(message, signature)
    return {"public_key": signer.verifier.public_key.hex(), "signature": signature.hex()}


def parse_note_unverified(api: Api, case: Case) -> Case:
    """Run a case of parse_note_unverified."""
    note = octets(case, "note")
    parsed = api.parse_note_unverified(note)
    expect_again(api.format_note, (parsed.text, parsed.signatures), note)
    signatures = [
        {"name": line.name, "key_id": line.key_id.hex(), "signature": line.signature.hex()}
        for line in parsed.signatures
    ]
    return {"text": parsed.text.decode(), "signatures": signatures}


def open_note(api: Api, case: Case) -> Case:
    """Run a case of open_note."""
    keys = [tlog_proofs.parse_vkey(vkey) for vkey in case["vkeys"]]
    opened = api.open_note(octets(case, "note"), keys)
    return {
        "text": opened.text.decode(),
        "verified": [f"{line.name}+{line.key_id.hex()}" for line in opened.verified],
        "unverified": [f"{line.name}+{line.key_id.hex()}" for line in opened.unverified],
    }


def parse_checkpoint(api: Api, case: Case) -> Case:
    """Run a case of parse_checkpoint."""
    text = octets(case, "checkpoint")
    checkpoint = api.parse_checkpoint(text)
    expect_again(api.format_checkpoint, checkpoint, text)
    return _checkpoint_fields(checkpoint)


def open_checkpoint(api: Api, case: Case) -> Case:
    """Run a case of open_checkpoint."""
    signed = api.open_checkpoint(octets(case, "note"), tlog_proofs.parse_vkey(case["vkey"]))
    assert signed.note == octets(case, "note")
    return _checkpoint_fields(signed.checkpoint)


def _checkpoint_fields(checkpoint: tlog_proofs.Checkpoint) -> Case:
    size = checkpoint.size
    return {
        "origin": checkpoint.origin,
        "size": size if size < 2**53 else str(size),
        "root": checkpoint.root.hex(),
        "extensions": list(checkpoint.extensions),
    }


def verify_tlog_proof(api: Api, case: Case) -> Case:
    """Run a case of verify_tlog_proof."""
    data = octets(case, "tlog_proof")
    proof = api.parse_tlog_proof(data)
    expect_again(api.format_tlog_proof, proof, data)
    vkey = tlog_proofs.parse_vkey(case["vkey"])
    signed = api.verify_tlog_proof(proof, bytes.fromhex(case["leaf_hash"]), vkey)
    extra = None if proof.extra is None else proof.extra.hex()
    return {"index": proof.index, "size": signed.size, "extra": extra}


def parse_genesis(api: Api, case: Case) -> Case:
    """Run a case of parse_genesis."""
    entry = bytes.fromhex(case["entry"])
    genesis = api.parse_genesis(entry)
    expect_again(api.format_genesis, genesis, entry)
    previous = genesis.predecessor
    return {
        "origin": genesis.origin,
        "kind": genesis.kind,
        "created": genesis.created if genesis.created < 2**53 else str(genesis.created),
        "vkeys": list(genesis.vkeys),
        "predecessor": previous
        and {"origin": previous.origin, "size": previous.size, "root": previous.root.hex()},
    }


OPERATIONS = {
    "decode_base64": decode_base64,
    "decode_cbor": decode_cbor,
    "open_checkpoint": open_checkpoint,
    "open_note": open_note,
    "parse_checkpoint": parse_checkpoint,
    "parse_decimal": parse_decimal,
    "parse_genesis": parse_genesis,
    "parse_note_unverified": parse_note_unverified,
    "parse_signer_key": parse_signer_key,
    "parse_vkey": parse_vkey,
    "sign_message": sign_message,
    "verify_tlog_proof": verify_tlog_proof,
}
