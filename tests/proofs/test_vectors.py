"""Every vector file is there, is run, and is what its generator writes."""

from __future__ import annotations

import pytest

from tests import make_vectors
from tests.vectors import runner

FILES = (
    "cbor/not-deterministic.json",
    "cbor/printed-rfc8949-appendix-a.json",
    "cbor/printed-rfc8949-key-order.json",
    "checkpoint/open.json",
    "checkpoint/printed-c2sp-example-note.json",
    "checkpoint/printed-c2sp-example.json",
    "checkpoint/texts.json",
    "consistency/proofs.json",
    "control-note/entries.json",
    "control-note/malformed.json",
    "control-note/texts.json",
    "cosignature/checkpoints.json",
    "cosignature/ed25519-messages.json",
    "cosignature/subtree-messages.json",
    "cosignature/subtrees.json",
    "genesis/entries.json",
    "hashing/printed-ct-reference-tree.json",
    "hashing/small-trees.json",
    "inclusion/proofs.json",
    "key/cosigner-keys.json",
    "key/printed-c2sp-vkey.json",
    "key/printed-rfc8032-ed25519.json",
    "key/signer-keys.json",
    "key/vkeys.json",
    "note/malformed.json",
    "note/open.json",
    "note/printed-c2sp-example.json",
    "note/printed-c2sp-first-example.json",
    "receipt/consistency.json",
    "receipt/inclusion.json",
    "receipt/malformed.json",
    "receipt/policies.json",
    "receipt/printed-cose-wg-examples.json",
    "receipt/signed.json",
    "policy/checkpoints.json",
    "policy/malformed.json",
    "policy/texts.json",
    "strict/base64.json",
    "strict/decimals.json",
    "strict/printed-rfc4648-base64.json",
    "subtree/consistency.json",
    "subtree/inclusion.json",
    "subtree/printed-mtc-accumulated.json",
    "tile/entry-bundles.json",
    "tile/of-consistency.json",
    "tile/of-inclusion.json",
    "tile/of-leaves.json",
    "tile/partial.json",
    "tile/paths.json",
    "tile/printed-c2sp-partial.json",
    "tile/printed-c2sp-path.json",
    "tile/verified.json",
    "tlog-proof/policies.json",
    "tlog-proof/proofs.json",
)

# Formats of the server alone, run in tests/store.
SERVER_FILES = (
    "data-directory/names.json",
    "data-directory/row-digests.json",
    "store/commit-records.json",
    "store/keys.json",
)


@pytest.mark.parametrize("name", FILES)
def test_vector_file(name: str) -> None:
    """Each case of the file gives what it expects, or raises the error that it wants."""
    content = runner.load(name)
    assert content["desc"]
    assert content["cases"]
    assert ("source" in content) == ("printed-" in name)
    descriptions = [case["desc"] for case in content["cases"]]
    assert len(set(descriptions)) == len(descriptions)
    for case in content["cases"]:
        runner.run(content["operation"], case)


def test_no_vector_file_is_overlooked() -> None:
    """The lists above name exactly the files of spec/vectors."""
    found = {str(path.relative_to(runner.VECTORS)) for path in runner.VECTORS.rglob("*.json")}
    assert found == {*FILES, *SERVER_FILES}


def test_generating_leaves_no_difference() -> None:
    """Making the vectors again gives the same bytes."""
    made = make_vectors.contents()
    assert set(made) == {name for name in (*FILES, *SERVER_FILES) if "printed-" not in name}
    for name, text in made.items():
        assert (runner.VECTORS / name).read_text(encoding="utf-8") == text, name


def test_every_operation_has_vectors() -> None:
    """No operation of the runner is without a file."""
    assert {runner.load(name)["operation"] for name in FILES} == set(runner.OPERATIONS)
