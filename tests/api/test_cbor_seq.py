"""CBOR sequences are taken and refused exactly as an independent reader would, however cut."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from typing import Any

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.api.conftest import Api
from tests.api.fakes import leaf
from tlog.api.cbor_seq import MAX_ID_BYTES, parse_sequence
from tlog.api.errors import MalformedRequestError
from tlog.errors import BatchTooLargeError, EntryTooLargeError
from tlog.tokens import Scope
from tlog_proofs import TlogError

Items = list[tuple[bytes, str | None]]
CBOR_SEQ = "application/cbor-seq"
MAX_ENTRIES = 6
GOOD = cbor2.dumps({"entry": b"a", "id": "x"})


async def cut(body: bytes, sizes: Sequence[int]) -> AsyncIterator[bytes]:
    """The body cut at given sizes, the rest in one piece."""
    for size in sizes:
        yield body[:size]
        body = body[size:]
    yield body


def parsed(body: bytes, sizes: Sequence[int] = (), most: int = MAX_ENTRIES) -> Items:
    """What the code under test makes of a body."""
    batch = asyncio.run(parse_sequence(cut(body, sizes), most))
    return list(zip(batch.entries, batch.ids, strict=True))


def expected_of(body: bytes) -> Items | int | None:
    """Entries and ids, or the number of the first bad item, or None: too many items.

    An item ends where cbor2 reads a value that it writes again byte for byte.
    """
    found: Items = []
    while body:
        if len(found) == MAX_ENTRIES:
            return None
        end = next((end for end in range(1, len(body) + 1) if _is_canonical(body[:end])), None)
        value: Any = None if end is None else cbor2.loads(body[:end])
        if not isinstance(value, dict) or not {"entry"} <= value.keys() <= {"entry", "id"}:
            return len(found) + 1
        if not isinstance(value["entry"], bytes) or not isinstance(value.get("id", ""), str):
            return len(found) + 1
        found.append((value["entry"], value.get("id")))
        body = body[end:]
    return found


def _is_canonical(data: bytes) -> bool:
    try:
        return bool(cbor2.dumps(cbor2.loads(data)) == data)
    except (cbor2.CBORError, ValueError, TypeError):
        return False


def items() -> st.SearchStrategy[bytes]:
    """Maps, most of them right: another order, other members, other types, long and short."""
    entries = st.binary(max_size=30) | st.sampled_from([bytes(23), bytes(24), bytes(255)])
    ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    right = st.one_of(
        st.builds(lambda entry: {"entry": entry}, entries),
        st.builds(lambda entry, text: {"entry": entry, "id": text}, entries, ids),
        st.builds(lambda entry, text: {"id": text, "entry": entry}, entries, ids),
    )
    other = st.dictionaries(
        st.sampled_from(["entry", "id", "Entry", "ent", b"id", 1]),
        st.one_of(entries, ids, st.integers(), st.none(), st.lists(entries, max_size=2)),
        max_size=3,
    )
    return st.one_of(right, right, right, other).map(cbor2.dumps)


def bodies() -> st.SearchStrategy[bytes]:
    """Sequences of such maps, some of them damaged."""
    whole = st.lists(items(), max_size=MAX_ENTRIES + 1).map(b"".join)
    return st.one_of(whole, whole, whole.flatmap(strategies.mutated))


@settings(max_examples=1000, deadline=None)
@given(bodies(), st.lists(st.integers(0, 40), max_size=8))
@example(b"", [])
@example(GOOD * MAX_ENTRIES, [0, 1, 2, 3])
@example(GOOD * (MAX_ENTRIES + 1), [])
@example(GOOD + b"\xa1\x65entry\x58\x01a", [])
@example(b"\xa1\x65entry\x59\x00\x18" + bytes(24), [])
@example(b"\xa1\x65entry\x5a\x00\x00\x01\x00" + bytes(256), [])
@example(b"\xa1\x65entry\x5f\x41a\xff", [])
@example(b"\xbf\x65entry\x41a\xff", [])
@example(b"\xb8\x01\x65entry\x41a", [])
@example(b"\xa1\x78\x05entry\x41a", [])
@example(b"\xa1\x45entry\x41a", [])
@example(b"\xa1\x65entry\x61a", [])
@example(b"\xa2\x65entry\x41a\x65entry\x41a", [])
@example(b"\xa2\x62id\x61a\x62id\x61a", [])
@example(b"\xa2\x65entry\x41a\x62id\x61\xff", [])
@example(b"\xa2\x65entry\x41a\x62id\x41a", [])
@example(b"\xa2\x65entry\x41a\x62id\xf6", [])
@example(b"\xa0", [])
@example(b"\x82" + GOOD + GOOD, [])
@example(b"\xd9\xd9\xf7" + GOOD, [])
@example(GOOD + b"\n" + GOOD, [])
def test_a_sequence_is_read_as_an_independent_reader_reads_it(
    body: bytes, sizes: list[int]
) -> None:
    """The same entries and ids, or a refusal of the same item, however the body is cut."""
    expected = expected_of(body)
    try:
        found = parsed(body, sizes)
    except BatchTooLargeError:
        assert expected is None
    except MalformedRequestError as error:
        match = re.search(r"\bitem (\d+)\b", str(error))
        assert match
        assert expected == int(match[1])
    else:
        assert found == expected


@pytest.mark.parametrize("number", [1, 2, 5])
def test_bounds_are_known_before_the_bytes_come(number: int) -> None:
    """An entry or an id over its bound is refused when its length is there, by its item."""
    before = GOOD * (number - 1)
    largest = before + cbor2.dumps({"entry": bytes(65_535), "id": "x" * MAX_ID_BYTES})
    assert parsed(largest)[-1] == (bytes(65_535), "x" * MAX_ID_BYTES)
    for head in (b"\x5a\x00\x01\x00\x00", b"\x5b" + b"\xff" * 8):
        with pytest.raises(EntryTooLargeError, match=rf"\bitem {number}\b"):
            parsed(before + b"\xa1\x65entry" + head)
    with pytest.raises(MalformedRequestError, match=rf"\bitem {number}\b.*at most 1024 bytes"):
        parsed(before + b"\xa2\x62id\x79\x04\x01")
    with pytest.raises(MalformedRequestError, match=rf"\bitem {number} is cut off"):
        parsed(largest[:-1])


def test_too_many_items_are_refused_at_the_first_byte_of_one() -> None:
    """What that item is does not matter any more."""
    with pytest.raises(BatchTooLargeError):
        parsed(GOOD * MAX_ENTRIES + b"\xff")


def test_a_body_in_single_bytes_is_taken_whole() -> None:
    """1,000 entries with and without ids, and one as long as they get, byte by byte."""
    expected: Items = [
        (b"%d" % number, f"id-{number}" if number % 3 else None) for number in range(1000)
    ]
    expected[500] = (bytes(65_535), None)
    body = b"".join(
        cbor2.dumps({"entry": entry} if text is None else {"entry": entry, "id": text})
        for entry, text in expected
    )
    assert parsed(body, [1] * len(body), 1000) == expected
    with pytest.raises(BatchTooLargeError):
        parsed(body, (), 999)


@given(strategies.blobs())
def test_only_our_errors_come_out(body: bytes) -> None:
    """Whatever the bytes, entries come out or a TlogError."""
    try:
        parsed(body)
    except TlogError:
        return


async def _post(api: Api, body: bytes, query: str = "", **headers: str) -> tuple[int, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named = {"Content-Type": CBOR_SEQ} | named | api.bearer(Scope.APPEND)
    async with api.http.post(
        f"/logs/private/entries{query}", data=BytesIO(body), headers=named
    ) as response:
        return response.status, await response.json(content_type=None)


async def test_a_batch_is_answered_as_one_of_lines_is(api: Api) -> None:
    """201, the first index, the count, and index and leaf hash of each item; gzip as well."""
    batch = [b"", b"one", b"\xff" * 65_535]
    body = b"".join(cbor2.dumps({"entry": entry}) for entry in batch)
    places = [
        {"index": index, "leaf_hash": base64.b64encode(leaf(entry)).decode()}
        for index, entry in enumerate(batch, 1)
    ]
    assert await _post(api, body) == (201, {"first_index": 1, "count": 3, "entries": places})
    status, members = await _post(
        api, gzip.compress(body), "?wait=published", Content_Encoding="gzip"
    )
    assert (status, members["first_index"]) == (201, 4)
    assert members["checkpoint"] == api.host.logs["private"].published.note.decode()


async def test_what_is_no_batch_is_refused_as_lines_are(api: Api) -> None:
    """Nothing of it is appended, and the problem says why."""
    for body, status, name in (
        (b"", 400, "empty-batch"),
        (GOOD[:-1], 400, "malformed"),
        (cbor2.dumps({"entry": b"a", "id": "\n"}), 400, "malformed"),
        (b"\xa1\x65entry\x5a\x00\x01\x00\x00", 413, "entry-too-large"),
        (cbor2.dumps({"entry": b""}) * 1001, 413, "batch-too-large"),
        (cbor2.dumps({"entry": bytes(60_000)}) * 140, 413, "body-too-large"),
    ):
        found, problem = await _post(api, body)
        assert (found, problem["type"]) == (status, f"urn:tlog:problem:{name}")
    found, problem = await _post(api, GOOD, Idempotency_Key="one")
    assert (found, problem["type"]) == (400, "urn:tlog:problem:malformed")
    assert len(api.host.logs["private"].entries) == 1


async def test_other_types_are_told_of_it(api: Api) -> None:
    """A body of another type is a 415 that names all three."""
    status, problem = await _post(api, json.dumps({}).encode(), Content_Type="application/cbor")
    assert status == 415
    for name in ("application/octet-stream", "application/x-ndjson", CBOR_SEQ):
        assert name in problem["detail"]
