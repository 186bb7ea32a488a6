"""The commit record: the last row of every batch, and so of the whole log.

Deterministic CBOR `[1, first index, size, root, t, key week / null,
[[index, id MAC, bytes MAC], ...], [[index, emitter handle, sequence], ...]]`
(spec/store.md, commit record).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tlog.errors import StoreError
from tlog_proofs import HASH_SIZE, MAX_SIZE, TlogError, decode_cbor, encode_cbor

RECORD_VERSION = 1
MAC_BYTES = 16
MAX_HANDLE_BYTES = 64
_UNSIGNED, _BYTES, _ARRAY = 0x00, 0x40, 0x80  # major types of CBOR (RFC 8949 section 3.1)
_ONE_BYTE = 24  # arguments below it lie in the head's first byte
_LENGTHS = ((24, 1), (25, 2), (26, 4), (27, 8))
# 4,096 entries a commit, each at most one id and one emitter row, stay far below this.
MAX_RECORD_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IdRow:
    """One idempotency id of a batch: MACs of 16 bytes, never the id itself."""

    index: int
    id_mac: bytes
    bytes_mac: bytes


@dataclass(frozen=True, slots=True)
class EmitterRow:
    """One signed event of a batch: the emitter's handle and its sequence."""

    index: int
    handle: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """What one batch made of the log.

    first_index: index of the batch's first entry; size: tree size after it; root: 32 bytes;
    t: POSIX seconds, never lower than the record before; key_week: week of the key of the
    id MACs, None without ids.
    """

    first_index: int
    size: int
    root: bytes
    t: int
    key_week: int | None = None
    ids: tuple[IdRow, ...] = ()
    emitters: tuple[EmitterRow, ...] = ()


def format_commit_record(record: CommitRecord) -> bytes:
    """The stored bytes of a record; the inverse of parse_commit_record.

    Raises:
        StoreError: ids without a key week, a week without ids, or a number that CBOR has not.
    """
    _check_week(record.key_week, len(record.ids))
    emitters = [[row.index, row.handle, row.sequence] for row in record.emitters]
    first = encode_cbor(
        [
            RECORD_VERSION,
            record.first_index,
            record.size,
            record.root,
            record.t,
            record.key_week,
        ]
    )
    # Six of the eight fields; the rows of ids are many, and encoded here: in a quarter of the time.
    return b"".join([_head(_ARRAY, 8), first[1:], *_encoded_ids(record.ids), encode_cbor(emitters)])


def _encoded_ids(ids: Sequence[IdRow]) -> Iterator[bytes]:
    """The deterministic CBOR of the rows of ids, in pieces."""
    row_head, mac_head = _head(_ARRAY, 3), _head(_BYTES, MAC_BYTES)
    yield _head(_ARRAY, len(ids))
    for row in ids:
        yield b"".join(
            (row_head, _head(_UNSIGNED, row.index), mac_head, row.id_mac, mac_head, row.bytes_mac)
        )


def _head(major: int, argument: int) -> bytes:
    """The head of a CBOR item: its major type and the shortest form of its argument."""
    if argument < _ONE_BYTE:
        return bytes((major | argument,))
    for more, size in _LENGTHS:
        if argument < 1 << (8 * size):
            return bytes((major | more,)) + argument.to_bytes(size, "big")
    message = f"expected a number below 2^64, got {argument}"
    raise StoreError(message)


def parse_commit_record(data: bytes) -> CommitRecord:
    """The record that was stored.

    Raises:
        StoreError: not the deterministic encoding of a well-formed record.
    """
    try:
        value = decode_cbor(data, max_bytes=MAX_RECORD_BYTES)
    except TlogError as error:
        message = f"commit record: {error}"
        raise StoreError(message) from error
    _check(not _holds_bool(value), "a truth value stands for a number")
    match value:
        case [1, int(first), int(size), bytes(root), int(t), week, list(ids), list(emitters)]:
            pass
        case _:
            message = "commit record: expected version 1 and eight fields"
            raise StoreError(message)
    _check(0 <= first < size <= MAX_SIZE, f"expected first index < size, got {first}, {size}")
    _check(len(root) == HASH_SIZE, f"expected a root of 32 bytes, got {len(root)}")
    _check(0 <= t <= MAX_SIZE, f"expected t in seconds, got {t}")
    _check(week is None or (type(week) is int and week >= 0), "key week is not a number")
    _check_week(week, len(ids))
    record = CommitRecord(
        first_index=first,
        size=size,
        root=root,
        t=t,
        key_week=week,
        ids=tuple(_id_row(row, first, size) for row in ids),
        emitters=tuple(_emitter_row(row, first, size) for row in emitters),
    )
    for indexes in ([row.index for row in record.ids], [row.index for row in record.emitters]):
        ascend = all(before < after for before, after in pairwise(indexes))
        _check(ascend, "expected rows of ascending index, one an entry")
    return record


def _check_week(week: object, ids: int) -> None:
    _check((week is None) == (ids == 0), f"expected a key week where there are ids, got {week}")


def _holds_bool(value: object) -> bool:
    """Whether a truth value lies in nested arrays: Python takes it for a number, CBOR does not."""
    if isinstance(value, list):
        return any(map(_holds_bool, value))
    return isinstance(value, bool)


def _id_row(row: object, first: int, size: int) -> IdRow:
    match row:
        case [int(index), bytes(id_mac), bytes(bytes_mac)] if (
            first <= index < size and len(id_mac) == len(bytes_mac) == MAC_BYTES
        ):
            return IdRow(index, id_mac, bytes_mac)
    message = "commit record: expected [index, id MAC, bytes MAC]"
    raise StoreError(message)


def _emitter_row(row: object, first: int, size: int) -> EmitterRow:
    match row:
        case [int(index), bytes(handle), int(sequence)] if (
            first <= index < size and len(handle) <= MAX_HANDLE_BYTES and sequence >= 0
        ):
            return EmitterRow(index, handle, sequence)
    message = "commit record: expected [index, emitter handle, sequence]"
    raise StoreError(message)


def _check(holds: bool, message: str) -> None:  # noqa: FBT001 - the condition is the point
    if not holds:
        error = f"commit record: {message}"
        raise StoreError(error)
