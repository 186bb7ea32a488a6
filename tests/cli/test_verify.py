"""`tlog verify` with files of both kinds, by a key and by a policy."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.vectors import runner
from tests.vectors.keys import LOG, ORIGIN, STRANGER
from tests.vectors.receipt_bytes import (
    ALGORITHM,
    INDEX,
    LEAVES,
    ROOT,
    SIZE,
    VDS,
    consistency,
    inclusion,
    mapping,
)
from tlog.cli import main

ENTRY = b"%d" % INDEX
VKEY = LOG.verifier.vkey
NONE = f"log {VKEY}\nquorum none\n"
OTHERS = f"log {STRANGER.verifier.vkey}\n{NONE}"
BY_POLICY = runner.load("tlog-proof/policies.json")["cases"][0]
COSIGNED = str(BY_POLICY["input"]["tlog_proof"]).encode()
GROUPS = str(BY_POLICY["input"]["policy"])
UNBOUND = inclusion(mapping(ALGORITHM, VDS))


def base64_of(data: bytes) -> str:
    """As JSON has it."""
    return base64.b64encode(data).decode()


class Files:
    """Runs `tlog verify` with a proof, an entry and a policy in files of those names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def verify(
        self, proof: bytes, *options: str, entry: bytes = ENTRY, policy: str | None = None
    ) -> Result:
        (self.folder / "proof").write_bytes(proof)
        (self.folder / "entry").write_bytes(entry)
        arguments = [str(self.folder / "proof"), "--entry", str(self.folder / "entry"), *options]
        if policy is not None:
            (self.folder / "policy").write_text(policy)
            arguments += ["--policy", str(self.folder / "policy")]
        environment = {"TLOG_VKEY": None, "TLOG_POLICY": None}
        return CliRunner().invoke(main, ["verify", *arguments], env=environment)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A folder for the three files."""
    return Files(tmp_path)


RECEIPT_FACTS = {
    "origin": ORIGIN,
    "index": INDEX,
    "size": SIZE,
    "root": base64_of(ROOT),
    "leaf_hash": base64_of(LEAVES[INDEX]),
    "format": "receipt",
}


def test_a_receipt_by_a_key(files: Files) -> None:
    """It is told by its first byte; what it proves is printed as JSON and as text."""
    result = files.verify(inclusion(), "--vkey", VKEY, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == RECEIPT_FACTS
    lines = files.verify(inclusion(), "--vkey", VKEY).stdout.splitlines()
    assert lines[0] == f"proved: the 1 bytes are entry {INDEX} of the log"
    assert [line.split()[-1] for line in lines[1:3]] == [ORIGIN, str(INDEX)]


@pytest.mark.parametrize("policy", [NONE, OTHERS], ids=["one log", "two logs"])
def test_a_receipt_by_a_policy_without_a_quorum(files: Files, policy: str) -> None:
    """A policy that asks for no cosignature accepts it by the key of one of its logs."""
    result = files.verify(inclusion(), "--json", policy=policy)
    assert (result.exit_code, json.loads(result.stdout)) == (0, RECEIPT_FACTS)


def test_a_receipt_whose_size_is_not_signed(files: Files) -> None:
    """It proves that the entry is in the tree, so that no index and no size are printed."""
    result = files.verify(UNBOUND, "--vkey", VKEY, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == RECEIPT_FACTS | {"index": None, "size": None}
    facts = json.loads(files.verify(UNBOUND, "--json", policy=OTHERS).stdout)
    assert (facts["origin"], facts["root"]) == (None, base64_of(ROOT))  # one of two logs
    lines = files.verify(UNBOUND, policy=NONE).stdout.splitlines()
    assert lines[0] == "proved: the 1 bytes are an entry of the log"
    assert lines[2].split(maxsplit=1) == ["index", "not proved"]


def test_a_tlog_proof_by_a_policy(files: Files) -> None:
    """The quorum's cosignatures are verified, and who made them is printed."""
    result = files.verify(COSIGNED, "--json", entry=b"second", policy=GROUPS)
    assert (result.exit_code, result.stderr) == (0, "")
    facts = json.loads(result.stdout)
    assert (facts["index"], facts["size"], facts["format"]) == (1, 2, "tlog-proof")
    assert facts["witnesses"] == BY_POLICY["expected"]["witnesses"]
    last = files.verify(COSIGNED, entry=b"second", policy=GROUPS).stdout.splitlines()[-1]
    assert last.split(maxsplit=1) == ["witnesses", "X1, X2, Y1"]
    result = files.verify(COSIGNED, entry=b"second", policy=NONE)
    assert (result.exit_code, result.stdout.splitlines()[-1].split()[-1]) == (0, "none")


NOT_PROVED: dict[str, tuple[bytes, bytes, str, str]] = {
    "a receipt under a quorum": (inclusion(), ENTRY, GROUPS, "signed by the log alone"),
    "a receipt of another entry": (inclusion(), b"6", NONE, "does not verify"),
    "a receipt by another key": (inclusion(key=STRANGER), ENTRY, NONE, "does not verify"),
    "a receipt of consistency": (consistency(), ENTRY, NONE, "receipt of inclusion"),
    "a receipt with a byte more": (inclusion() + b"\0", ENTRY, NONE, "COSE_Sign1"),
    "a receipt cut short": (inclusion()[:-1], ENTRY, NONE, "COSE_Sign1"),
    "the first byte of a receipt": (b"\xd2", ENTRY, NONE, "COSE_Sign1"),
    "a receipt without its tag": (inclusion()[1:], ENTRY, NONE, "expected a .tlog-proof"),
    "8 MiB after a receipt": (inclusion() + bytes(1 << 23), ENTRY, NONE, "at most 65535 bytes"),
    "a proof without the quorum": (COSIGNED[:-400], b"second", GROUPS, "not proved"),
    "a proof of another entry": (COSIGNED, b"first", GROUPS, "expected root hash"),
    "a proof of another version": (COSIGNED.replace(b"@v1", b"@v2"), b"second", GROUPS, "@v1"),
    "a proof after a mark of bytes": (b"\xef\xbb\xbf" + COSIGNED, b"second", GROUPS, "expected a"),
    "nothing": (b"", ENTRY, NONE, "expected a .tlog-proof"),
}


@pytest.mark.parametrize(
    ("proof", "entry", "policy", "sentence"), NOT_PROVED.values(), ids=NOT_PROVED.keys()
)
def test_what_proves_nothing(
    files: Files, proof: bytes, entry: bytes, policy: str, sentence: str
) -> None:
    """Exit 1, nothing on stdout and one line that says why, with --json as without."""
    for options in ((), ("--json",)):
        result = files.verify(proof, *options, entry=entry, policy=policy)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "not proved: " in result.stderr
        assert sentence in result.stderr
        assert result.stderr.count("\n") == 1


def test_too_few_cosignatures(files: Files) -> None:
    """A proof whose checkpoint lacks one cosignature of the quorum is refused."""
    lines = COSIGNED.splitlines(keepends=True)
    for missing in range(1, 4):
        result = files.verify(b"".join(lines[:-missing]), entry=b"second", policy=GROUPS)
        assert result.exit_code == 1
        assert "expected a quorum of 'both'" in result.stderr


def test_no_flipped_bit_of_a_receipt_is_accepted(files: Files) -> None:
    """Every byte of a receipt of ours counts."""
    receipt = inclusion()
    for position in range(len(receipt)):
        flipped = bytearray(receipt)
        flipped[position] ^= 1 << position % 8
        assert files.verify(bytes(flipped), "--vkey", VKEY).exit_code == 1


def test_usage(files: Files) -> None:
    """One of key and policy, and a policy that is one: else exit 2."""
    for policy, options in (
        (None, ()),
        (NONE, ("--vkey", VKEY)),
        ("log nonsense\n", ()),
        (f"{NONE}quorum none\n", ()),
        ("#" * (1 << 20), ()),
    ):
        result = files.verify(inclusion(), *options, policy=policy)
        assert (result.exit_code, result.stdout) == (2, "")
