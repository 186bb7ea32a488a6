from __future__ import annotations

import itertools

import pytest
from yarl import URL

from tests.api.conftest import Api
from tests.api.fakes import FakeHost
from tlog.api.access import Access, Caller, authorise
from tlog.api.app import App
from tlog.tokens import Scope

# Every route by hand, so that a new one does not pass unseen: method, path as the router spells
# it, a path to ask for, and which column of EXPECTED it has.
TABLE = {
    ("GET", "/healthz"): ("/healthz", "anybody"),
    ("GET", "/readyz"): ("/readyz", "anybody"),
    ("GET", "/openapi.json"): ("/openapi.json", "anybody"),
    ("GET", "/logs"): ("/logs", "listing"),
    ("GET", "/logs/{name}/checkpoint"): ("/logs/LOG/checkpoint", "read"),
    ("GET", "/logs/{name}/checkpoints"): (
        "/logs/LOG/checkpoints?at=2999-01-01T00:00:00Z",
        "read",
    ),
    ("GET", "/logs/{name}/checkpoints/{size}"): ("/logs/LOG/checkpoints/1", "read"),
    ("GET", "/logs/{name}/tile/{path:rest}"): ("/logs/LOG/tile/0/000.p/1", "read"),
    ("GET", "/logs/{name}/entries/{index}"): ("/logs/LOG/entries/0", "read"),
    ("GET", "/logs/{name}/proof/inclusion/{index}"): ("/logs/LOG/proof/inclusion/0", "read"),
    ("GET", "/logs/{name}/proof/inclusion/{index}/{size}"): (
        "/logs/LOG/proof/inclusion/0/1",
        "read",
    ),
    ("GET", "/logs/{name}/proof/consistency/{old}/{new}"): (
        "/logs/LOG/proof/consistency/1/1",
        "read",
    ),
    ("GET", "/logs/{name}/leaf-hash/{hex}"): (
        # SHA-256 of 0x00 and "genesis", computed with another program
        "/logs/LOG/leaf-hash/LEAF",
        "read",
    ),
    ("POST", "/logs/{name}/add"): ("/logs/LOG/add", "append"),
    ("POST", "/logs/{name}/entries"): ("/logs/LOG/entries", "append"),
}
GETS = [(method, path) for method, path in TABLE if method == "GET"]
ROWS = TABLE | {("HEAD", path): TABLE[method, path] for method, path in GETS}

LOCAL_ROWS = {
    *((method, path) for method, path in ROWS if method != "POST"),
    ("GET", "/metrics"),
    ("HEAD", "/metrics"),
    ("GET", "/admin/logs"),
    ("HEAD", "/admin/logs"),
    ("POST", "/admin/logs"),
    ("GET", "/admin/logs/{name}"),
    ("HEAD", "/admin/logs/{name}"),
    ("POST", "/admin/logs/{name}/confirm-clock"),
    ("GET", "/admin/tokens"),
    ("HEAD", "/admin/tokens"),
    ("POST", "/admin/tokens"),
    ("DELETE", "/admin/tokens/{id}"),
}

INVALID = ("none", "garbage", "basic", "unknown", "expired", "revoked")
VALID = ("other", "read", "append", "admin", "both")
TOKENS = INVALID + VALID
LOGS = ("public", "private", "absent", "IMPOSSIBLE")
OK = "ok"

# (access, log) -> token -> status; OK is the status of the route when it is allowed.
_ALL_OK: dict[str, str | int] = dict.fromkeys(TOKENS, OK)
_NO_TOKEN: dict[str, str | int] = dict.fromkeys(INVALID, 401)
_NOT_SEEN = _NO_TOKEN | dict.fromkeys(VALID, 404)
EXPECTED: dict[tuple[str, str], dict[str, str | int]] = {
    ("read", "public"): _ALL_OK,
    ("read", "private"): _NO_TOKEN
    | {"other": 404, "read": OK, "append": 403, "admin": 403, "both": OK},
    ("read", "absent"): _NOT_SEEN,
    ("read", "IMPOSSIBLE"): _NOT_SEEN,
    ("append", "public"): _NO_TOKEN
    | {"other": 403, "read": 403, "append": OK, "admin": 403, "both": OK},
    ("append", "private"): _NO_TOKEN
    | {"other": 404, "read": 403, "append": OK, "admin": 403, "both": OK},
    ("append", "absent"): _NOT_SEEN,
    ("append", "IMPOSSIBLE"): _NOT_SEEN,
}
for _log in LOGS:
    EXPECTED["anybody", _log] = _ALL_OK
    EXPECTED["listing", _log] = _ALL_OK | _NO_TOKEN | {"none": OK}


def authorization(host: FakeHost, kind: str) -> dict[str, str]:
    """The header of a kind of token, of TOKENS."""
    logs = ("public", "private")
    scopes = {
        "read": (Scope.READ,),
        "append": (Scope.APPEND,),
        "admin": (Scope.ADMIN,),
        "both": (Scope.READ, Scope.APPEND),
    }
    match kind:
        case "none":
            return {}
        case "garbage":
            return {"Authorization": "Bearer \u00e4 \u00f6"}
        case "basic":
            return {"Authorization": "Basic dXNlcjpwYXNz"}
        case "unknown":
            return {"Authorization": f"Bearer tlog_{'a' * 10}_{'b' * 43}"}
        case "expired":
            token = host.token(logs, *Scope, lifetime_s=0)
        case "revoked":
            token = host.token(logs, *Scope)
            row = host.tokens.find(token)
            assert row is not None
            host.tokens.add(host.tokens.revoked(row.id))
        case "other":
            token = host.token(("events",), *Scope)
        case _:
            token = host.token(logs, *scopes[kind])
    return {"Authorization": f"Bearer {token}"}


def _routes(app: App) -> set[tuple[str, str]]:
    routes = {(route.method, route.path) for route in app.routes}
    return routes | {("HEAD", path) for method, path in routes if method == "GET"}


async def test_every_route_of_the_running_routers_has_a_row(api: Api) -> None:
    """A route that is served and not in the table of this test is a failure, and vice versa."""
    assert _routes(api.app) == set(ROWS)
    assert _routes(api.local_app) == LOCAL_ROWS


@pytest.mark.parametrize("token", TOKENS)
async def test_every_route_with_every_token_on_every_log(api: Api, token: str) -> None:
    """Statuses of routes x logs for one kind of token are those of the table."""
    wrong = []
    leaf = api.host.logs["public"].hashes[0].hex()
    for (method, route), log in itertools.product(sorted(ROWS), LOGS):
        path, column = ROWS[method, route]
        path = path.replace("LOG", log).replace("LEAF", leaf)
        expected = EXPECTED[column, log][token]
        if expected == OK:
            expected = 201 if route.endswith("/entries") else 200
        async with api.http.request(
            method,
            path,
            headers=authorization(api.host, token)
            | ({"Content-Type": "application/octet-stream"} if method == "POST" else {}),
        ) as response:
            if response.status != expected:
                wrong.append((method, path, response.status, expected))
            if response.status == 401:
                assert response.headers["WWW-Authenticate"] == "Bearer"
            if response.status >= 400:
                assert response.headers["Cache-Control"] == "no-store"
                assert response.content_type == "application/problem+json"
    assert not wrong


@pytest.mark.parametrize(
    ("token", "log", "expected"),
    [
        (token, log, 401 if token in INVALID and log != "public" else 404)
        for token in TOKENS
        for log in ("public", "private", "absent")
    ],
)
async def test_paths_without_a_route_tell_no_more_than_routes(
    api: Api, token: str, log: str, expected: int
) -> None:
    """An unknown path or an unknown spelling below a log is 401 where the log would be."""
    headers = authorization(api.host, token)
    for path in ("metadata", "checkpoint/", "%63heckpoint", "tile/0/000.p%2F1"):
        url = f"http://127.0.0.1:{api.port}/logs/{log}/{path}"
        async with api.http.get(URL(url, encoded=True), headers=headers) as response:
            assert (response.status, path) == (expected, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/admin/logs"), ("POST", "/admin/tokens"), ("GET", "/metrics"), ("GET", "/")],
)
async def test_nothing_administrative_is_on_tcp(api: Api, method: str, path: str) -> None:
    """Administrative paths are 404 on TCP, whatever the token."""
    headers = api.bearer(*Scope)
    async with api.http.request(method, path, headers=headers) as response:
        assert response.status == 404


@pytest.mark.parametrize("path", ["/logs/public/add", "/logs/private/entries"])
async def test_the_socket_takes_no_appends(api: Api, path: str) -> None:
    """Appends belong to token holders: the socket has no such route."""
    async with api.local.post(path, data=b"x") as response:
        assert response.status in (404, 405)


@pytest.mark.parametrize("path", ["/logs", "/logs/private/checkpoint", "/admin/tokens", "/readyz"])
async def test_the_socket_needs_no_token(api: Api, path: str) -> None:
    """Whoever can open the socket is the operator."""
    async with api.local.get(path) as response:
        assert response.status == 200


async def test_a_second_authorization_header_does_not_help(api: Api) -> None:
    """Of two Authorization headers none that is invalid is overruled by a later one."""
    headers = [
        ("Authorization", "Bearer x"),
        ("Authorization", api.bearer(Scope.READ)["Authorization"]),
    ]
    async with api.http.get("/logs/private/checkpoint", headers=headers) as response:
        assert response.status == 401


async def test_the_list_of_logs_holds_what_the_caller_sees(api: Api) -> None:
    """Nobody sees public logs only; a token adds the logs that it has any scope on."""
    for headers, names in (
        ({}, {"public"}),
        (api.bearer(Scope.APPEND), {"public", "private"}),
        (api.bearer(Scope.READ, logs=("events",)), {"public", "events"}),
    ):
        async with api.http.get("/logs", headers=headers) as response:
            logs = (await response.json())["logs"]
            assert {log["name"] for log in logs} == names
    async with api.local.get("/logs") as response:
        assert len((await response.json())["logs"]) == 3


async def test_why_a_public_log_is_read_only_is_not_for_anybody(api: Api) -> None:
    """A reason may name paths: token holders and the operator see it, nobody else."""
    api.host.logs["public"].reason = "reading /srv/secret/path failed"
    for client, headers, shown in (
        (api.http, {}, False),
        (api.http, api.bearer(Scope.READ), True),
        (api.local, {}, True),
    ):
        async with client.get("/logs", headers=headers) as response:
            assert (b"/srv/secret" in await response.read()) == shown
            assert ("reason" in (await response.json())["logs"][0]) == shown


async def test_readiness_tells_details_only_with_a_token(api: Api) -> None:
    """States and reasons of logs are shown for what a valid token sees, and to nobody else."""
    api.host.logs["private"].reason = "the disk is on fire"
    api.host.accepting = False
    async with api.http.get("/readyz") as response:
        assert response.status == 503
        assert b"fire" not in await response.read()
        assert response.content_type == "application/problem+json"
    for headers, seen in (
        ({"Authorization": "Bearer x"}, None),
        (api.bearer(Scope.READ), ["public", "private"]),
        (api.bearer(Scope.READ, logs=("events",)), ["public", "events"]),
    ):
        async with api.http.get("/readyz", headers=headers) as response:
            assert response.status == 503
            logs = (await response.json()).get("logs")
            assert (None if logs is None else [log["name"] for log in logs]) == seen
            protection = (await response.json()).get("fork_protection")
            assert protection == (None if seen is None else "local")
    api.host.accepting = True
    async with api.http.get("/readyz", headers=api.bearer(Scope.READ)) as response:
        assert response.status == 200
        assert (await response.json())["fork_protection"] == "local"
    async with api.http.get("/readyz") as response:
        assert await response.json() == {"ready": True}


@pytest.mark.parametrize("access", [access for access in Access if access is not Access.LOCAL])
async def test_the_operator_passes_every_rule(api: Api, access: Access) -> None:
    """The caller of the unix socket is stopped by no rule on an existing log."""
    host = api.host.as_host()
    log = authorise(access, host, Caller(local=True), "private")
    assert log is host.logs["private"]
