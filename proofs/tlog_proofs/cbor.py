"""Deterministic CBOR, strict: what this encoder would not write, this decoder does not read.

The data model is integers of 64 bits and sign, byte strings, text strings, true, false, null,
arrays, and maps keyed by integers and strings, nested at most 16 deep. Tags, floats, big numbers,
other simple values and indefinite lengths are refused. The only importer of cbor2, and only when a
function is called.

Source: RFC 8949 section 4.2.1.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tlog_proofs.errors import MalformedCborError, MissingDependencyError
from tlog_proofs.strict import show

MAX_DEPTH = 16

_MIN_INT = -(2**64)
_MAX_INT = 2**64 - 1
_BYTES, _TEXT, _ARRAY, _MAP, _TAG = 2, 3, 4, 5, 6
_FALSE_TRUE_NULL = (0xF4, 0xF5, 0xF6)


def encode_cbor(value: object) -> bytes:
    """Encode a value as deterministic CBOR; tuples and lists are arrays.

    Raises:
        MalformedCborError: a type, size or depth is outside the data model.
        MissingDependencyError: cbor2 is not installed.
    """
    cbor2 = _import_cbor2()
    encoded: bytes = cbor2.dumps(_ordered(value, 0, cbor2))
    return encoded


def decode_cbor(data: bytes, *, max_bytes: int, any_key_order: bool = False) -> Any:  # noqa: ANN401 - the caller checks shapes
    """Decode deterministic CBOR of at most `max_bytes` bytes: one value, nothing after it.

    Args:
        data: the encoding.
        max_bytes: its bound.
        any_key_order: take the keys of maps in any order, each once: only for what others wrote
            and a signature covers, where another order is another text.

    Raises:
        MalformedCborError: it is longer, or anything that encode_cbor does not write.
        MissingDependencyError: cbor2 is not installed.
    """
    if len(data) > max_bytes:
        raise MalformedCborError(f"expected at most {max_bytes} bytes of CBOR, got {len(data)}")
    cbor2 = _import_cbor2()
    _check_items(data)
    try:
        value = cbor2.loads(data)
    except (cbor2.CBORError, ValueError) as error:
        # What is left for the decoder to find is text that is not UTF-8.
        raise MalformedCborError(f"expected CBOR, got {show(data)}: {error}") from error
    encoded = encode_cbor(value)
    # A key given twice and a longer form both make the encoding shorter than what was decoded, and
    # nothing makes it longer: what keeps its length differs in the order of keys alone.
    if encoded != data and not (any_key_order and len(encoded) == len(data)):
        raise MalformedCborError(f"expected deterministic CBOR, got another encoding: {show(data)}")
    return value


def _ordered(value: object, depth: int, cbor2: ModuleType) -> object:
    """Check a value against the data model, and put its maps in the order of their keys' bytes."""
    match value:
        case None | bool() | bytes():
            return value
        case int() if _MIN_INT <= value <= _MAX_INT:
            return value
        case str() if _is_unicode(value):
            return value
        case list() | tuple() if depth < MAX_DEPTH:
            return [_ordered(item, depth + 1, cbor2) for item in value]
        case dict() if depth < MAX_DEPTH and all(map(_is_key, value)):
            items = sorted((cbor2.dumps(_ordered(key, 0, cbor2)), key) for key in value)
            return {key: _ordered(value[key], depth + 1, cbor2) for _, key in items}
        case _:
            raise MalformedCborError(
                f"expected a value that the CBOR of this package has, got {show(value)}"
            )


def _is_key(key: object) -> bool:
    return isinstance(key, (int, str, bytes)) and not isinstance(key, bool)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _check_items(data: bytes) -> None:
    """Walk over the heads of all items before anything is built from them.

    Checks types, depth, counts against the bytes there are, and that one item is all there is.
    Shortest lengths, key order and duplicates are left to the comparison after decoding.
    """
    position = 0
    # Items still to come at each open level; a map counts two an entry. A key is the first of two.
    pending = [1]
    in_map = [False]
    while pending:
        if not pending[-1]:
            pending.pop()
            in_map.pop()
            continue
        is_key = in_map[-1] and pending[-1] % 2 == 0
        pending[-1] -= 1
        major, argument, position = _read_head(data, position)
        if is_key and major > _TEXT:
            raise MalformedCborError(
                f"expected a map key that is an integer or string, at byte {position}"
            )
        if major in (_BYTES, _TEXT):
            position += argument
        elif major in (_ARRAY, _MAP):
            if len(pending) > MAX_DEPTH:
                raise MalformedCborError(f"expected at most {MAX_DEPTH} levels of nesting")
            pending.append(argument * (major - _ARRAY + 1))
            in_map.append(major == _MAP)
        if position + sum(pending) > len(data):
            raise MalformedCborError(f"expected more items or bytes than the {len(data)} there are")
    if position != len(data):
        raise MalformedCborError(
            f"expected one CBOR value, got {len(data) - position} bytes after it"
        )


def _read_head(data: bytes, position: int) -> tuple[int, int, int]:
    """Read an item's major type and argument, and give the position after them."""
    if position >= len(data):
        raise MalformedCborError(f"expected a CBOR item at byte {position}, the input ends there")
    major, info = divmod(data[position], 32)
    if major > _MAP and data[position] not in _FALSE_TRUE_NULL:
        raise MalformedCborError(
            f"expected no CBOR tag, float or simple value, got 0x{data[position]:02x}"
        )
    position += 1
    if info < 24 or major > _MAP:  # noqa: PLR2004 - RFC 8949 section 3: the argument itself
        return major, info, position
    size = 1 << (info - 24)
    if info > 27 or position + size > len(data):  # noqa: PLR2004 - 1, 2, 4 or 8 bytes of argument
        raise MalformedCborError(f"expected a CBOR item of definite length at byte {position - 1}")
    return major, int.from_bytes(data[position : position + size], "big"), position + size


def _import_cbor2() -> ModuleType:
    # Imported here: everything else in this package works without cbor2.
    try:
        import cbor2
    except ImportError as error:
        package, extra = "cbor2", "cbor"
        raise MissingDependencyError(package, extra) from error
    return cbor2
