"""Running vectors of hashes, proofs and tiles."""

from __future__ import annotations

import tlog_proofs
from tests import reference
from tests.vectors.accumulated import accumulated
from tests.vectors.fields import Api, Case, expect_again, hashes, number


def root_from_leaf_hashes(api: Api, case: Case) -> Case:
    """Run a case of root_from_leaf_hashes."""
    leaves = hashes(case["leaf_hashes"])
    root = api.root_from_leaf_hashes(leaves)
    assert root == api.tree_root(
        len(leaves), lambda low, high: reference.root(tuple(leaves[low:high]))
    )
    return {"root": root.hex()}


def tree_of_entries(api: Api, case: Case) -> Case:
    """Run a case of tree_of_entries."""
    leaves = [api.leaf_hash(entry) for entry in hashes(case["entries"])]
    roots = [api.root_from_leaf_hashes(leaves[:size]).hex() for size in range(len(leaves) + 1)]
    return {"leaf_hashes": [leaf.hex() for leaf in leaves], "roots": roots}


def verify_inclusion(api: Api, case: Case) -> Case:
    """Run a case of verify_inclusion."""
    api.verify_inclusion(
        number(case["index"]),
        number(case["size"]),
        bytes.fromhex(case["leaf_hash"]),
        hashes(case["proof"]),
        bytes.fromhex(case["root"]),
    )
    return {}


def verify_consistency(api: Api, case: Case) -> Case:
    """Run a case of verify_consistency."""
    api.verify_consistency(
        number(case["old"]),
        number(case["new"]),
        hashes(case["proof"]),
        bytes.fromhex(case["old_root"]),
        bytes.fromhex(case["new_root"]),
    )
    return {}


def verify_subtree_inclusion(api: Api, case: Case) -> Case:
    """Run a case of verify_subtree_inclusion."""
    api.verify_subtree_inclusion(
        number(case["start"]),
        number(case["end"]),
        number(case["index"]),
        bytes.fromhex(case["leaf_hash"]),
        hashes(case["proof"]),
        bytes.fromhex(case["subtree_root"]),
    )
    return {}


def verify_subtree_consistency(api: Api, case: Case) -> Case:
    """Run a case of verify_subtree_consistency."""
    api.verify_subtree_consistency(
        number(case["start"]),
        number(case["end"]),
        number(case["size"]),
        hashes(case["proof"]),
        bytes.fromhex(case["subtree_root"]),
        bytes.fromhex(case["root"]),
    )
    return {}


def parse_tile_path(api: Api, case: Case) -> Case:
    """Run a case of parse_tile_path."""
    tile = api.parse_tile_path(case["path"])
    level = "entries" if isinstance(tile, tlog_proofs.EntryBundle) else tile.level
    assert tile.path == case["path"]
    return {"level": level, "index": tile.index, "width": tile.width}


def tiles_of_tree(api: Api, case: Case) -> Case:
    """Run a case of tiles_of_tree."""
    size = number(case["size"])
    return {"partial": [tile.path for tile in api.right_edge(size)]}


def tiles_for_inclusion(api: Api, case: Case) -> Case:
    """Run a case of tiles_for_inclusion."""
    tiles = api.tiles_for_inclusion(number(case["index"]), number(case["size"]))
    return {"tiles": [tile.path for tile in tiles]}


def tiles_for_consistency(api: Api, case: Case) -> Case:
    """Run a case of tiles_for_consistency."""
    tiles = api.tiles_for_consistency(number(case["old"]), number(case["new"]))
    return {"tiles": [tile.path for tile in tiles]}


def tiles_for_leaves(api: Api, case: Case) -> Case:
    """Run a case of tiles_for_leaves."""
    start, end, size = (number(case[field]) for field in ("start", "end", "size"))
    return {"tiles": [tile.path for tile in api.tiles_for_leaves(start, end, size)]}


def verified_tiles(api: Api, case: Case) -> Case:
    """Run a case of verified_tiles."""
    tiles = {api.parse_tile_path(path): bytes.fromhex(data) for path, data in case["tiles"].items()}
    verified = api.VerifiedTiles(case["size"], bytes.fromhex(case["root"]), tiles)
    return {"leaf_hash": verified.leaf_hash(case["index"]).hex()}


def parse_entry_bundle(api: Api, case: Case) -> Case:
    """Run a case of parse_entry_bundle."""
    entries = api.parse_entry_bundle(bytes.fromhex(case["bundle"]), case["width"])
    expect_again(lambda *read: api.format_entry_bundle(read).hex(), entries, case["bundle"])
    return {"entries": [entry.hex() for entry in entries]}


OPERATIONS = {
    "accumulated": accumulated,
    "parse_entry_bundle": parse_entry_bundle,
    "parse_tile_path": parse_tile_path,
    "root_from_leaf_hashes": root_from_leaf_hashes,
    "tiles_for_consistency": tiles_for_consistency,
    "tiles_for_inclusion": tiles_for_inclusion,
    "tiles_for_leaves": tiles_for_leaves,
    "tiles_of_tree": tiles_of_tree,
    "tree_of_entries": tree_of_entries,
    "verified_tiles": verified_tiles,
    "verify_consistency": verify_consistency,
    "verify_inclusion": verify_inclusion,
    "verify_subtree_consistency": verify_subtree_consistency,
    "verify_subtree_inclusion": verify_subtree_inclusion,
}
