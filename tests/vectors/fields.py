"""Reading and writing the fields of vectors, as spec/vectors/README.md describes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tlog_proofs

Case = dict[str, Any]
Api = Any  # tlog_proofs, or a module with the same functions


def expect_again(write: Callable[..., Any], read: object, original: object) -> None:
    """Expect the writer to give the original again; an error of its own is no refusal to read."""
    try:
        written = write(*read) if isinstance(read, tuple) else write(read)
    except tlog_proofs.TlogError as error:
        raise AssertionError(original) from error
    assert written == original


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


def as_json(value: object) -> object:
    """Write a CBOR value in JSON, as spec/vectors/README.md says."""
    match value:
        case bytes():
            return {"bytes": value.hex()}
        case list():
            return [as_json(item) for item in value]
        case dict():
            return {"map": [[as_json(key), as_json(item)] for key, item in value.items()]}
        case int() if abs(value) >= 2**53:
            return {"integer": str(value)}
        case _:
            return value
