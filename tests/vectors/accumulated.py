"""The accumulated vectors of draft-ietf-plants-merkle-tree-certs: thousands of cases, one hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from tests import reference


def accumulated(api: Any, case: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - see runner.Api
    """Hash the lines of one of the draft's procedures, over all trees up to `max_size`."""
    procedures = {
        "subtree hashes": _subtree_hashes,
        "subtree inclusion proofs": _inclusion_proofs,
        "subtree consistency proofs": _consistency_proofs,
    }
    leaves = tuple(reference.leaf(bytes([i])) for i in range(case["max_size"]))
    total = hashlib.sha256()
    for head, hashes in procedures[case["procedure"]](api, leaves):
        total.update(" ".join([head, *(value.hex() for value in hashes)]).encode() + b"\n")
    return {"sha256": total.hexdigest()}


Lines = Iterator[tuple[str, Sequence[bytes]]]


def _subtree_hashes(api: Any, leaves: tuple[bytes, ...]) -> Lines:  # noqa: ANN401
    for start, end in reference.subtrees(len(leaves)):
        yield f"[{start}, {end})", [api.root_from_leaf_hashes(leaves[start:end])]


def _inclusion_proofs(api: Any, leaves: tuple[bytes, ...]) -> Lines:  # noqa: ANN401
    for start, end in reference.subtrees(len(leaves)):
        for index in range(start, end):
            proof = api.prove_subtree_inclusion(
                start, end, index, lambda low, high: reference.root(leaves[low:high])
            )
            yield f"{index} [{start}, {end})", proof


def _consistency_proofs(api: Any, leaves: tuple[bytes, ...]) -> Lines:  # noqa: ANN401
    for size in range(len(leaves) + 1):
        for start, end in reference.subtrees(size):
            proof = api.prove_subtree_consistency(
                start, end, size, lambda low, high: reference.root(leaves[low:high])
            )
            yield f"[{start}, {end}) {size}", proof
