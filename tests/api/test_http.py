"""Below the routes: what is not HTTP, expectations, and connections that end early."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.api.conftest import Api
from tlog.tokens import Scope

LIMIT_S = 15.0


async def _exchange(api: Api, data: bytes) -> bytes:
    """Send bytes, and read until the server closes."""
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(data)
        answer = await reader.read()
        writer.close()
        return answer


def _split(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\nX: \x00\r\n\r\n",
        b"POST /logs/a/add HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
)
async def test_what_is_not_http_is_a_problem_too(api: Api, request_bytes: bytes) -> None:
    """A request that the parser refuses is a 400 that quotes nothing and ends the connection."""
    status, headers, body = _split(await _exchange(api, request_bytes))
    assert status == 400
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert headers["server"] == "tlog"
    problem = json.loads(body)
    assert problem["type"] == "urn:tlog:problem:malformed"
    assert problem["request_id"] == headers["x-request-id"]
    assert b"GARBAGE" not in body


@pytest.mark.parametrize("path", ["/logs/private/add", "/nothing", "/healthz"])
async def test_other_expectations_than_continue_fail(api: Api, path: str) -> None:
    """An unknown Expect is a 417 problem on every path."""
    token = api.bearer(Scope.APPEND)["Authorization"]
    answer = await _exchange(
        api,
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nConnection: close\r\n"
        "Expect: a-miracle\r\nContent-Length: 1\r\n\r\nx".encode(),
    )
    status, headers, body = _split(answer)
    assert status in ((417, 405) if path == "/healthz" else (417,))
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == status


async def test_a_body_is_asked_for_only_when_it_is_wanted(api: Api) -> None:
    """100 Continue comes after the access rule and the length: a refused body is never sent."""
    token = api.bearer(Scope.APPEND)["Authorization"]
    for authorization, length, expected in (
        ("Bearer x", 2, b"HTTP/1.1 401 "),
        (token, 65_536, b"HTTP/1.1 413 "),
        (token, 2, b"HTTP/1.1 100 Continue\r\n\r\n"),
    ):
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
            writer.write(
                f"POST /logs/private/add HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n"
                f"Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n".encode()
            )
            assert await reader.readexactly(len(expected)) == expected
            if b"100" in expected:
                writer.write(b"hi")
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                assert await reader.readexactly(1) == b"1"
            writer.close()


async def test_a_disconnect_takes_nothing_back(api: Api) -> None:
    """An entry that was queued is committed although its client has gone."""
    log = api.host.logs["private"]
    log.gate.clear()
    token = api.bearer(Scope.APPEND)["Authorization"]
    async with asyncio.timeout(LIMIT_S):
        _, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(
            f"POST /logs/private/add HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
            "Content-Length: 5\r\n\r\nhello".encode()
        )
        await log.entered.wait()
        writer.transport.abort()
        await asyncio.sleep(0.05)
        log.gate.set()
        await log.committed.wait()
    assert log.entries[1] == b"hello"


@pytest.mark.parametrize("sender", ["POST /logs/private/add", "GET /healthz"])
@pytest.mark.parametrize(
    "coding",
    ["gzip, chunked", "xyz,chunked", "identity, chunked"],
)
async def test_only_the_transfer_coding_chunked_is_taken(
    api: Api, sender: str, coding: str
) -> None:
    """Another coding is not taken as part of the body: 501, and the connection ends."""
    token = api.bearer(Scope.APPEND)["Authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        f"{sender} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        f"Transfer-Encoding: {coding}\r\n\r\n1\r\nx\r\n0\r\n\r\n".encode()
    )
    async with asyncio.timeout(LIMIT_S):
        got = await reader.read()
    writer.close()
    assert got.startswith(b"HTTP/1.1 501 ")
    assert b"urn:tlog:problem:transfer-coding" in got
    assert len(api.host.logs["private"].entries) == 1


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "\tCHUNKED"])
async def test_chunked_is_taken_however_it_is_spelled(api: Api, coding: str) -> None:
    """Case and white space around it do not count."""
    token = api.bearer(Scope.APPEND)["Authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        f"POST /logs/private/add HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        f"Transfer-Encoding: {coding}\r\n\r\n1\r\nx\r\n0\r\n\r\n".encode()
    )
    async with asyncio.timeout(LIMIT_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.close()
    assert api.host.logs["private"].entries[1:] == [b"x"]


async def test_a_body_that_breaks_off_appends_nothing(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half a body is no entry, and no error of the server's."""
    token = api.bearer(Scope.APPEND)["Authorization"]
    for headers, body in (
        ("Content-Length: 10", b"hello"),
        ("Transfer-Encoding: chunked", b"a\r\nhello"),
        ("Transfer-Encoding: chunked", b"zz\r\nhello\r\n0\r\n\r\n"),
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(
            f"POST /logs/private/add HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
            f"{headers}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.05)
    async with api.http.get("/healthz") as response:
        assert response.status == 200
    assert len(api.host.logs["private"].entries) == 1
    assert "request failed" not in capsys.readouterr().out


async def test_closing_answers_what_is_under_way_and_accepts_nothing(api: Api) -> None:
    """A request that waits when shut-down begins is answered; a new connection is refused."""
    log = api.host.logs["private"]
    log.publishing = False

    async def append() -> tuple[int, object]:
        async with api.http.post(
            "/logs/private/entries?wait=published&timeout_s=30",
            data=b"x",
            headers=api.bearer(Scope.APPEND) | {"Content-Type": "application/octet-stream"},
        ) as response:
            return response.status, await response.json()

    async with asyncio.timeout(LIMIT_S):
        waiting = asyncio.create_task(append())
        await log.committed.wait()
        log.released.set()
        await api.listener.close()
        status, members = await waiting
    assert status == 202
    assert isinstance(members, dict)
    assert members["state"] == "committed"
    with pytest.raises(OSError, match=r"."):
        await asyncio.open_connection("127.0.0.1", api.port)


async def test_closing_does_not_wait_for_a_slow_body(api: Api) -> None:
    """A body that never ends does not keep the server from ending."""
    token = api.bearer(Scope.APPEND)["Authorization"]
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(
        f"POST /logs/private/add HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
        "Content-Length: 10\r\n\r\nhello".encode()
    )
    await writer.drain()
    await asyncio.sleep(0.05)
    async with asyncio.timeout(LIMIT_S):
        await api.listener.close()
    writer.close()
    assert len(api.host.logs["private"].entries) == 1
