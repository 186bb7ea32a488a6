"""The HTTP client against servers that send too much, too little, or something else."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from tlog_clients import (
    FetchError,
    FetchTimeoutError,
    HttpFetcher,
    HttpStatusError,
    MalformedAnswerError,
    NotReachableError,
    OutcomeUnknownError,
    TooLargeError,
)
from tlog_proofs import MalformedError, TlogError

TOKEN = "tlog_abcdefghij_" + "s3cret" * 7 + "x"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[str]:
    """Serve every request of a log by one handler; gives the log's address."""
    app = web.Application(client_max_size=1 << 20)
    app.router.add_route("*", "/logs/test/{rest:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/logs/test"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def serve_bytes(*chunks: bytes, hold: bool = False) -> AsyncIterator[str]:
    """Answer each connection with these bytes, whatever was asked, and close it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for chunk in chunks:
                writer.write(chunk)
                await writer.drain()
            if hold:
                await reader.read(1)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/logs/test"


async def fetch(url: str, max_bytes: int = 100, timeout_s: float = 20.0) -> bytes:
    """Fetch one resource."""
    async with HttpFetcher(url, token=TOKEN, timeout_s=timeout_s) as fetcher:
        return await fetcher.fetch("checkpoint", max_bytes=max_bytes)


async def post(url: str, timeout_s: float = 20.0) -> bytes:
    """Post one entry."""
    async with HttpFetcher(url, token=TOKEN, timeout_s=timeout_s) as fetcher:
        answer = await fetcher.post(
            "entries", b"entry", content_type="text/x", params={"wait": "published"}, max_bytes=100
        )
        return answer.body


def respond(
    body: bytes = b"", status: int = 200, coding: str = "", content_type: str = "text/plain"
) -> Handler:
    """A handler with one answer."""

    async def handler(request: web.Request) -> web.Response:
        headers = {"Content-Encoding": coding} if coding else {}
        return web.Response(body=body, status=status, headers=headers, content_type=content_type)

    return handler


async def test_request_as_sent() -> None:
    """Path, token, entry and parameters arrive; other codings than gzip are not asked for."""
    seen: list[web.Request] = []
    bodies: list[bytes] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        bodies.append(await request.read())
        return web.Response(body=b"fine", status=201 if request.method == "POST" else 200)

    async with serve(handler) as url:
        assert await fetch(url + "/") == b"fine"
        assert await post(url) == b"fine"
    assert [request.method for request in seen] == ["GET", "POST"]
    assert [request.raw_path for request in seen] == [
        "/logs/test/checkpoint",
        "/logs/test/entries?wait=published",
    ]
    assert {request.headers["Authorization"] for request in seen} == {f"Bearer {TOKEN}"}
    assert {request.headers["Accept-Encoding"] for request in seen} == {"gzip, identity"}
    assert seen[1].headers["Content-Type"] == "text/x"
    assert bodies == [b"", b"entry"]


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_bound(coding: str) -> None:
    """An answer of exactly the bound is read, one byte more is refused, after decompression."""
    encode = gzip.compress if coding else bytes
    for size, fits in ((0, True), (100, True), (101, False), (100_000, False)):
        async with serve(respond(encode(b"x" * size), coding=coding)) as url:
            if fits:
                assert await fetch(url) == b"x" * size
            else:
                with pytest.raises(TooLargeError):
                    await fetch(url)


async def test_endless_answer() -> None:
    """Reading stops at the bound although the server never does."""
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 30:
                await response.write(b"x" * 65_536)
                sent += 65_536
        return response

    async with serve(endless) as url:
        with pytest.raises(TooLargeError):
            await fetch(url)
    assert sent < 1 << 26


async def test_gzip_bomb() -> None:
    """A short stream of very much is refused at the bound, and so is a long one of nothing."""
    header = gzip.compress(b"")[:10]
    stored_block_of_nothing = b"\x00\x00\x00\xff\xff"
    for body in (gzip.compress(b"\0" * 50_000_000), header + stored_block_of_nothing * 10_000):
        async with serve(respond(body, coding="gzip")) as url:
            with pytest.raises(TooLargeError):
                await fetch(url)


BAD_CODINGS = {
    "no gzip": (b"plain", "gzip"),
    "cut off": (gzip.compress(b"text")[:-3], "gzip"),
    "something after it": (gzip.compress(b"text") + b"more", "gzip"),
    "two streams": (gzip.compress(b"text") * 2, "gzip"),
    "empty": (b"", "gzip"),
    "wrong checksum": (gzip.compress(b"text")[:-8] + bytes(8), "gzip"),
    "another coding": (b"text", "br"),
    "twice": (gzip.compress(gzip.compress(b"text")), "gzip, gzip"),
}


@pytest.mark.parametrize(("body", "coding"), BAD_CODINGS.values(), ids=BAD_CODINGS.keys())
async def test_bad_coding(body: bytes, coding: str) -> None:
    """A stream that is not exactly one whole gzip stream is refused."""
    async with serve(respond(body, coding=coding)) as url:
        with pytest.raises(MalformedAnswerError):
            await fetch(url)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    """A redirect is an error: the token goes to one address only."""
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, headers={"Location": "/logs/test/elsewhere"})

    async with serve(handler) as url:
        for ask in (fetch, post):
            with pytest.raises(HttpStatusError, match="redirects are not followed"):
                await ask(url)
    assert paths == ["/logs/test/checkpoint", "/logs/test/entries"]


async def test_problem() -> None:
    """A problem's fields are kept, and shown without control characters."""
    problem = {
        "type": "urn:tlog:problem:forbidden",
        "title": "Not \x1b[31mallowed\x9b\u202e",
        "detail": "read" * 1000,
        "status": 403,
    }
    handler = respond(json.dumps(problem).encode(), 403, content_type="application/problem+json")
    async with serve(handler) as url:
        with pytest.raises(HttpStatusError) as caught:
            await fetch(url)
    error = caught.value
    assert error.status == 403
    assert error.problem is not None
    assert error.problem.type == "urn:tlog:problem:forbidden"
    assert error.problem.title == "Not \ufffd[31mallowed\ufffd\ufffd"
    assert str(error).isprintable()
    assert len(str(error)) < 1200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("0", 0), ("", None), ("-1", None), ("1.5", None), ("9" * 10, None), ("x", None)],
)
async def test_retry_after(value: str, seconds: int | None) -> None:
    """Retry-After is read as seconds, bounded; a date or anything else is as none."""

    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Idempotency-Key"] == "an-id"
        return web.Response(status=429, headers={"Retry-After": value})

    async with serve(handler) as url, HttpFetcher(url) as fetcher:
        with pytest.raises(HttpStatusError) as caught:
            await fetcher.post(
                "entries",
                b"entry",
                content_type="application/octet-stream",
                params={},
                max_bytes=9,
                idempotency_key="an-id",
            )
    assert caught.value.retry_after_s == seconds


NO_PROBLEMS = {
    "empty": b"",
    "no JSON": b"\xff",
    "a list": b"[]",
    "too long": b" " * 20_000 + b"{}",
    "nested": b"[" * 16_000,
    "a name twice": b'{"title": "a", "title": "b"}',
    "other types": b'{"title": 7, "detail": ["x"], "type": null}',
}


@pytest.mark.parametrize("body", NO_PROBLEMS.values(), ids=NO_PROBLEMS.keys())
async def test_broken_problem(body: bytes) -> None:
    """A refusal that is explained badly is a refusal all the same."""
    handler = respond(body, 403, content_type="application/problem+json")
    async with serve(handler) as url:
        with pytest.raises(HttpStatusError, match="HTTP status 403"):
            await fetch(url)


BROKEN = {
    "closed at once": (),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n",),
    "half a header": (b"HTTP/1.1 200 OK\r\nContent-Le",),
    "half a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",),
    "half a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhalf\r\n",),
    "headers too long": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,),
}


@pytest.mark.parametrize("chunks", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_answer(chunks: tuple[bytes, ...]) -> None:
    """A broken answer to a read is a FetchError; after an append its outcome is unknown."""
    async with serve_bytes(*chunks) as url:
        with pytest.raises(NotReachableError):
            await fetch(url)
        with pytest.raises(OutcomeUnknownError):
            await post(url)


@pytest.mark.parametrize(
    "chunks",
    [(), (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",)],
    ids=["nothing", "half a body"],
)
async def test_stalling_server(chunks: tuple[bytes, ...]) -> None:
    """A server that stops answering is given up; after an append its outcome is unknown."""
    async with serve_bytes(*chunks, hold=True) as url:
        with pytest.raises(FetchTimeoutError):
            await fetch(url, timeout_s=0.2)
        with pytest.raises(OutcomeUnknownError):
            await post(url, timeout_s=0.2)


async def test_nobody_listens() -> None:
    """Without a connection nothing was sent: not reachable, for reads and appends."""
    async with serve_bytes() as url:
        pass
    for ask in (fetch, post):
        with pytest.raises(NotReachableError, match="cannot connect") as caught:
            await ask(url)
        assert not isinstance(caught.value, OutcomeUnknownError)


async def test_token_is_in_no_error() -> None:
    """No error, nor what it was caused by, shows the token."""
    errors: list[BaseException] = []
    for chunks in BROKEN.values():
        async with serve_bytes(*chunks) as url:
            for ask in (fetch, post):
                with pytest.raises(FetchError) as caught:
                    await ask(url)
                errors.append(caught.value)
    async with serve(respond(TOKEN.encode(), 403)) as url:
        with pytest.raises(FetchError) as caught:
            await fetch(url)
        errors.append(caught.value)
    with pytest.raises(MalformedError) as refused:
        HttpFetcher("http://localhost/logs/x", token=TOKEN + "\r\nX: y")
    errors.append(refused.value)
    assert len(errors) > 10
    for error in errors:
        assert TOKEN not in f"{error!s} {error!r} {error.__cause__!r}"


BAD_URLS = [
    "",
    "localhost:8080/logs/x",
    "ftp://host/logs/x",
    "http://",
    "http:///logs/x",
    "http://user:password@host/logs/x",
    "http://host/logs/x?token=1",
    "http://host/logs/x#here",
    "http://host:99999/logs/x",
    "http://host:0/logs/x",
    "http://[::1/logs/x",
    "http://host/logs/a b",
    "http://host/logs/\n",
    "http://h\u00f6st/logs/x",
    "http://host/" + "x" * 2000,
    "file:///etc/passwd",
    "http://a..b/logs/x",
    "http://" + "x" * 64 + ".example/logs/x",
    "http://a\\b/logs/x",
    "http://*/logs/x",
    "http://[::1]b/logs/x",
    "http://[v1.a]/logs/x",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_url(url: str) -> None:
    """What is no log's address is refused before anything is opened, without repeating it."""
    with pytest.raises(MalformedError, match="log URL") as caught:
        HttpFetcher(url)
    assert "password" not in str(caught.value).replace("user name or password", "")


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("http://host/logs/x", "http://host/logs/x"),
        ("https://host:8443/logs/x/", "https://host:8443/logs/x"),
        ("http://[::1]:8080/logs/x", "http://[::1]:8080/logs/x"),
        ("https://log.example/", "https://log.example"),
        ("http://Log_1.example./logs/x", "http://Log_1.example./logs/x"),
        ("http://[fe80::1%25eth0]/logs/x", "http://[fe80::1%25eth0]/logs/x"),
    ],
)
def test_good_url(url: str, parsed: str) -> None:
    """An address loses its trailing slash and nothing else."""
    assert HttpFetcher(url).url == parsed


async def test_outside_its_context() -> None:
    """Using the client without opening it is a defect of the caller, no TlogError."""
    with pytest.raises(RuntimeError) as caught:
        await HttpFetcher("http://localhost/logs/x").fetch("checkpoint", max_bytes=1)
    assert not isinstance(caught.value, TlogError)
