"""Submitting entries and checking the answer against one's own bytes, before any key is needed.

What needs the log's key, signatures and the tree, is log_client.py's part.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from tlog_clients.errors import (
    HttpStatusError,
    LogMisbehaviourError,
    MalformedAnswerError,
    OutcomeUnknownError,
)
from tlog_clients.problem import PROBLEM_TYPE_PREFIX
from tlog_clients.strict_json import (
    JsonObject,
    parse_json_object,
    read_hash,
    read_int,
    read_text,
)
from tlog_proofs import MAX_ENTRY_BYTES, TlogError, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tlog_clients.fetch import PostAnswer, Poster

MAX_BATCH_ENTRIES = 1_000
MAX_BATCH_BODY_BYTES = 8 * 1024 * 1024
MAX_ANSWER_BYTES = 1024 * 1024
_ACCEPTED = 202
_WAIT = {"wait": "published"}
_LINE_OVERHEAD_BYTES = len(b'{"entry":""}\n')
# Statuses after which the server itself says that nothing was written, whoever answered them.
_REFUSED_5XX = frozenset({501, 507})
_UNAVAILABLE = 503


class EntryTooLargeError(TlogError):
    """An entry, or a batch of them, is over the bound; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """One committed entry, as the server answered and its own bytes confirm.

    `proof` is the tlog-proof in the answer, still unverified; None when the wait for publication
    ended first (`state` then says how far the entry has come).
    """

    index: int
    leaf_hash: bytes
    proof: bytes | None
    state: str


@dataclass(frozen=True, slots=True)
class SubmittedBatch:
    """A committed batch at the indexes [first_index, first_index + len(leaf_hashes)).

    `checkpoint` is the signed note in the answer, still unverified; None when the wait for
    publication ended first.
    """

    first_index: int
    leaf_hashes: tuple[bytes, ...]
    checkpoint: bytes | None
    state: str

    @property
    def end_index(self) -> int:
        """The index after the last entry."""
        return self.first_index + len(self.leaf_hashes)


def batch_line_bytes(entry: bytes) -> int:
    """Return how many bytes of MAX_BATCH_BODY_BYTES an entry takes."""
    return _LINE_OVERHEAD_BYTES + (len(entry) + 2) // 3 * 4


async def submit_entry(poster: Poster, entry: bytes) -> Submitted:
    """Append one entry and wait until it is published.

    Args:
        poster: the log.
        entry: 0 to 65,535 bytes, sent exactly as they are.

    Raises:
        EntryTooLargeError: over 65,535 bytes; nothing was sent.
        LogMisbehaviourError: the server committed other bytes.
        MalformedAnswerError: committed, but the answer is not what the interface promises.
        OutcomeUnknownError: the entry may or may not stand; sent again it could stand twice.
        FetchError: it was not taken.
    """
    _check_entry(entry)
    answer = await _post(poster, entry, "application/octet-stream")
    what = "answer to append"
    value = parse_json_object(answer.body, what)
    _check_leaf(value, leaf_hash(entry), what)
    index = read_int(value, "index", what)
    if answer.status == _ACCEPTED:
        return Submitted(index, leaf_hash(entry), None, read_text(value, "state", what))
    proof = read_text(value, "proof", what).encode("utf-8", "surrogatepass")
    return Submitted(index, leaf_hash(entry), proof, "published")


async def submit_batch(poster: Poster, entries: Sequence[bytes]) -> SubmittedBatch:
    """Append a batch, all or none, and wait until it is published.

    Args:
        poster: the log.
        entries: 1 to 1,000 entries of at most 65,535 bytes, 8 MiB of body in all.

    Raises:
        EntryTooLargeError: over a bound, or no entry at all; nothing was sent.
        LogMisbehaviourError: the server committed other bytes.
        MalformedAnswerError: committed, but the answer is not what the interface promises.
        OutcomeUnknownError: the entries may or may not stand; sent again they could stand twice.
        FetchError: they were not taken.
    """
    if not 1 <= len(entries) <= MAX_BATCH_ENTRIES:
        raise EntryTooLargeError(
            f"expected a batch of 1 to {MAX_BATCH_ENTRIES} entries, got {len(entries)}"
        )
    for entry in entries:
        _check_entry(entry)
    body = b"".join(map(_format_line, entries))
    if len(body) > MAX_BATCH_BODY_BYTES:
        raise EntryTooLargeError(
            f"expected a batch of at most {MAX_BATCH_BODY_BYTES} bytes, got {len(body)}"
        )
    answer = await _post(poster, body, "application/x-ndjson")
    return _read_batch(answer, entries)


def _format_line(entry: bytes) -> bytes:
    return b'{"entry":"' + base64.b64encode(entry) + b'"}\n'


def _read_batch(answer: PostAnswer, entries: Sequence[bytes]) -> SubmittedBatch:
    what = "answer to append"
    value = parse_json_object(answer.body, what)
    items = value.get("entries")
    if not isinstance(items, list) or len(items) != len(entries):
        raise MalformedAnswerError(f"{what}: expected {len(entries)} items in 'entries'")
    hashes = tuple(leaf_hash(entry) for entry in entries)
    first_index = 0
    for position, (item, expected) in enumerate(zip(items, hashes, strict=True)):
        if not isinstance(item, dict):
            raise MalformedAnswerError(f"{what}: expected objects in 'entries'")
        _check_leaf(item, expected, what)
        index = read_int(item, "index", what)
        if position == 0:
            first_index = index
        elif index != first_index + position:
            raise MalformedAnswerError(
                f"{what}: expected index {first_index + position}, got {index}"
            )
    if answer.status == _ACCEPTED:
        return SubmittedBatch(first_index, hashes, None, read_text(value, "state", what))
    checkpoint = read_text(value, "checkpoint", what).encode("utf-8", "surrogatepass")
    return SubmittedBatch(first_index, hashes, checkpoint, "published")


async def _post(poster: Poster, body: bytes, content_type: str) -> PostAnswer:
    try:
        return await poster.post(
            "entries",
            body,
            content_type=content_type,
            params=_WAIT,
            max_bytes=MAX_ANSWER_BYTES,
        )
    except HttpStatusError as error:
        _raise_refusal(error)


def _raise_refusal(error: HttpStatusError) -> NoReturn:
    """Tell a refusal, after which nothing stands, from an answer that leaves it open.

    A server error is taken for open unless tlog itself says that nothing was written: a proxy in
    between, or a handler that broke, knows nothing of the commit.
    """
    problem = error.problem.type if error.problem is not None else ""
    is_refusal = (
        error.status < 500  # noqa: PLR2004 - the class of server errors
        or error.status in _REFUSED_5XX
        or (
            error.status == _UNAVAILABLE
            and problem.startswith(PROBLEM_TYPE_PREFIX)
            and not problem.endswith("outcome-unknown")
        )
    )
    if is_refusal:
        raise error
    raise OutcomeUnknownError(str(error)) from error


def _check_entry(entry: bytes) -> None:
    if len(entry) > MAX_ENTRY_BYTES:
        raise EntryTooLargeError(
            f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, got {len(entry)}"
        )


def _check_leaf(value: JsonObject, expected: bytes, what: str) -> None:
    if read_hash(value, "leaf_hash", what) != expected:
        raise LogMisbehaviourError(f"{what}: the server committed other bytes than were sent")
