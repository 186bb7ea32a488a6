"""Vectors of hashing and proofs, made by the reference recursions, never by the code under test.

What a changed case must give comes from the reference too: its recursion takes the proof apart.
Some changes of a size alone are accepted, because root hashes do not bind sizes: checkpoints do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from tests import reference

Case = dict[str, Any]

LEAVES = tuple(reference.leaf(b"entry %d" % i) for i in range(32))
OTHER = hashlib.sha256(b"some other hash")
BEYOND = 2**63
MALFORMED = "MalformedProofError"
MISMATCH = "RootMismatchError"


def files() -> dict[str, Case]:
    """Make the files of the folders hashing, inclusion, consistency and subtree."""
    return {
        "hashing/small-trees.json": _file(
            "Root hashes from leaf hashes, sizes 0 to 32.",
            "root_from_leaf_hashes",
            [
                {
                    "desc": f"size {size}",
                    "input": {"leaf_hashes": _hex(LEAVES[:size])},
                    "expected": {"root": reference.root(LEAVES[:size]).hex()},
                }
                for size in range(33)
            ]
            + [
                {
                    "desc": f"a leaf hash of {length} bytes",
                    "input": {"leaf_hashes": [LEAVES[0].hex(), "00" * length]},
                    "wantErr": MALFORMED,
                }
                for length in (0, 31, 33)
            ],
        ),
        "inclusion/proofs.json": _file(
            "Inclusion proofs, and what must be refused of each.",
            "verify_inclusion",
            _inclusion_cases(),
        ),
        "consistency/proofs.json": _file(
            "Consistency proofs, and what must be refused of each.",
            "verify_consistency",
            _consistency_cases(),
        ),
        "subtree/inclusion.json": _file(
            "Inclusion proofs within subtrees, and what must be refused of each.",
            "verify_subtree_inclusion",
            _subtree_inclusion_cases(),
        ),
        "subtree/consistency.json": _file(
            "Consistency proofs of subtrees, and what must be refused of each.",
            "verify_subtree_consistency",
            _subtree_consistency_cases(),
        ),
    }


def _inclusion_cases() -> list[Case]:
    cases = []
    for index, size in [(0, 1), (0, 2), (1, 2), (2, 3), (0, 8), (5, 7), (7, 8), (12, 13), (17, 21)]:
        good = {
            "index": index,
            "size": size,
            "leaf_hash": LEAVES[index].hex(),
            "proof": _hex(reference.path(index, LEAVES[:size])),
            "root": reference.root(LEAVES[:size]).hex(),
        }
        name = f"leaf {index} of {size}"
        cases += [{"desc": name, "input": good, "expected": {}}]
        cases += _mutations(name, good, _judge_inclusion, ("index", "size"))
    return cases


def _consistency_cases() -> list[Case]:
    cases = []
    pairs = [(1, 1), (1, 2), (1, 3), (2, 3), (3, 4), (4, 8), (6, 8), (6, 13), (8, 13), (21, 32)]
    for old, new in pairs:
        good = {
            "old": old,
            "new": new,
            "proof": _hex(reference.consistency(old, LEAVES[:new])),
            "old_root": reference.root(LEAVES[:old]).hex(),
            "new_root": reference.root(LEAVES[:new]).hex(),
        }
        name = f"size {old} to {new}"
        cases += [{"desc": name, "input": good, "expected": {}}]
        cases += _mutations(name, good, _judge_consistency, ("old", "new"))
    empty = reference.root(()).hex()
    long = {**good, "proof": [OTHER.hexdigest()] * 65}
    cases.append({"desc": "65 hashes, one above all", "input": long, "wantErr": MALFORMED})
    for new, root in [(0, empty), (5, reference.root(LEAVES[:5]).hex())]:
        zero = {"old": 0, "new": new, "proof": [], "old_root": empty, "new_root": root}
        cases.append({"desc": f"size 0 to {new}", "input": zero, "wantErr": MALFORMED})
    return cases


def _subtree_inclusion_cases() -> list[Case]:
    cases = []
    for start, end, index in [(0, 5, 3), (4, 8, 4), (8, 13, 12), (8, 13, 10), (6, 7, 6)]:
        leaves = LEAVES[start:end]
        good = {
            "start": start,
            "end": end,
            "index": index,
            "leaf_hash": LEAVES[index].hex(),
            "proof": _hex(reference.path(index - start, leaves)),
            "subtree_root": reference.root(leaves).hex(),
        }
        name = f"leaf {index} of [{start}, {end})"
        cases += [{"desc": name, "input": good, "expected": {}}]
        cases += _mutations(name, good, _judge_subtree_inclusion, ("start", "end", "index"))
    return cases


def _subtree_consistency_cases() -> list[Case]:
    cases = []
    ranges = [(0, 0, 0), (3, 3, 5), (0, 6, 6), (0, 6, 8), (4, 8, 14), (8, 13, 14), (8, 13, 13)]
    for start, end, size in [*ranges, (6, 7, 7), (4, 7, 8), (16, 21, 32)]:
        good = {
            "start": start,
            "end": end,
            "size": size,
            "proof": _hex(reference.subtree_consistency(start, end, LEAVES[:size])),
            "subtree_root": reference.root(LEAVES[start:end]).hex(),
            "root": reference.root(LEAVES[:size]).hex(),
        }
        name = f"[{start}, {end}) of {size}"
        cases += [{"desc": name, "input": good, "expected": {}}]
        cases += _mutations(name, good, _judge_subtree, ("start", "end", "size"))
    return cases


def _mutations(
    name: str, good: Case, judge: Callable[[Case], str | None], numbers: tuple[str, ...]
) -> Iterator[Case]:
    """Give the cases that one change makes, each with what a verifier must say of it."""
    for what, changed in _changes(good, numbers):
        if changed == good:
            continue
        error = judge(changed)
        outcome: Case = {"wantErr": error} if error else {"expected": {}}
        yield {"desc": f"{name}: {what}", "input": changed, **outcome}


def _judge(positions: tuple[int, int, int], case: Case, inner: str, outer: str) -> str | None:
    """Say what verifying a case must raise, by the reference; None if it must be accepted."""
    start, end, size = positions
    proof = [bytes.fromhex(value) for value in case["proof"]]
    inner_root, outer_root = bytes.fromhex(inner), bytes.fromhex(outer)
    if not (reference.is_subtree(start, end) and end <= size < BEYOND):
        return MALFORMED
    if proof and {len(value) for value in (*proof, inner_root, outer_root)} != {32}:
        return MALFORMED
    try:
        computed = reference.roots_from_proof(start, end, size, proof, inner_root)
    except ValueError:
        return MALFORMED
    # The empty subtree is part of every tree: nothing is said about the tree's root.
    wanted = (inner_root, computed[1] if start == end else outer_root)
    return None if computed == wanted else MISMATCH


def _changes(good: Case, numbers: tuple[str, ...]) -> Iterator[tuple[str, Case]]:
    """Give changed copies of a case, each with what was changed."""
    for field in numbers:
        value = good[field]
        for text, changed in (
            ("plus one", value + 1),
            ("minus one", value - 1),
            ("doubled", value * 2),
            ("zero", 0),
            ("2^63", str(BEYOND)),
        ):
            yield f"{field} {text}", {**good, field: changed}
    for field, value in good.items():
        if isinstance(value, str):
            yield f"{field} with one bit flipped", {**good, field: _flip(value)}
            if good["proof"]:
                yield f"{field} one byte short", {**good, field: value[:-2]}
                yield f"{field} one byte long", {**good, field: value + "00"}
    proof = good["proof"]
    other = OTHER.hexdigest()
    yield "proof with a trailing hash", {**good, "proof": [*proof, other]}
    yield "proof with a leading hash", {**good, "proof": [other, *proof]}
    yield "proof without its last hash", {**good, "proof": proof[:-1]}
    yield "proof without its first hash", {**good, "proof": proof[1:]}
    yield "proof in the other order", {**good, "proof": proof[::-1]}
    for position, value in enumerate(proof):
        for text, changed in (
            ("with one bit flipped", _flip(value)),
            ("one byte short", value[:-2]),
            ("one byte long", value + "00"),
        ):
            changed_proof = [*proof[:position], changed, *proof[position + 1 :]]
            yield f"proof hash {position} {text}", {**good, "proof": changed_proof}


def _judge_inclusion(case: Case) -> str | None:
    index, size = int(case["index"]), int(case["size"])
    return _judge((index, index + 1, size), case, case["leaf_hash"], case["root"])


def _judge_consistency(case: Case) -> str | None:
    old, new = int(case["old"]), int(case["new"])
    if old == 0:
        return MALFORMED
    return _judge((0, old, new), case, case["old_root"], case["new_root"])


def _judge_subtree_inclusion(case: Case) -> str | None:
    start, end, index = (int(case[field]) for field in ("start", "end", "index"))
    if not reference.is_subtree(start, end) or index < start:
        return MALFORMED
    positions = (index - start, index - start + 1, end - start)
    return _judge(positions, case, case["leaf_hash"], case["subtree_root"])


def _judge_subtree(case: Case) -> str | None:
    start, end, size = (int(case[field]) for field in ("start", "end", "size"))
    return _judge((start, end, size), case, case["subtree_root"], case["root"])


def _flip(value: str) -> str:
    data = bytearray.fromhex(value)
    data[len(data) // 2] ^= 0x10
    return data.hex()


def _hex(values: list[bytes] | tuple[bytes, ...]) -> list[str]:
    return [value.hex() for value in values]


def _file(desc: str, operation: str, cases: list[Case]) -> Case:
    return {"desc": desc, "operation": operation, "cases": cases}
