"""Lines read many at a time are taken and refused exactly as an independent reader would."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tlog.api.errors import MalformedRequestError
from tlog.api.ndjson import MAX_LINE_BYTES, parse_entries
from tlog.errors import BatchTooLargeError, EntryTooLargeError
from tlog_proofs import TlogError

Lines = list[tuple[bytes, str | None]]
MAX_ENTRIES = 6
SPACES = ["", "", "", " ", "\t", "\r", "\n"]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


async def cut(body: bytes, sizes: Sequence[int]) -> AsyncIterator[bytes]:
    """The body cut at given sizes, the rest in one piece."""
    for size in sizes:
        yield body[:size]
        body = body[size:]
    yield body


def parsed(body: bytes, sizes: Sequence[int] = (), most: int = MAX_ENTRIES) -> Lines:
    """What the code under test makes of a body."""
    batch = asyncio.run(parse_entries(cut(body, sizes), most))
    return list(zip(batch.entries, batch.ids, strict=True))


def expected_of(body: bytes) -> Lines | int | None:
    """Entries and ids, or the number of the first bad line, or None: too many lines.

    By the standard library alone, one line after the other.
    """
    lines = body.split(b"\n")
    if not lines[-1]:
        lines.pop()
    found: Lines = []
    for number, line in enumerate(lines, 1):
        if not line:
            if number == len(lines):
                break  # the one empty line that may follow
            return number
        if len(found) == MAX_ENTRIES:
            return None
        one = expected_of_line(line)
        if one is None:
            return number
        found.append(one)
    return found


def expected_of_line(line: bytes) -> tuple[bytes, str | None] | None:
    """The entry and the id of a line that is well-formed."""
    try:
        pairs = json.loads(line.decode("utf-8"), object_pairs_hook=lambda pairs: pairs)
    except ValueError:
        return None
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        return None
    members = dict(pairs)
    names = members.keys()
    if len(members) != len(pairs) or "entry" not in names or names - {"entry", "id"}:
        return None
    if not all(isinstance(value, str) for value in members.values()):
        return None
    text = members["entry"]
    try:
        entry = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if base64.b64encode(entry).decode() != text:
        return None
    return entry, members.get("id")


@st.composite
def base64_texts(draw: st.DrawFn) -> str:
    """Base64, mostly right, or with another last character, alphabet or padding."""
    text = base64.b64encode(draw(st.binary(max_size=7))).decode()
    match draw(st.integers(0, 9)):
        case 0 if text:
            last = len(text.rstrip("=")) - 1
            return text[:last] + draw(st.sampled_from(ALPHABET)) + text[last + 1 :]
        case 1:
            return text.rstrip("=")
        case 2:
            return text.replace("=", "", 1)
        case 3:
            return text + draw(st.sampled_from(["=", "==", "A", "A===", "-_-_", " ", "====", "é"]))
    return text


@st.composite
def members(draw: st.DrawFn) -> str:
    """One member of a line, spelled in one of many ways."""
    name = draw(st.sampled_from(["entry"] * 6 + ["id", "id", "Entry", "other"]))
    if name == "entry":
        value = draw(base64_texts())
    else:
        value = draw(
            st.one_of(
                st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
                st.sampled_from(['a="', "QR==", "}", "}{", '"', "\\", "}\n{", "\n", "\u2028"]),
            )
        )
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 9)) == 0:
        text = draw(
            st.sampled_from(["null", "1", '["YQ=="]', '{"entry":"YQ=="}', '"\t"', '"a\nb"'])
        )
    spelled = draw(st.sampled_from([name] * 9 + [name.replace("e", "\\u0065")]))
    before, between, after = (draw(st.sampled_from(SPACES)) for _ in range(3))
    return f'{before}"{spelled}"{between}:{after}{text}'


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Lines, most of them right, and what may come between them."""
    right = st.builds(
        lambda entry, text: json.dumps(
            {"entry": base64.b64encode(entry).decode()} | text, separators=(",", ":")
        ),
        st.binary(max_size=5),
        st.one_of(st.just({}), st.builds(lambda text: {"id": text}, st.text(ALPHABET, max_size=4))),
    )
    any_line = st.builds(
        lambda parts, after: "{" + ",".join(parts) + "}" + after,
        st.lists(members(), max_size=3),
        st.sampled_from(SPACES),
    )
    lines = draw(st.lists(st.one_of(right, right, any_line), max_size=MAX_ENTRIES + 1))
    ends = st.sampled_from(["\n"] * 12 + ["", "\r\n", "\n\n", " \n", "\n ", "}\n{"])
    return "".join(line + draw(ends) for line in lines).encode()


@settings(max_examples=1500, deadline=None)
@given(bodies(), st.lists(st.integers(0, 60), max_size=5))
@example(b'{"entry":"YQ=="}{"entry":"YQ=="}\n\n', [])
@example(b'{"entry":"YQ=="}\n{"entry":\n"YQ=="}{"entry":"YQ=="}\n', [])
@example(b'{"entry":"YQ==","entry":"YQ=="}\n{"id":"","entry":"YQ=="}\n', [])
@example(b'{"entry":"YWE="}\n{"entry":"YWF="}\n', [])
@example(b'{"entry":"YQ=="}\n{"entry":"YR=="}\n', [])
@example(b'{"entry":"YQ==","id":"x=\\""}\n{"entry":"YQ==","id":"QR=="}\n', [])
@example(b'{"entry":"YQ=="}\n{"entry":"YR=\\u003d"}\n', [])
@example(b'{"entry":""}\n' * MAX_ENTRIES + b"\n", [])
@example(b'{"entry":""}\n' * (MAX_ENTRIES + 1), [13])
def test_many_lines_are_read_as_an_independent_reader_reads_each(
    body: bytes, sizes: list[int]
) -> None:
    """The same entries and ids, or a refusal of the same line, however the body is cut."""
    expected = expected_of(body)
    try:
        found = parsed(body, sizes)
    except BatchTooLargeError:
        assert expected is None
    except MalformedRequestError as error:
        match = re.search(r"\bline (\d+)\b", str(error))
        assert match
        assert expected == int(match[1])
    else:
        assert found == expected


@pytest.mark.parametrize("last", [char + pad for char in ALPHABET for pad in ("=", "==")])
def test_every_last_character_of_base64_is_judged_alike(last: str) -> None:
    """Of 64 characters before the padding 16, or 4, leave no bit behind the last byte."""
    text = ("YW" if len(last) == 2 else "Y") + last
    body = b'{"entry":"YQ=="}\n{"entry":"%s"}\n{"entry":"YQ=="}\n' % text.encode()
    if base64.b64encode(base64.b64decode(text)).decode() == text:
        assert parsed(body)[1][0] == base64.b64decode(text)
    else:
        with pytest.raises(MalformedRequestError, match="line 2"):
            parsed(body)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_bounds_hold_in_the_midst_of_plain_lines(number: int) -> None:
    """An entry or a line over its bound is refused by its number, wherever it stands."""
    plain = b'{"entry":"YQ=="}\n'
    largest = base64.b64encode(bytes(65_535))
    too_large = base64.b64encode(bytes(65_536))
    for bad in (
        b'{"entry":"%s"}' % too_large,
        b'{"entry":"YQ=="}' + b" " * MAX_LINE_BYTES,
        b'{"entry":"YQ==","id":"' + b"x" * MAX_LINE_BYTES + b'"}',
    ):
        body = plain * (number - 1) + bad + b"\n" + plain
        with pytest.raises(EntryTooLargeError, match=rf"\bline {number}\b"):
            parsed(body)
    room = MAX_LINE_BYTES - len(b'{"entry":"%s"}' % largest)
    good = b'{"entry":"%s"}%s' % (largest, b" " * room)
    body = plain * (number - 1) + good + b"\n"
    assert parsed(body)[-1] == (bytes(65_535), None)


def test_a_body_of_many_reads_is_taken_whole() -> None:
    """1,000 entries with and without ids, longer together than one line may be."""
    lines = [
        json.dumps({"id": f"id-{number}", "entry": base64.b64encode(b"%d" % number * 200).decode()})
        if number % 3
        else json.dumps({"entry": base64.b64encode(b"%d" % number * 200).decode()})
        for number in range(1000)
    ]
    expected = [
        (b"%d" % number * 200, f"id-{number}" if number % 3 else None) for number in range(1000)
    ]
    body = "\n".join(lines).encode()
    assert len(body) > MAX_LINE_BYTES
    for sizes in ((), (100_000, 100_000, 1, 200_000)):
        assert parsed(body, sizes, 1000) == expected
    with pytest.raises(BatchTooLargeError):
        parsed(body, (), 999)


@given(st.lists(st.sampled_from([b'{"entry":"YQ=="}\n', b"\n", b"{", b'"', b"\xff", b"}"])))
def test_only_our_errors_come_out(pieces: list[bytes]) -> None:
    """Whatever stands between plain lines, an entry comes out or a TlogError."""
    try:
        parsed(b"".join(pieces))
    except TlogError:
        return
