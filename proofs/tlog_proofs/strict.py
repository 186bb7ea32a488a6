"""Strict readers of the small encodings inside all formats: decode, re-encode, compare.

Whatever can be spelled in two ways is refused in all but one, because two spellings of one tree
head would be two signed texts. Input is bounded before memory is spent.
"""

from __future__ import annotations

import binascii

from tlog_proofs.errors import MalformedError

MAX_DECIMAL = 2**63 - 1
"""Largest number in any format: what a signed integer of 64 bits holds in other languages."""
MAX_BASE64_BYTES = 1 << 16
"""What decode_base64 accepts, in decoded bytes, unless the caller says otherwise."""

_SHOWN_CHARACTERS = 60


def show(value: object) -> str:
    """Give the beginning of a value for an error message: ASCII only, bounded, never failing."""
    if isinstance(value, (str, bytes)):
        value = value[:_SHOWN_CHARACTERS]
    elif isinstance(value, int) and value.bit_length() > _SHOWN_CHARACTERS * 2:
        # Python refuses to write integers of thousands of digits.
        return f"an integer of {value.bit_length()} bits"
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def parse_decimal(text: str | bytes, *, maximum: int = MAX_DECIMAL) -> int:
    """Read a non-negative ASCII decimal: `0`, or digits that do not begin with `0`.

    Raises:
        MalformedError: any other spelling, or a number above `maximum`.

    Source: C2SP tlog-checkpoint, tree size.
    """
    digits = _ascii(text, len(str(maximum)), "a decimal number")
    if not digits.isdigit():
        raise MalformedError(f"expected a decimal number, got {show(text)}")
    number = int(digits)
    if str(number) != digits or number > maximum:
        raise MalformedError(
            f"expected a decimal number up to {maximum} without leading zeros, got {show(text)}"
        )
    return number


def encode_base64(data: bytes) -> str:
    """Encode bytes as standard base64 with padding (RFC 4648 section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(
    text: str | bytes, *, size: int | None = None, max_bytes: int = MAX_BASE64_BYTES
) -> bytes:
    """Decode standard base64 with padding, in its one canonical spelling.

    Args:
        text: the base64 characters, nothing around them.
        size: demand exactly so many decoded bytes.
        max_bytes: without `size`, the most decoded bytes to accept.

    Raises:
        MalformedError: another alphabet, missing padding, line breaks, dirty trailing bits, or a
            wrong length.

    Source: RFC 4648 sections 3.5 and 4.
    """
    limit = max_bytes if size is None else size
    characters = _ascii(text, (limit + 2) // 3 * 4, f"base64 of at most {limit} bytes")
    try:
        data = binascii.a2b_base64(characters)
    except binascii.Error:
        data = None
    if data is None or encode_base64(data) != characters:
        raise MalformedError(f"expected canonical standard base64 with padding, got {show(text)}")
    if len(data) > limit or (size is not None and len(data) != size):
        msg = f"expected base64 of {'' if size is not None else 'at most '}{limit} bytes"
        raise MalformedError(f"{msg}, got {len(data)}")
    return data


def _ascii(text: str | bytes, max_characters: int, what: str) -> str:
    """Give ASCII text of at most so many characters as str."""
    if len(text) > max_characters:
        raise MalformedError(f"expected {what}, got {len(text)} characters")
    if not text.isascii():
        raise MalformedError(f"expected {what} in ASCII, got {show(text)}")
    return text if isinstance(text, str) else text.decode("ascii")
