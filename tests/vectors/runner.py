"""Running test vectors: one function an operation, from a case's input to what it must give.

`api` is anything with tlog_proofs' functions as attributes, so that mutants can be run as well.
Folders and fields are described in spec/vectors/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tlog_proofs
from tests import reference
from tests.vectors.accumulated import accumulated

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"

Case = dict[str, Any]
Api = Any  # tlog_proofs, or a module with the same functions


def load(name: str) -> Case:
    """Read a vector file by its path below spec/vectors."""
    content: Case = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return content


def run(operation: str, case: Case, api: Api = tlog_proofs) -> None:
    """Run a case, and fail unless it gives what is expected, or raises the error it wants."""
    function = OPERATIONS[operation]
    if "wantErr" in case:
        with pytest.raises(tlog_proofs.TlogError) as caught:
            function(api, case["input"])
        assert type(caught.value).__name__ == case["wantErr"], case["desc"]
        assert len(str(caught.value)) < 2000
    else:
        assert function(api, case["input"]) == case["expected"], case["desc"]


def number(value: int | str) -> int:
    """Read an integer, which is a string where JavaScript could not hold it."""
    return int(value)


def hashes(values: list[str]) -> list[bytes]:
    """Read a list of byte strings in hex."""
    return [bytes.fromhex(value) for value in values]


def octets(case: Case, field: str) -> bytes:
    """Read a byte string: UTF-8 text under its own name, or hex under its name with _hex."""
    if field in case:
        return str(case[field]).encode("utf-8")
    return bytes.fromhex(case[f"{field}_hex"])


def _root_from_leaf_hashes(api: Api, case: Case) -> Case:
    leaves = hashes(case["leaf_hashes"])
    root = api.root_from_leaf_hashes(leaves)
    assert root == api.tree_root(
        len(leaves), lambda low, high: reference.root(tuple(leaves[low:high]))
    )
    return {"root": root.hex()}


def _tree_of_entries(api: Api, case: Case) -> Case:
    leaves = [api.leaf_hash(entry) for entry in hashes(case["entries"])]
    roots = [api.root_from_leaf_hashes(leaves[:size]).hex() for size in range(len(leaves) + 1)]
    return {"leaf_hashes": [leaf.hex() for leaf in leaves], "roots": roots}


def _verify_inclusion(api: Api, case: Case) -> Case:
    api.verify_inclusion(
        number(case["index"]),
        number(case["size"]),
        bytes.fromhex(case["leaf_hash"]),
        hashes(case["proof"]),
        bytes.fromhex(case["root"]),
    )
    return {}


def _verify_consistency(api: Api, case: Case) -> Case:
    api.verify_consistency(
        number(case["old"]),
        number(case["new"]),
        hashes(case["proof"]),
        bytes.fromhex(case["old_root"]),
        bytes.fromhex(case["new_root"]),
    )
    return {}


def _verify_subtree_inclusion(api: Api, case: Case) -> Case:
    api.verify_subtree_inclusion(
        number(case["start"]),
        number(case["end"]),
        number(case["index"]),
        bytes.fromhex(case["leaf_hash"]),
        hashes(case["proof"]),
        bytes.fromhex(case["subtree_root"]),
    )
    return {}


def _verify_subtree_consistency(api: Api, case: Case) -> Case:
    api.verify_subtree_consistency(
        number(case["start"]),
        number(case["end"]),
        number(case["size"]),
        hashes(case["proof"]),
        bytes.fromhex(case["subtree_root"]),
        bytes.fromhex(case["root"]),
    )
    return {}


def _parse_tile_path(api: Api, case: Case) -> Case:
    tile = api.parse_tile_path(case["path"])
    level = "entries" if isinstance(tile, tlog_proofs.EntryBundle) else tile.level
    assert tile.path == case["path"]
    return {"level": level, "index": tile.index, "width": tile.width}


def _tiles_of_tree(api: Api, case: Case) -> Case:
    size = number(case["size"])
    return {"partial": [tile.path for tile in api.right_edge(size)]}


def _tiles_for_inclusion(api: Api, case: Case) -> Case:
    tiles = api.tiles_for_inclusion(number(case["index"]), number(case["size"]))
    return {"tiles": [tile.path for tile in tiles]}


def _tiles_for_consistency(api: Api, case: Case) -> Case:
    tiles = api.tiles_for_consistency(number(case["old"]), number(case["new"]))
    return {"tiles": [tile.path for tile in tiles]}


def _verified_tiles(api: Api, case: Case) -> Case:
    tiles = {api.parse_tile_path(path): bytes.fromhex(data) for path, data in case["tiles"].items()}
    verified = api.VerifiedTiles(case["size"], bytes.fromhex(case["root"]), tiles)
    return {"leaf_hash": verified.leaf_hash(case["index"]).hex()}


def _parse_entry_bundle(api: Api, case: Case) -> Case:
    entries = api.parse_entry_bundle(bytes.fromhex(case["bundle"]), case["width"])
    assert api.format_entry_bundle(entries).hex() == case["bundle"]
    return {"entries": [entry.hex() for entry in entries]}


def _parse_decimal(api: Api, case: Case) -> Case:
    value = api.parse_decimal(case["text"])
    assert api.parse_decimal(case["text"].encode()) == value
    return {"value": value if value < 2**53 else str(value)}


def _decode_base64(api: Api, case: Case) -> Case:
    data = api.decode_base64(case["text"])
    assert api.encode_base64(data) == case["text"]
    return {"bytes": data.hex()}


def _decode_cbor(api: Api, case: Case) -> Case:
    data = bytes.fromhex(case["cbor"])
    value = api.decode_cbor(data, max_bytes=len(data))
    assert api.encode_cbor(value) == data
    return {"value": _as_json(value)}


def _as_json(value: object) -> object:
    """Write a CBOR value in JSON, as spec/vectors/README.md says."""
    match value:
        case bytes():
            return {"bytes": value.hex()}
        case list():
            return [_as_json(item) for item in value]
        case dict():
            return {"map": [[_as_json(key), _as_json(item)] for key, item in value.items()]}
        case int() if abs(value) >= 2**53:
            return {"integer": str(value)}
        case _:
            return value


def _parse_vkey(api: Api, case: Case) -> Case:
    key = api.parse_vkey(case["vkey"])
    assert key.vkey == case["vkey"]
    return {"name": key.name, "key_id": key.key_id.hex(), "public_key": key.public_key.hex()}


def _parse_signer_key(api: Api, case: Case) -> Case:
    signer = api.parse_signer_key(case["signer_key"])
    assert signer.text == case["signer_key"]
    return {"name": signer.name, "vkey": signer.verifier.vkey}


def _sign_message(api: Api, case: Case) -> Case:
    signer = api.Ed25519Signer("example.com/signer", bytes.fromhex(case["seed"]))
    message = bytes.fromhex(case["message"])
    signature = signer.sign(message)
    signer.verifier.verify(message, signature)
    return {"public_key": signer.verifier.public_key.hex(), "signature": signature.hex()}


def _parse_note_unverified(api: Api, case: Case) -> Case:
    note = octets(case, "note")
    parsed = api.parse_note_unverified(note)
    assert api.format_note(parsed.text, parsed.signatures) == note
    signatures = [
        {"name": line.name, "key_id": line.key_id.hex(), "signature": line.signature.hex()}
        for line in parsed.signatures
    ]
    return {"text": parsed.text.decode(), "signatures": signatures}


def _open_note(api: Api, case: Case) -> Case:
    keys = [tlog_proofs.parse_vkey(vkey) for vkey in case["vkeys"]]
    opened = api.open_note(octets(case, "note"), keys)
    return {
        "text": opened.text.decode(),
        "verified": [f"{line.name}+{line.key_id.hex()}" for line in opened.verified],
        "unverified": [f"{line.name}+{line.key_id.hex()}" for line in opened.unverified],
    }


def _parse_checkpoint(api: Api, case: Case) -> Case:
    text = octets(case, "checkpoint")
    checkpoint = api.parse_checkpoint(text)
    assert api.format_checkpoint(checkpoint) == text
    return _checkpoint_fields(checkpoint)


def _open_checkpoint(api: Api, case: Case) -> Case:
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


def _verify_tlog_proof(api: Api, case: Case) -> Case:
    data = octets(case, "tlog_proof")
    proof = api.parse_tlog_proof(data)
    assert api.format_tlog_proof(proof) == data
    vkey = tlog_proofs.parse_vkey(case["vkey"])
    signed = api.verify_tlog_proof(proof, bytes.fromhex(case["leaf_hash"]), vkey)
    extra = None if proof.extra is None else proof.extra.hex()
    return {"index": proof.index, "size": signed.size, "extra": extra}


def _parse_genesis(api: Api, case: Case) -> Case:
    entry = bytes.fromhex(case["entry"])
    genesis = api.parse_genesis(entry)
    assert api.format_genesis(genesis) == entry
    previous = genesis.predecessor
    return {
        "origin": genesis.origin,
        "kind": genesis.kind,
        "created": genesis.created if genesis.created < 2**53 else str(genesis.created),
        "vkeys": list(genesis.vkeys),
        "predecessor": previous
        and {"origin": previous.origin, "size": previous.size, "root": previous.root.hex()},
    }


OPERATIONS: dict[str, Callable[[Api, Case], Case]] = {
    "accumulated": accumulated,
    "decode_base64": _decode_base64,
    "decode_cbor": _decode_cbor,
    "open_checkpoint": _open_checkpoint,
    "open_note": _open_note,
    "parse_checkpoint": _parse_checkpoint,
    "parse_decimal": _parse_decimal,
    "parse_entry_bundle": _parse_entry_bundle,
    "parse_genesis": _parse_genesis,
    "parse_note_unverified": _parse_note_unverified,
    "parse_signer_key": _parse_signer_key,
    "parse_tile_path": _parse_tile_path,
    "parse_vkey": _parse_vkey,
    "root_from_leaf_hashes": _root_from_leaf_hashes,
    "sign_message": _sign_message,
    "tiles_for_consistency": _tiles_for_consistency,
    "tiles_for_inclusion": _tiles_for_inclusion,
    "tiles_of_tree": _tiles_of_tree,
    "tree_of_entries": _tree_of_entries,
    "verified_tiles": _verified_tiles,
    "verify_consistency": _verify_consistency,
    "verify_inclusion": _verify_inclusion,
    "verify_subtree_consistency": _verify_subtree_consistency,
    "verify_subtree_inclusion": _verify_subtree_inclusion,
    "verify_tlog_proof": _verify_tlog_proof,
}
