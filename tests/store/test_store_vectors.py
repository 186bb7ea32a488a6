"""The server's own formats against their vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.vectors.runner import load
from tlog.errors import StoreError
from tlog.heads import FileHeadStore
from tlog.sqlite import row_digest
from tlog.store.commit_record import format_commit_record, parse_commit_record
from tlog.store.keys import COMMIT_RECORD, LEAF, index_key, log_key, mark_key, tile_key
from tlog.tokens import hash_token


def cases(name: str) -> list[Any]:
    """The cases of a vector file as parameters; a missing file is an error."""
    found = load(name)["cases"]
    assert found
    return [pytest.param(case, id=case["desc"]) for case in found]


@pytest.mark.parametrize("case", cases("store/keys.json"))
def test_keys(case: dict[str, Any]) -> None:
    """Every kind of row has the key that the page says."""
    given = case["input"]
    match given["row"]:
        case "entry":
            key = log_key(int(given["index"]), LEAF)
        case "commit record":
            key = log_key(int(given["index"]), COMMIT_RECORD)
        case "tile":
            key = tile_key(given["level"], int(given["index"]))
        case "leaf hash":
            key = index_key(int(given["index"]), bytes.fromhex(given["leaf_hash"]))
        case _:
            key = mark_key(int(given["mark"]))
    assert key.hex() == case["expected"]["key"]


@pytest.mark.parametrize("case", cases("store/commit-records.json"))
def test_commit_records(case: dict[str, Any]) -> None:
    """Good records are read and written back byte for byte, all others are refused."""
    data = bytes.fromhex(case["input"]["record"])
    if "wantErr" in case:
        with pytest.raises(StoreError):
            parse_commit_record(data)
        return
    record = parse_commit_record(data)
    expected = case["expected"]
    assert (record.first_index, record.size, record.t, record.key_week) == (
        expected["first_index"],
        expected["size"],
        expected["t"],
        expected["key_week"],
    )
    assert record.root.hex() == expected["root"]
    ids = [[row.index, row.id_mac.hex(), row.bytes_mac.hex()] for row in record.ids]
    emitters = [[row.index, row.handle.hex(), row.sequence] for row in record.emitters]
    assert (ids, emitters) == (expected["ids"], expected["emitters"])
    assert format_commit_record(record) == data


@pytest.mark.parametrize("case", cases("data-directory/row-digests.json"))
def test_row_digests(case: dict[str, Any]) -> None:
    """The digest of a row is that of its table and columns."""
    columns = [
        bytes.fromhex(column["bytes"]) if isinstance(column, dict) else column
        for column in case["input"]["columns"]
    ]
    assert row_digest(case["input"]["table"], columns).hex() == case["expected"]["digest"]


@pytest.mark.parametrize("case", cases("data-directory/names.json"))
def test_names(case: dict[str, Any], tmp_path: Path) -> None:
    """Head files and token hashes are named as the page says."""
    if "origin" in case["input"]:
        FileHeadStore(tmp_path).compare_and_set(case["input"]["origin"], None, b"head")
        assert (tmp_path / case["expected"]["head_file"]).read_bytes() == b"head"
    else:
        assert hash_token(case["input"]["token"]).hex() == case["expected"]["token_hash"]
