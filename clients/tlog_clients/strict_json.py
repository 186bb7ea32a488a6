"""JSON from outside: one object, no duplicate names, and each field of the promised type."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from tlog_clients.errors import MalformedAnswerError
from tlog_proofs import HASH_SIZE, MAX_SIZE, MalformedError, decode_base64

JsonObject = dict[str, Any]


def parse_json_object(data: bytes, what: str) -> JsonObject:
    """Parse bytes, whose length the caller has bounded, as one JSON object.

    Raises:
        MalformedAnswerError: not UTF-8, not JSON, not an object, a name twice, a NaN, or nested
            deeper than the parser goes.
    """
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_names,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        raise MalformedAnswerError(f"{what}: expected strict JSON") from None
    if not isinstance(value, dict):
        raise MalformedAnswerError(f"{what}: expected a JSON object, got {type(value).__name__}")
    return value


def read_int(value: JsonObject, name: str, what: str) -> int:
    """Return the field as an integer 0 <= n <= MAX_SIZE.

    Raises:
        MalformedAnswerError: absent, of another type, or out of range.
    """
    number = value.get(name)
    if type(number) is not int or not 0 <= number <= MAX_SIZE:
        raise MalformedAnswerError(f"{what}: expected a whole number as {name!r}")
    return number


def read_text(value: JsonObject, name: str, what: str) -> str:
    """Return the field as a string.

    Raises:
        MalformedAnswerError: absent or of another type.
    """
    text = value.get(name)
    if not isinstance(text, str):
        raise MalformedAnswerError(f"{what}: expected a string as {name!r}")
    return text


def read_hash(value: JsonObject, name: str, what: str) -> bytes:
    """Return the field, standard base64, as a hash of 32 bytes.

    Raises:
        MalformedAnswerError: absent, not canonical base64, or of another length.
    """
    try:
        return decode_base64(read_text(value, name, what), size=HASH_SIZE, max_bytes=HASH_SIZE)
    except MalformedError:
        raise MalformedAnswerError(f"{what}: expected 32 bytes in base64 as {name!r}") from None


def _unique_names(pairs: list[tuple[str, Any]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
