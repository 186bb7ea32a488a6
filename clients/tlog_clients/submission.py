"""Submitting entries and checking the answer against one's own bytes, before any key is needed.

Every entry goes with an id, so that a lost answer is asked for by sending the same once more. What
needs the log's key, signatures and the tree, is log_client.py's part.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from tlog_clients.entry_ids import check_entry_id, new_entry_id, numbered_ids
from tlog_clients.errors import (
    HttpStatusError,
    LogMisbehaviourError,
    MalformedAnswerError,
    OutcomeUnknownError,
)
from tlog_clients.problem import PROBLEM_TYPE_PREFIX
from tlog_clients.retry import Retries
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
_CREATED = 201
_ACCEPTED = 202
_WAIT = {"wait": "published"}
_LINE_OVERHEAD_BYTES = len(b'{"entry":"","id":}\n')
# Statuses after which the server itself says that nothing was written, whoever answered them.
_REFUSED_5XX = frozenset({501, 507})
_UNAVAILABLE = 503


class EntryTooLargeError(TlogError):
    """An entry, or a batch of them, is over the bound; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """One committed entry, as the server answered and its own bytes confirm.

    `proof` is the tlog-proof in the answer, still unverified; None when the wait for publication
    ended first (`state` then says how far the entry has come). `is_new`: it was added now.
    """

    index: int
    leaf_hash: bytes
    proof: bytes | None
    state: str
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class SubmittedBatch:
    """A committed batch: where each entry stands, in the order sent.

    `first_index` is the lowest index that this request added, None when all stood before or the
    answer does not say. `checkpoint` is the signed note in the answer, still unverified; None when
    the wait for publication ended first.
    """

    indexes: tuple[int, ...]
    leaf_hashes: tuple[bytes, ...]
    first_index: int | None
    checkpoint: bytes | None
    state: str


def batch_line_bytes(entry: bytes, entry_id: str) -> int:
    """Return how many bytes of MAX_BATCH_BODY_BYTES an entry takes."""
    return _LINE_OVERHEAD_BYTES + len(json.dumps(entry_id)) + (len(entry) + 2) // 3 * 4


async def submit_entry(
    poster: Poster, entry: bytes, *, entry_id: str | None = None, retries: Retries | None = None
) -> Submitted:
    """Append one entry and wait until it is published; sent again it is appended once only.

    Args:
        poster: the log.
        entry: 0 to 65,535 bytes, sent exactly as they are.
        entry_id: its idempotency id, 1 to 255 characters; without it a random one.
        retries: how to send again; without it by a RetryPolicy's defaults.

    Raises:
        EntryTooLargeError: over 65,535 bytes; nothing was sent.
        MalformedEntryIdError: entry_id is none; nothing was sent.
        LogMisbehaviourError: the server committed other bytes.
        MalformedAnswerError: answered as committed, but not as the interface promises.
        OutcomeUnknownError: the entry may or may not stand; with the same id it may be sent again.
        FetchError: it was not taken.
    """
    _check_entry(entry)
    key = new_entry_id() if entry_id is None else entry_id
    check_entry_id(key)
    answer = await (retries or Retries()).run(
        lambda: _post(poster, entry, "application/octet-stream", key)
    )
    what = "answer to append"
    value = parse_json_object(answer.body, what)
    _check_leaf(value, leaf_hash(entry), what)
    index = read_int(value, "index", what)
    if answer.status == _ACCEPTED:
        return Submitted(index, leaf_hash(entry), None, read_text(value, "state", what))
    proof = read_text(value, "proof", what).encode("utf-8", "surrogatepass")
    return Submitted(index, leaf_hash(entry), proof, "published", answer.status == _CREATED)


async def submit_batch(
    poster: Poster,
    entries: Sequence[bytes],
    *,
    ids: Sequence[str] | None = None,
    retries: Retries | None = None,
) -> SubmittedBatch:
    """Append a batch, all or none, and wait until it is published.

    Args:
        poster: the log.
        entries: 1 to 1,000 entries of at most 65,535 bytes, 8 MiB of body in all.
        ids: an idempotency id for each entry; without them random ones.
        retries: how to send again; without it by a RetryPolicy's defaults.

    Raises:
        EntryTooLargeError: over a bound, or no entry at all; nothing was sent.
        MalformedEntryIdError: an id is none; nothing was sent.
        ValueError: not as many ids as entries.
        LogMisbehaviourError: the server committed other bytes.
        MalformedAnswerError: answered as committed, but not as the interface promises.
        OutcomeUnknownError: the entries may or may not stand; with the same ids they may be sent
            again.
        FetchError: they were not taken.
    """
    if not 1 <= len(entries) <= MAX_BATCH_ENTRIES:
        raise EntryTooLargeError(
            f"expected a batch of 1 to {MAX_BATCH_ENTRIES} entries, got {len(entries)}"
        )
    for entry in entries:
        _check_entry(entry)
    keys = numbered_ids(new_entry_id(), len(entries)) if ids is None else ids
    for key in keys:
        check_entry_id(key)
    body = b"".join(_format_line(*line) for line in zip(entries, keys, strict=True))
    if len(body) > MAX_BATCH_BODY_BYTES:
        raise EntryTooLargeError(
            f"expected a batch of at most {MAX_BATCH_BODY_BYTES} bytes, got {len(body)}"
        )
    answer = await (retries or Retries()).run(lambda: _post(poster, body, "application/x-ndjson"))
    return _read_batch(answer, entries, keys)


def _format_line(entry: bytes, entry_id: str) -> bytes:
    return b'{"entry":"%b","id":%b}\n' % (base64.b64encode(entry), json.dumps(entry_id).encode())


def _read_batch(answer: PostAnswer, entries: Sequence[bytes], ids: Sequence[str]) -> SubmittedBatch:
    what = "answer to append"
    value = parse_json_object(answer.body, what)
    items = value.get("entries")
    if not isinstance(items, list) or len(items) != len(entries):
        raise MalformedAnswerError(f"{what}: expected {len(entries)} items in 'entries'")
    hashes = tuple(leaf_hash(entry) for entry in entries)
    indexes = []
    for item, expected in zip(items, hashes, strict=True):
        if not isinstance(item, dict):
            raise MalformedAnswerError(f"{what}: expected objects in 'entries'")
        _check_leaf(item, expected, what)
        indexes.append(read_int(item, "index", what))
    if not len(set(indexes)) == len(set(ids)) == len(set(zip(indexes, ids, strict=True))):
        raise MalformedAnswerError(f"{what}: expected one index for each id, and another for each")
    if answer.status == _ACCEPTED:
        state = read_text(value, "state", what)
        return SubmittedBatch(tuple(indexes), hashes, None, None, state)
    first_index = _read_first_index(value, indexes, what)
    checkpoint = read_text(value, "checkpoint", what).encode("utf-8", "surrogatepass")
    return SubmittedBatch(tuple(indexes), hashes, first_index, checkpoint, "published")


def _read_first_index(value: JsonObject, indexes: Sequence[int], what: str) -> int | None:
    """The lowest new index; the new entries are consecutive, and what stood before is below."""
    if value.get("first_index") is None:
        return None
    first = read_int(value, "first_index", what)
    new = sorted({index for index in indexes if index >= first})
    if not new or new != list(range(first, first + len(new))):
        raise MalformedAnswerError(f"{what}: expected the new entries in a row from index {first}")
    return first


async def _post(
    poster: Poster, body: bytes, content_type: str, idempotency_key: str | None = None
) -> PostAnswer:
    try:
        return await poster.post(
            "entries",
            body,
            content_type=content_type,
            params=_WAIT,
            max_bytes=MAX_ANSWER_BYTES,
            idempotency_key=idempotency_key,
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
