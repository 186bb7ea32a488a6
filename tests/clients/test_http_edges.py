"""What the HTTP client neither keeps nor takes: cookies, other statuses, tokens without end."""

from __future__ import annotations

import pytest
from aiohttp import web

from tests.clients.test_fetch import fetch, post, respond, serve
from tlog_clients import HttpFetcher, HttpStatusError
from tlog_proofs import MalformedError


async def test_cookies_are_not_kept() -> None:
    """A cookie that a server sets is sent neither with the next request nor ever."""
    cookies: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "who=you; Path=/"})

    async with (
        serve(handler) as url,
        # By name: of a numeric address a client that keeps cookies keeps none either.
        HttpFetcher(url.replace("127.0.0.1", "localhost")) as fetcher,
    ):
        for _ in range(2):
            await fetcher.fetch("checkpoint", max_bytes=9)
    assert cookies == [None, None]


@pytest.mark.parametrize("status", [201, 202, 203, 206])
async def test_other_statuses_of_reads(status: int) -> None:
    """A read takes 200 alone: part of a resource, or a promise of one, is none."""
    async with serve(respond(b"half", status)) as url:
        with pytest.raises(HttpStatusError):
            await fetch(url)


@pytest.mark.parametrize("status", [203, 206, 207])
async def test_other_statuses_of_appends(status: int) -> None:
    """An append takes 200, 201 and 202 alone."""
    async with serve(respond(b"{}", status)) as url:
        with pytest.raises(HttpStatusError):
            await post(url)


def test_longest_token() -> None:
    """A token has at most 1,000 characters."""
    HttpFetcher("http://localhost/logs/x", token="x" * 1_000)
    with pytest.raises(MalformedError, match="token"):
        HttpFetcher("http://localhost/logs/x", token="x" * 1_001)
