"""Vectors of spec/store.md and spec/data-directory.md, made without the server's code."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import cbor2

Files = dict[str, Any]


def _encode(value: object) -> str:
    return cbor2.dumps(value, canonical=True).hex()


def files() -> Files:
    """Make the vector files, by their path below spec/vectors."""
    return {
        "store/keys.json": _keys(),
        "store/commit-records.json": _commit_records(),
        "data-directory/row-digests.json": _row_digests(),
        "data-directory/names.json": _names(),
    }


def _log_key(index: int, row_type: int) -> str:
    return (struct.pack(">Q", index) + bytes([row_type])).hex()


def _keys() -> Files:
    cases: list[Files] = [
        {
            "desc": f"entry {index}",
            "input": {"row": "entry", "index": str(index)},
            "expected": {"key": _log_key(index, 0)},
        }
        for index in (0, 1, 255, 256, 2**32, 2**63 - 2)
    ]
    cases += [
        {
            "desc": f"commit record at {index}",
            "input": {"row": "commit record", "index": str(index)},
            "expected": {"key": _log_key(index, 0xFF)},
        }
        for index in (0, 4)
    ]
    cases += [
        {
            "desc": f"full tile {level}/{tile}",
            "input": {"row": "tile", "level": level, "index": str(tile)},
            "expected": {"key": _log_key((tile + 1) * 256 ** (level + 1) - 1, 0x10 + level)},
        }
        for level, tile in ((0, 0), (0, 7), (1, 0), (1, 3), (2, 0), (6, 0))
    ]
    hashed = hashlib.sha256(b"\x00entry")
    cases += [
        {
            "desc": f"leaf hash in the index, entry {index}",
            "input": {"row": "leaf hash", "index": str(index), "leaf_hash": hashed.hexdigest()},
            "expected": {
                "key": (struct.pack(">IB", index // 262_144, 0) + hashed.digest()[:12]).hex()
            },
        }
        for index in (0, 262_143, 262_144, 10**9)
    ]
    cases += [
        {
            "desc": f"mark {mark} of the index",
            "input": {"row": "mark", "mark": str(mark)},
            "expected": {"key": struct.pack(">IB", (mark - 1) // 262_144, 0xFF).hex()},
        }
        for mark in (1, 262_144, 262_145)
    ]
    return {"desc": "Keys of log/ and index/.", "operation": "store_key", "cases": cases}


def _commit_records() -> Files:
    root = hashlib.sha256(b"root").digest()
    mac, other = bytes(range(16)), bytes(range(16, 32))
    good: dict[str, list[Any]] = {
        "the genesis": [1, 0, 1, root, 1_700_000_000, None, [], []],
        "three entries": [1, 2, 5, root, 1_700_000_001, None, [], []],
        "ids and an emitter": [
            *(1, 2, 5, root, 1_700_000_001, 2810),
            [[2, mac, other], [4, other, mac]],
            [[3, b"handle", 7]],
        ],
    }
    bad = {
        "another version": [2, 0, 1, root, 0, None, [], []],
        "a field too few": [1, 0, 1, root, 0, None, []],
        "a field too many": [1, 0, 1, root, 0, None, [], [], 0],
        "an empty batch": [1, 1, 1, root, 0, None, [], []],
        "a short root": [1, 0, 1, root[:31], 0, None, [], []],
        "a negative time": [1, 0, 1, root, -1, None, [], []],
        "a truth value as a number": [1, False, 1, root, 0, None, [], []],
        "a truth value as the version": [True, 0, 1, root, 0, None, [], []],
        "a truth value in a row": [1, 0, 2, root, 0, 1, [[True, mac, mac]], []],
        "a text as the week": [1, 0, 1, root, 0, "2810", [[0, mac, mac]], []],
        "ids without a week": [1, 0, 1, root, 0, None, [[0, mac, mac]], []],
        "a week without ids": [1, 0, 1, root, 0, 2810, [], []],
        "an id outside the batch": [1, 2, 5, root, 0, 1, [[5, mac, mac]], []],
        "an id before the batch": [1, 2, 5, root, 0, 1, [[1, mac, mac]], []],
        "a short MAC": [1, 2, 5, root, 0, 1, [[2, mac[:15], mac]], []],
        "two ids of one entry": [1, 2, 5, root, 0, 1, [[2, mac, mac], [2, other, mac]], []],
        "ids that do not ascend": [1, 2, 5, root, 0, 1, [[3, mac, mac], [2, other, mac]], []],
        "two emitters of one entry": [1, 2, 5, root, 0, None, [], [[2, b"", 1], [2, b"", 2]]],
        "emitters that do not ascend": [1, 2, 5, root, 0, None, [], [[3, b"", 1], [2, b"", 2]]],
        "an emitter outside the batch": [1, 2, 5, root, 0, None, [], [[5, b"", 0]]],
        "a negative sequence": [1, 2, 5, root, 0, None, [], [[2, b"", -1]]],
        "a long handle": [1, 2, 5, root, 0, None, [], [[2, bytes(65), 0]]],
        "no array": {},
    }
    cases: list[Files] = [
        {
            "desc": desc,
            "input": {"record": _encode(value)},
            "expected": {
                "first_index": value[1],
                "size": value[2],
                "root": root.hex(),
                "t": value[4],
                "key_week": value[5],
                "ids": [[row[0], row[1].hex(), row[2].hex()] for row in value[6]],
                "emitters": [[row[0], row[1].hex(), row[2]] for row in value[7]],
            },
        }
        for desc, value in good.items()
    ]
    malformed = {desc: _encode(value) for desc, value in bad.items()}
    malformed["not the shortest integer"] = _encode(good["the genesis"]).replace(
        "8801", "881801", 1
    )
    malformed["bytes after it"] = _encode(good["the genesis"]) + "00"
    malformed["nothing"] = ""
    cases += [
        {"desc": desc, "input": {"record": record}, "wantErr": "StoreError"}
        for desc, record in malformed.items()
    ]
    return {"desc": "Commit records.", "operation": "parse_commit_record", "cases": cases}


def _row_digests() -> Files:
    rows: list[tuple[str, list[object]]] = [
        ("meta", [1, "/var/lib/tlog/heads"]),
        ("logs", ["audit", "log.example/audit", "opaque/1", 0, "vkey", 1_700_000_000]),
        ("tokens", ["abcdefghij", bytes(32), "append read", "audit", 1, 2, None]),
        ("checkpoints", [5, bytes(range(32)), 1_700_000_000_123, b"note\n", None]),
    ]
    cases = [
        {
            "desc": f"a row of {table}",
            "input": {
                "table": table,
                "columns": [
                    {"bytes": column.hex()} if isinstance(column, bytes) else column
                    for column in columns
                ],
            },
            "expected": {
                "digest": hashlib.sha256(bytes.fromhex(_encode([table, *columns]))).hexdigest()
            },
        }
        for table, columns in rows
    ]
    return {"desc": "Digests of SQLite rows.", "operation": "row_digest", "cases": cases}


def _names() -> Files:
    token = "tlog_abcdefghij_" + "A" * 43
    cases = [
        {
            "desc": "the head file of an origin",
            "input": {"origin": "log.example/audit"},
            "expected": {"head_file": hashlib.sha256(b"log.example/audit").hexdigest()},
        },
        {
            "desc": "what is stored of a token",
            "input": {"token": token},
            "expected": {"token_hash": hashlib.sha256(token.encode()).hexdigest()},
        },
    ]
    return {"desc": "Names and hashes.", "operation": "names", "cases": cases}
