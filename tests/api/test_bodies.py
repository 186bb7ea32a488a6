"""Parsing of bodies: NDJSON line by line, gzip, bounds that hold while a body arrives."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import resource
import zlib
from collections.abc import AsyncIterator, Sequence
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.conftest import Api
from tlog.api.errors import BodyTooLargeError, MalformedRequestError
from tlog.api.gunzip import Gunzip
from tlog.api.ndjson import MAX_LINE_BYTES, parse_entries
from tlog.errors import BatchTooLargeError, EntryTooLargeError
from tlog.tokens import Scope
from tlog_proofs import TlogError

MIB = 1024 * 1024


async def _pieces(body: bytes, sizes: Sequence[int] = ()) -> AsyncIterator[bytes]:
    """The body cut at given sizes, the rest in one piece."""
    for size in sizes:
        yield body[:size]
        body = body[size:]
    yield body


def _parse(body: bytes, sizes: Sequence[int] = (), max_entries: int = 1000) -> list[bytes]:
    return asyncio.run(parse_entries(_pieces(body, sizes), max_entries)).entries


@given(
    st.lists(st.binary(max_size=40), max_size=20),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 50), max_size=20),
)
def test_entries_come_back_however_the_body_is_cut(
    entries: list[bytes], final_lf: bool, blank: bool, sizes: list[int]
) -> None:
    """Lines written by another JSON library are the same entries, in any pieces."""
    lines = [json.dumps({"entry": base64.b64encode(entry).decode()}).encode() for entry in entries]
    body = b"\n".join(lines) + (b"\n" if entries and final_lf else b"")
    body += b"\n" if entries and final_lf and blank else b""
    assert _parse(body, sizes) == entries


@given(st.binary(max_size=200))
def test_only_our_errors_come_out_of_garbage(body: bytes) -> None:
    """Whatever the bytes, they are entries or a TlogError."""
    try:
        entries = _parse(body)
    except TlogError:
        return
    assert all(isinstance(entry, bytes) for entry in entries)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\r",
        b"{}",
        b"[]",
        b"null",
        b'"YQ=="',
        b'{"entry":null}',
        b'{"entry":1}',
        b'{"entry":["YQ=="]}',
        b'{"entry":"YQ=="} x',
        b'{"entry":"YQ=="}{"entry":"YQ=="}',
        b'{"entry":"YQ==","entry":"YQ=="}',
        b'{"entry":"YQ==","\\u0065ntry":"Yg=="}',
        b'{"entry":"YQ==","other":1}',
        b'{"other":1}',
        b'{"Entry":"YQ=="}',
        b'{"entry":"YQ="}',
        b'{"entry":"YQ"}',
        b'{"entry":"YR=="}',
        b'{"entry":"Y Q=="}',
        b'{"entry":"YQ==\\n"}',
        b'{"entry":"-_-_"}',
        b'{"entry":"YQ==",}',
        b"{'entry':'YQ=='}",
        b'\xef\xbb\xbf{"entry":"YQ=="}',
        b'{"entry":"\xff"}',
        b'{"entry":"YQ=="',
        b"{" * 50_000,
        b"[" * 50_000,
        b'{"entry":' * 9_000,
        b'{"x":' + b"[" * 50_000,
        b"entry",
    ],
)
def test_a_bad_line_is_named_by_its_number(line: bytes) -> None:
    """A line that is not strict JSON with strict base64 is refused, and the error says which."""
    good = b'{"entry":"YQ=="}'
    with pytest.raises(MalformedRequestError, match=r"\bline 3\b") as caught:
        _parse(b"\n".join([good, good, line, good]))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("line", [b'{"entry":"Y\\u0051=="}', b' { "entry" :\t"YQ==" }\r'])
def test_json_may_be_spelled_in_other_ways(line: bytes) -> None:
    """White space and escapes are JSON's; they change nothing."""
    assert _parse(line) == [b"a"]


def test_bounds_of_lines_and_counts() -> None:
    """An entry over 65,535 bytes, an endless line and too many lines have errors of their own."""
    too_large = base64.b64encode(b"x" * 65_536)
    with pytest.raises(EntryTooLargeError, match="line 1"):
        _parse(b'{"entry":"%s"}' % too_large)
    with pytest.raises(EntryTooLargeError, match="line 2"):
        _parse(b'{"entry":""}\n' + b" " * (MAX_LINE_BYTES + 1))
    with pytest.raises(BatchTooLargeError):
        _parse(b'{"entry":""}\n' * 4, max_entries=3)


async def test_an_endless_line_is_refused_before_it_ends() -> None:
    """No more than a line's bound is ever held of a line."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b" " * 10_000

    with pytest.raises(EntryTooLargeError):
        await parse_entries(endless(), 1000)
    assert taken <= MAX_LINE_BYTES // 10_000 + 1


@given(
    st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    st.lists(st.integers(1, 40), max_size=30),
)
def test_gunzip_is_what_the_standard_library_does(members: list[bytes], sizes: list[int]) -> None:
    """Any number of members, cut anywhere, is the concatenation of their contents."""
    data = b"".join(gzip.compress(member) for member in members)
    gunzip = Gunzip(10_000)
    out = bytearray()
    for size in [*sizes, len(data)]:
        for piece in gunzip.feed(data[:size]):
            out += piece
        data = data[size:]
    gunzip.finish()
    assert out == b"".join(members)


@given(st.binary(max_size=100), st.integers(0, 2**16))
def test_gunzip_of_damaged_bytes_raises_our_error(content: bytes, where: int) -> None:
    """One damaged byte of the stream, or its end cut off, is refused or decodes the same."""
    data = bytearray(gzip.compress(content, mtime=0))
    damaged = bytes(data[: where % len(data)])
    gunzip = Gunzip(1000)
    with pytest.raises(MalformedRequestError):  # noqa: PT012 - either call may raise
        list(gunzip.feed(damaged))
        gunzip.finish()
    data[where % len(data)] ^= 1 + where % 255
    gunzip = Gunzip(1000)
    try:
        out = b"".join(gunzip.feed(bytes(data)))
        gunzip.finish()
    except TlogError:
        return
    assert out == content


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, MIB])
def test_gunzip_holds_to_the_byte(size: int) -> None:
    """As many bytes as the bound are taken, one more is refused, in bounded pieces."""
    data = gzip.compress(b"\0" * size)
    gunzip = Gunzip(size)
    pieces = list(gunzip.feed(data))
    gunzip.finish()
    assert sum(map(len, pieces)) == size
    assert max(map(len, pieces), default=0) <= 256 * 1024
    if size:
        with pytest.raises(BodyTooLargeError):
            list(Gunzip(size - 1).feed(data))


def test_gunzip_takes_few_members() -> None:
    """Sixteen members are taken, wherever they are cut; one more, were it empty, is refused."""
    for member in (gzip.compress(b""), gzip.compress(b"x")):
        for step in (len(member), 7, 16 * len(member)):
            data = member * 16
            gunzip = Gunzip(100)
            for start in range(0, len(data), step):
                list(gunzip.feed(data[start : start + step]))
            gunzip.finish()
            with pytest.raises(MalformedRequestError, match="16"):
                list(gunzip.feed(member))


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/logs/private/entries", "application/octet-stream"),
        ("/logs/private/entries", "application/x-ndjson"),
    ],
)
async def test_a_gzip_bomb_is_refused_early(api: Api, path: str, content_type: str) -> None:
    """192 MiB of spaces in less than one MiB of gzip cost no memory and is a 413."""
    packer = zlib.compressobj(1, wbits=31)
    piece = b" " * MIB
    bomb = b"".join(packer.compress(piece) for _ in range(192)) + packer.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    headers = api.bearer(Scope.APPEND) | {
        "Content-Type": content_type,
        "Content-Encoding": "gzip",
    }
    async with api.http.post(path, data=BytesIO(bomb), headers=headers) as response:
        assert response.status == 413
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 32 * 1024
    assert len(api.host.logs["private"].entries) == 1


async def test_a_batch_over_8_mib_is_refused(api: Api) -> None:
    """The bound of a batch is on its decompressed bytes, announced or not, gzip or not."""
    line = b'{"entry":"%s"}\n' % base64.b64encode(b"x" * 60_000)
    body = line * (8 * MIB // len(line) + 1)
    for data, coding, status in (
        (body, None, 413),
        (gzip.compress(body, 1), "gzip", 413),
        (body[: 8 * MIB // len(line) * len(line)], None, 201),
        (gzip.compress(body[: 8 * MIB // len(line) * len(line)], 1), "gzip", 201),
    ):
        headers = api.bearer(Scope.APPEND) | {"Content-Type": "application/x-ndjson"}
        headers |= {"Content-Encoding": coding} if coding else {}
        async with api.http.post(
            "/logs/private/entries", data=BytesIO(data), headers=headers
        ) as response:
            assert response.status == status


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b"", 400, "malformed"),
        (gzip.compress(b"x")[:-1], 400, "malformed"),
        (gzip.compress(b"x") + b"\0", 400, "malformed"),
        (gzip.compress(b"x") + b"trailing", 400, "malformed"),
        (zlib.compress(b"x"), 400, "malformed"),
        (b"x", 400, "malformed"),
    ],
)
async def test_what_is_not_gzip_is_refused(api: Api, body: bytes, status: int, name: str) -> None:
    """Cut off, empty, with bytes behind it, or something else: 400."""
    headers = api.bearer(Scope.APPEND) | {
        "Content-Type": "application/octet-stream",
        "Content-Encoding": "gzip",
    }
    async with api.http.post("/logs/private/entries", data=body, headers=headers) as response:
        assert response.status == status
        assert json.loads(await response.read())["type"].endswith(name)


@pytest.mark.parametrize("coding", ["deflate", "br", "gzip, gzip", "zstd"])
async def test_other_codings_are_415(api: Api, coding: str) -> None:
    """Only gzip is taken off, once."""
    headers = api.bearer(Scope.APPEND) | {
        "Content-Type": "application/octet-stream",
        "Content-Encoding": coding,
    }
    async with api.http.post("/logs/private/entries", data=b"x", headers=headers) as response:
        assert response.status == 415


@pytest.mark.parametrize("body", [b"", b"\n"])
async def test_an_empty_batch_reaches_the_log_as_empty(api: Api, body: bytes) -> None:
    """No line, or an empty one, is a batch without entries: refused."""
    headers = api.bearer(Scope.APPEND) | {"Content-Type": "application/x-ndjson"}
    async with api.http.post("/logs/private/entries", data=body, headers=headers) as response:
        assert response.status == 400
        assert json.loads(await response.read())["type"].endswith("empty-batch")
