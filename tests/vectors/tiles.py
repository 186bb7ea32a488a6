"""Vectors of tiles and entry bundles."""

from __future__ import annotations

import struct
from typing import Any

from tests import reference
from tests.vectors import tile_paths

Case = dict[str, Any]

MALFORMED = "MalformedTileError"
LEAVES = tuple(reference.leaf(b"entry %d" % i) for i in range(258))


def files() -> dict[str, Case]:
    """Make the files of the folder tile."""
    return {
        "tile/paths.json": {
            "desc": "Paths of tiles and entry bundles, each with its one spelling.",
            "operation": "parse_tile_path",
            "cases": tile_paths.cases(),
        },
        "tile/partial.json": {
            "desc": "The partial tiles of a tree.",
            "operation": "tiles_of_tree",
            "cases": _right_edges(),
        },
        "tile/of-inclusion.json": {
            "desc": "Tiles that an inclusion proof and its verification need.",
            "operation": "tiles_for_inclusion",
            "cases": _inclusion_tiles(),
        },
        "tile/of-consistency.json": {
            "desc": "Tiles that a consistency proof and its verification need.",
            "operation": "tiles_for_consistency",
            "cases": _consistency_tiles(),
        },
        "tile/of-leaves.json": {
            "desc": "Tiles that leaf hashes and their verification need.",
            "operation": "tiles_for_leaves",
            "cases": _leaf_tiles(),
        },
        "tile/verified.json": {
            "desc": "Sets of tiles, verified against a root before anything is read from them.",
            "operation": "verified_tiles",
            "cases": _verified(),
        },
        "tile/entry-bundles.json": {
            "desc": "Entry bundles.",
            "operation": "parse_entry_bundle",
            "cases": _bundles(),
        },
    }


def _right_edges() -> list[Case]:
    edges = {
        0: [],
        1: ["tile/0/000.p/1"],
        255: ["tile/0/000.p/255"],
        257: ["tile/0/001.p/1", "tile/1/000.p/1"],
        65536: ["tile/2/000.p/1"],
        65535: ["tile/0/255.p/255", "tile/1/000.p/255"],
    }
    largest = [
        f"tile/{level}/{_index((2**63 - 1) >> 8 * (level + 1))}.p/{127 if level == 7 else 255}"
        for level in range(8)
    ]
    return [
        {"desc": f"size {size}", "input": {"size": size}, "expected": {"partial": paths}}
        for size, paths in edges.items()
    ] + [
        {
            "desc": "size 2^63-1",
            "input": {"size": str(2**63 - 1)},
            "expected": {"partial": largest},
        },
        {"desc": "size 2^63", "input": {"size": str(2**63)}, "wantErr": "MalformedProofError"},
        {"desc": "size -1", "input": {"size": -1}, "wantErr": "MalformedProofError"},
    ]


def _inclusion_tiles() -> list[Case]:
    edge = ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    good: list[tuple[int, int, list[str]]] = [
        (0, 1, ["tile/0/000.p/1"]),
        (0, 256, ["tile/0/000", "tile/1/000.p/1"]),
        (256, 257, ["tile/0/001.p/1", "tile/1/000.p/1"]),
        (0, 70000, ["tile/0/000", edge[0], "tile/1/000", *edge[1:]]),
        (69999, 70000, edge),
        (69887, 70000, ["tile/0/272", *edge]),
    ]
    bad = [(1, 1), (0, 0), (-1, 5), (5, 2**63)]
    return [
        {
            "desc": f"leaf {index} of {size}",
            "input": {"index": index, "size": size},
            "expected": {"tiles": tiles},
        }
        for index, size, tiles in good
    ] + [
        {
            "desc": f"leaf {index} of {size}: impossible",
            "input": {"index": index, "size": str(size)},
            "wantErr": "MalformedProofError",
        }
        for index, size in bad
    ]


def _consistency_tiles() -> list[Case]:
    edge = ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
    good: list[tuple[int, int, list[str]]] = [
        (1, 1, ["tile/0/000.p/1"]),
        (70000, 70000, edge),
        (65536, 70000, edge),
        (300, 70000, ["tile/0/001", edge[0], "tile/1/000", *edge[1:]]),
    ]
    return [
        {
            "desc": f"size {old} to {new}",
            "input": {"old": old, "new": new},
            "expected": {"tiles": tiles},
        }
        for old, new, tiles in good
    ] + [
        {
            "desc": f"size {old} to {new}: impossible",
            "input": {"old": old, "new": new},
            "wantErr": "MalformedProofError",
        }
        for old, new in [(0, 5), (6, 5), (-1, 5)]
    ]


def _leaf_tiles() -> list[Case]:
    edge = ["tile/0/001.p/2", "tile/1/000.p/1"]
    good: list[tuple[int, int, int, list[str]]] = [
        (0, 0, 0, []),
        (5, 5, 258, edge),
        (258, 258, 258, edge),
        (0, 1, 258, ["tile/0/000", *edge]),
        (255, 258, 258, ["tile/0/000", *edge]),
        (256, 258, 258, edge),
    ]
    return [
        {
            "desc": f"leaves [{start}, {end}) of {size}",
            "input": {"start": start, "end": end, "size": size},
            "expected": {"tiles": tiles},
        }
        for start, end, size, tiles in good
    ] + [
        {
            "desc": f"leaves [{start}, {end}) of {size}: impossible",
            "input": {"start": start, "end": end, "size": size},
            "wantErr": "MalformedProofError",
        }
        for start, end, size in [(1, 0, 5), (0, 6, 5), (6, 6, 5), (-1, 0, 5)]
    ]


def _verified() -> list[Case]:
    root = reference.root(LEAVES).hex()
    full = b"".join(LEAVES[:256])
    tiles = {
        "tile/0/000": full.hex(),
        "tile/0/001.p/2": b"".join(LEAVES[256:]).hex(),
        "tile/1/000.p/1": reference.root(LEAVES[:256]).hex(),
    }
    good = {"size": 258, "root": root, "index": 77, "tiles": tiles}

    def without(path: str) -> Case:
        return {**good, "tiles": {name: data for name, data in tiles.items() if name != path}}

    def changed(path: str, data: str) -> Case:
        return {**good, "tiles": {**tiles, path: data}}

    flipped = bytearray(full)
    flipped[99 * 32] ^= 1
    one = {"size": 1, "root": LEAVES[0].hex(), "index": 0, "tiles": {}}
    cases: list[tuple[str, Case, str]] = [
        ("another root", {**good, "root": LEAVES[0].hex()}, "RootMismatchError"),
        ("one bit of the full tile", changed("tile/0/000", flipped.hex()), "RootMismatchError"),
        ("a wrong edge", changed("tile/0/001.p/2", full[:64].hex()), "RootMismatchError"),
        ("a wrong parent", changed("tile/1/000.p/1", full[:32].hex()), "RootMismatchError"),
        ("no tile of the edge", without("tile/0/001.p/2"), MALFORMED),
        ("no parent", without("tile/1/000.p/1"), MALFORMED),
        ("the tile that is read is missing", without("tile/0/000"), MALFORMED),
        ("a tile one byte short", changed("tile/0/000", full[1:].hex()), MALFORMED),
        ("a tile narrower than at this size", changed("tile/0/001.p/1", "00" * 32), MALFORMED),
        ("a tile beyond this size", changed("tile/0/002", full.hex()), MALFORMED),
        ("a tile of a level that is not there", changed("tile/2/000.p/1", "00" * 32), MALFORMED),
        ("no tiles at all", one, MALFORMED),
        ("a root of 31 bytes", {**good, "root": root[:-2]}, "MalformedProofError"),
    ]
    return [
        {"desc": "size 258", "input": good, "expected": {"leaf_hash": LEAVES[77].hex()}},
        {
            "desc": "size 1",
            "input": {**one, "tiles": {"tile/0/000.p/1": LEAVES[0].hex()}},
            "expected": {"leaf_hash": LEAVES[0].hex()},
        },
    ] + [
        {"desc": f"size 258: {what}", "input": wrong, "wantErr": error}
        for what, wrong, error in cases
    ]


def _bundles() -> list[Case]:
    entries = [b"", b"one", b"\x00" * 300]
    bundle = b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)
    bad = {
        "no width": (bundle, 0),
        "width 257": (bundle, 257),
        "fewer entries than the width": (bundle, 4),
        "more entries than the width": (bundle, 2),
        "one byte after the last entry": (bundle + b"\x00", 3),
        "one byte of the last entry missing": (bundle[:-1], 3),
        "ends within a length": (bundle[:6], 3),
        "nothing": (b"", 1),
    }
    return [
        {
            "desc": "three entries, one of them empty",
            "input": {"bundle": bundle.hex(), "width": 3},
            "expected": {"entries": [entry.hex() for entry in entries]},
        }
    ] + [
        {
            "desc": what,
            "input": {"bundle": data.hex(), "width": width},
            "wantErr": MALFORMED,
        }
        for what, (data, width) in bad.items()
    ]


def _index(value: int) -> str:
    """Write a tile index in groups of three digits."""
    digits = str(value)
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
