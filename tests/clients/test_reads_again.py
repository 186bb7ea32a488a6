"""Reads over HTTP are asked for again while a failure may pass; what is posted is sent once."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Sequence

import pytest

from tlog_clients import (
    FetchError,
    HttpFetcher,
    HttpStatusError,
    NotReachableError,
    OutcomeUnknownError,
    Retries,
    RetryPolicy,
    submit_entry,
)

FINE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
RESET = b""
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"


def refusal(status: int, name: str = "", *headers: str) -> bytes:
    """A refusal as it is on the wire, by tlog where it has a name."""
    body = json.dumps({"type": f"urn:tlog:problem:{name}", "title": "No"}) if name else ""
    lines = [f"HTTP/1.1 {status} No", f"Content-Length: {len(body)}", *headers]
    if name:
        lines.append("Content-Type: application/problem+json")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class Server:
    """Answers each connection by the next of its answers, the last one for ever, and closes it."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.pauses: list[float] = []
        self.url = ""

    def retries(self, total_s: float = 60.0) -> Retries:
        """Retries whose pauses are noted, and over at once."""

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        now_s = 1_000.0
        return Retries(RetryPolicy(total_s), sleep=sleep, now_s=lambda: now_s + sum(self.pauses))

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head.split()[0])
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def serve(*answers: bytes) -> AsyncIterator[Server]:
    """A server on loopback."""
    server = Server(answers)
    async with await asyncio.start_server(server.answer, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/logs/test"
        yield server


PASSING: dict[str, list[bytes]] = {
    "429": [refusal(429, "queue-full", "Retry-After: 1")],
    "overloaded": [refusal(503, "overloaded", "Retry-After: 1")] * 3,
    "a proxy": [refusal(502), refusal(503), refusal(504)],
    "stopping, then reset": [refusal(503, "stopping"), RESET, HALF],
}


@pytest.mark.parametrize("failures", PASSING.values(), ids=PASSING.keys())
async def test_passing_failures(failures: list[bytes]) -> None:
    """What passes is waited for, with a pause each time."""
    async with serve(*failures, FINE) as server:
        async with HttpFetcher(server.url, retries=server.retries()) as fetcher:
            assert await fetcher.fetch("checkpoint", max_bytes=9) == b"fine"
        assert server.asked == [b"GET"] * (len(failures) + 1)
        assert len(server.pauses) == len(failures)
        assert min(server.pauses) > 0


FINAL: dict[str, tuple[bytes, type[FetchError]]] = {
    "not there": (refusal(404), HttpStatusError),
    "a server that failed": (refusal(500, "storage"), HttpStatusError),
    "unreadable": (refusal(503, "unreadable"), HttpStatusError),
    "beyond the time": (refusal(429, "queue-full", "Retry-After: 61"), HttpStatusError),
}


@pytest.mark.parametrize(("answer", "error"), FINAL.values(), ids=FINAL.keys())
async def test_final_failures(answer: bytes, error: type[FetchError]) -> None:
    """What does not pass ends it at once."""
    async with serve(answer) as server:
        async with HttpFetcher(server.url, retries=server.retries()) as fetcher:
            with pytest.raises(error):
                await fetcher.fetch("checkpoint", max_bytes=9)
        assert (server.asked, server.pauses) == ([b"GET"], [])


async def test_nobody_ever_answered() -> None:
    """Where nobody ever answered nothing is waited for: the address is more likely wrong."""
    async with serve(RESET) as server:
        async with HttpFetcher(server.url, retries=server.retries()) as fetcher:
            with pytest.raises(NotReachableError):
                await fetcher.fetch("checkpoint", max_bytes=9)
        assert server.pauses == []


async def test_time_is_bounded() -> None:
    """A server that is never ready is given up after the time, at once where there is none."""
    for total_s, pauses_s in ((20.0, 20.0), (0.0, 0.0)):
        async with serve(refusal(503, "starting")) as server:
            async with HttpFetcher(server.url, retries=server.retries(total_s)) as fetcher:
                with pytest.raises(HttpStatusError):
                    await fetcher.fetch("checkpoint", max_bytes=9)
            assert pauses_s / 2 <= sum(server.pauses) <= pauses_s
            assert len(server.asked) == len(server.pauses) + 1


async def test_posts_are_sent_once() -> None:
    """A post fails as it fails: only who knows that it has an id may send it again."""
    for answer in (refusal(429, "queue-full", "Retry-After: 0"), RESET):
        async with serve(answer) as server:
            async with HttpFetcher(server.url, retries=server.retries()) as fetcher:
                with pytest.raises(FetchError):
                    await fetcher.post("add", b"x", content_type="a/b", params={}, max_bytes=9)
            assert server.asked == [b"POST"]


UNREADABLE = {
    "too large": b"HTTP/1.1 201 Created\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000,
    "a bomb": b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\n\r\n"
    + gzip.compress(bytes(10**7)),
    "no gzip": b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\n\r\nplain",
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_unreadable_answer_to_an_append(answer: bytes) -> None:
    """An answer that cannot be read leaves it open whether the entry stands; it is not repeated."""
    async with serve(answer) as server:
        async with HttpFetcher(server.url) as fetcher:
            with pytest.raises(OutcomeUnknownError):
                await submit_entry(fetcher, b"entry", retries=server.retries())
        assert server.asked == [b"POST"]
