"""The administrative address: as the unix socket, to tokens of scope admin, each over its logs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.api.conftest import GRACE_S, LIMITS
from tests.api.documented import check, record
from tests.api.fakes import FakeHost
from tests.api.test_access import INVALID, LOCAL_ROWS, ROWS, TOKENS, authorization
from tests.certificates import Certificate
from tlog.api.app import App, make_admin_app
from tlog.api.listener import Listener
from tlog.tokens import Scope

# Beside the rows of test_access, whose paths have LOG for a log's name: the administrative routes,
# with a status where it is not 200.
ADMIN_PATHS = {
    ("GET", "/admin/logs"): ("/admin/logs", 200),
    ("HEAD", "/admin/logs"): ("/admin/logs", 200),
    ("POST", "/admin/logs"): ("/admin/logs", 415),
    ("GET", "/admin/logs/{name}"): ("/admin/logs/LOG", 200),
    ("HEAD", "/admin/logs/{name}"): ("/admin/logs/LOG", 200),
    ("POST", "/admin/logs/{name}/confirm-clock"): ("/admin/logs/LOG/confirm-clock", 200),
    ("GET", "/admin/tokens"): ("/admin/tokens", 200),
    ("HEAD", "/admin/tokens"): ("/admin/tokens", 200),
    ("POST", "/admin/tokens"): ("/admin/tokens", 415),
    ("DELETE", "/admin/tokens/{id}"): ("/admin/tokens/aaaaaaaaaa", 404),
}
WITHOUT_ADMIN = ("read", "append", "both")
LOGS = ("public", "private", "events", "absent")


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A host without tokens."""
    return FakeHost(tmp_path)


@pytest.fixture
def app(host: FakeHost) -> App:
    """Its application for administrators."""
    return make_admin_app(host.as_host())


@pytest.fixture
async def http(app: App) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of that application, served over TCP; every answer is a documented one."""
    answers = record(app)
    bound = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    listener = Listener(app, [bound], GRACE_S, LIMITS)
    await listener.start()
    try:
        async with aiohttp.ClientSession(url) as session:
            yield session
    finally:
        await listener.close()
    for answer in set(answers):
        check(answer)


def bearer(host: FakeHost, *logs: str) -> dict[str, str]:
    """The header of a new token with scope admin."""
    return {"Authorization": f"Bearer {host.token(logs, Scope.ADMIN)}"}


def _expected(token: str, route: str, log: str, allowed: int) -> int:
    """What a request gets: `admin` is of public and private logs, `other` of the event log."""
    if token in INVALID:
        return 401
    if token in WITHOUT_ADMIN:
        return 403
    ruled = ("events",) if token == "other" else ("public", "private")
    if "{name}" not in route or log in ruled:
        return allowed
    if log == "public":  # everybody sees it, and reads it: only its administration is refused
        return 403 if route.startswith("/admin") else allowed
    return 404


async def test_its_routes_are_those_of_the_socket(app: App) -> None:
    """Reads and administration, no appends."""
    routes = {(route.method, route.path) for route in app.routes}
    assert routes | {("HEAD", path) for method, path in routes if method == "GET"} == LOCAL_ROWS


@pytest.mark.parametrize("token", TOKENS)
async def test_every_route_with_every_token_on_every_log(
    host: FakeHost, http: aiohttp.ClientSession, token: str
) -> None:
    """401 without a valid token, 403 without scope admin, whatever the route; else by the log."""
    reads = {key: (path, 200) for key, (path, _) in ROWS.items() if key[0] != "POST"}
    wrong = []
    for (method, route), (path, allowed) in sorted((reads | ADMIN_PATHS).items()):
        for log in LOGS:
            expected = _expected(token, route, log, allowed)
            leaf = host.logs["public" if log == "absent" else log].hashes[0].hex()
            asked = path.replace("LOG", log).replace("LEAF", leaf)
            headers = authorization(host, token)
            async with http.request(method, asked, headers=headers) as response:
                if response.status != expected:
                    wrong.append((method, asked, response.status, expected))
                if response.status == 401:
                    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert not wrong


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/logs/public/nothing", "/logs/public/add", "/metrics/nothing"]
)
async def test_paths_without_a_route_tell_nobody_anything(
    host: FakeHost, http: aiohttp.ClientSession, path: str
) -> None:
    """Without scope admin an unknown path is answered as any other."""
    for token, statuses in (("none", {401}), ("both", {403}), ("admin", {404, 405})):
        async with http.get(path, headers=authorization(host, token)) as response:
            assert response.status in statuses


async def test_certificates_of_others_are_neither_shown_nor_taken(
    host: FakeHost, http: aiohttp.ClientSession
) -> None:
    """A row of a certificate is made, listed and revoked for the logs of the token that asks."""
    mine, shared, theirs = [
        await host.create_certificate(hashlib.sha256(bytes([number])).digest(), logs, [Scope.READ])
        for number, logs in enumerate((["private"], ["private", "events"], ["events"]))
    ]
    headers = bearer(host, "private")
    async with http.get("/admin/tokens", headers=headers) as response:
        rows = (await response.json())["tokens"]
        assert [row["id"] for row in rows if row["certificate"]] == [mine]
    for row_id, status in ((shared, 404), (theirs, 404), (mine, 200)):
        async with http.delete(f"/admin/tokens/{row_id}", headers=headers) as response:
            assert response.status == status
        assert (host.tokens.rows[row_id].revoked is None) == (status == 404)
    before = len(host.tokens.rows)
    pem = Certificate.authority().pem.decode()
    for logs in (["events"], ["private", "events"], ["absent"]):
        wanted = {"logs": logs, "scopes": ["read"], "certificate": pem}
        async with http.post("/admin/tokens", headers=headers, json=wanted) as response:
            assert response.status == 404
    assert len(host.tokens.rows) == before
    wanted = {"logs": ["private"], "scopes": ["read"], "certificate": pem}
    async with http.post("/admin/tokens", headers=headers, json=wanted) as response:
        assert response.status == 201


async def test_logs_and_tokens_of_others_are_not_shown(
    host: FakeHost, http: aiohttp.ClientSession
) -> None:
    """Lists hold the logs of the token that asks, and the tokens that are for these alone."""
    mine, shared, theirs = (
        host.token(logs, Scope.READ).split("_")[1]
        for logs in (["private"], ["private", "events"], ["events"])
    )
    headers = bearer(host, "private")
    own = headers["Authorization"].split("_")[1]
    async with http.get("/admin/logs", headers=headers) as response:
        assert [log["name"] for log in (await response.json())["logs"]] == ["private"]
    async with http.get("/admin/tokens", headers=headers) as response:
        assert {row["id"] for row in (await response.json())["tokens"]} == {mine, own}
    for token_id, status in ((shared, 404), (theirs, 404), (mine, 200)):
        async with http.delete(f"/admin/tokens/{token_id}", headers=headers) as response:
            assert response.status == status
        assert (host.tokens.rows[token_id].revoked is None) == (status == 404)


@pytest.mark.parametrize(
    ("logs", "status"),
    [(["private"], 201), (["events"], 404), (["private", "events"], 404), (["absent"], 404)],
)
async def test_tokens_are_made_for_the_logs_of_the_token_that_asks(
    host: FakeHost, http: aiohttp.ClientSession, logs: list[str], status: int
) -> None:
    """No administrator gives away, or takes, what is another one's."""
    headers = bearer(host, "private")
    before = len(host.tokens.rows)
    body = {"logs": logs, "scopes": ["admin", "read"]}
    async with http.post("/admin/tokens", headers=headers, json=body) as response:
        assert response.status == status
    assert len(host.tokens.rows) == before + (status == 201)


async def test_a_log_is_created_for_the_token_that_asks(
    host: FakeHost, http: aiohttp.ClientSession
) -> None:
    """The host is told to whose logs a new one is to be added."""
    headers = bearer(host, "private")
    body = {"name": "new", "origin": "example.com/new", "kind": "opaque/1"}
    async with http.post("/admin/logs", headers=headers, json=body) as response:
        assert response.status == 201
    assert host.creator == headers["Authorization"].split("_")[1]


async def test_metrics_show_the_logs_of_the_token_that_asks(
    host: FakeHost, http: aiohttp.ClientSession
) -> None:
    """Of other logs not even their names, nor what was refused there."""
    for log in host.logs:
        host.measures.http.appends[log, "accepted"] += 1
    async with http.get("/metrics", headers=bearer(host, "private")) as response:
        text = await response.text()
    assert 'tlog_appends_total{log="private",result="accepted"} 1.0' in text
    assert 'tlog_committed_size{log="private"}' in text
    assert not any(f'log="{name}"' in text for name in ("public", "events"))


async def test_a_token_that_is_revoked_during_an_upload_makes_nothing(
    host: FakeHost, http: aiohttp.ClientSession
) -> None:
    """The rights are those of the moment at which the body is there."""
    headers = bearer(host, "private")
    token_id = headers["Authorization"].split("_")[1]
    begun = asyncio.Event()
    body = json.dumps({"logs": ["private"], "scopes": ["admin"]}).encode()

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:5]
        await begun.wait()
        yield body[5:]

    headers["Content-Type"] = "application/json"
    asking = asyncio.create_task(http.post("/admin/tokens", headers=headers, data=slowly()))
    async with asyncio.timeout(20):
        while not host.http_measures.bodies:  # noqa: ASYNC110 - what the server counts
            await asyncio.sleep(0.01)
        host.tokens.add(host.tokens.revoked(token_id))
        begun.set()
        async with await asking as response:
            assert response.status == 401
    assert len(host.tokens.rows) == 1
