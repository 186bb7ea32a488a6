"""Running test vectors: one function an operation, from a case's input to what it must give.

`api` is anything with tlog_proofs' functions as attributes, so that mutants can be run as well.
Folders and fields are described in spec/vectors/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import tlog_proofs
from tests.vectors import (
    run_control_notes,
    run_cosignatures,
    run_policies,
    run_receipts,
    run_texts,
    run_trees,
)
from tests.vectors.fields import Api, Case

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"


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


OPERATIONS: dict[str, Callable[[Api, Case], Case]] = {
    **run_trees.OPERATIONS,
    **run_texts.OPERATIONS,
    **run_cosignatures.OPERATIONS,
    **run_policies.OPERATIONS,
    **run_receipts.OPERATIONS,
    **run_control_notes.OPERATIONS,
}
