"""The unix socket: what the operator can do there, and who can open it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from tests.api.conftest import Api
from tests.api.fakes import NOW_S
from tlog.errors import DataDirectoryError
from tlog.local import LocalClient, bind_socket, socket_path
from tlog.tokens import Scope
from tlog_clients.errors import HttpStatusError, NotReachableError


async def test_a_created_log_is_there_at_once(api: Api) -> None:
    """201 with the log's facts; it is listed and shown from then on."""
    body = {"name": "new", "origin": "example.com/new", "kind": "opaque/1", "public": True}
    async with api.local.post("/admin/logs", json=body) as response:
        assert response.status == 201
        facts = await response.json()
    assert facts["name"] == "new"
    async with api.local.get("/admin/logs/new") as response:
        assert await response.json() == facts
    async with api.local.get("/admin/logs") as response:
        assert facts in (await response.json())["logs"]
    async with api.http.get("/logs/new/checkpoint") as response:
        assert response.status == 200


async def test_tokens_live_from_creation_to_revocation(api: Api) -> None:
    """A created token works at once, is listed without anything to guess it by, and is revoked."""
    body = {"logs": ["private"], "scopes": ["read"], "expires_in_s": 60}
    async with api.local.post("/admin/tokens", json=body) as response:
        assert response.status == 201
        token = (await response.json())["token"]
    headers = {"Authorization": f"Bearer {token}"}
    async with api.http.get("/logs/private/checkpoint", headers=headers) as response:
        assert response.status == 200
    async with api.local.get("/admin/tokens") as response:
        text = await response.text()
        (row,) = (await response.json())["tokens"]
    assert row == {
        "id": token.split("_")[1],
        "scopes": ["read"],
        "logs": ["private"],
        "created": NOW_S,
        "expires": NOW_S + 60,
        "revoked": None,
        "certificate": None,
    }
    assert token.split("_", 2)[2] not in text
    async with api.local.delete(f"/admin/tokens/{row['id']}") as response:
        assert response.status == 200
    async with api.http.get("/logs/private/checkpoint", headers=headers) as response:
        assert response.status == 401
    async with api.local.delete("/admin/tokens/aaaaaaaaaa") as response:
        assert response.status == 404


async def test_tokens_expire(api: Api) -> None:
    """The second at which a token expires is the first at which it does not work."""
    headers = {"Authorization": f"Bearer {api.host.token(['private'], Scope.READ, lifetime_s=60)}"}
    for passed_s, status in ((59, 200), (1, 401)):
        api.host.clock.now_s += passed_s
        async with api.http.get("/logs/private/checkpoint", headers=headers) as response:
            assert response.status == status


async def test_a_clock_is_confirmed(api: Api) -> None:
    """The operator's word reaches the log."""
    async with api.local.post("/admin/logs/private/confirm-clock") as response:
        assert response.status == 200
    assert api.host.logs["private"].clock_confirmed
    async with api.local.post("/admin/logs/absent/confirm-clock") as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/admin/logs", b""),
        ("/admin/logs", b"{}"),
        ("/admin/logs", b'{"name":1,"origin":"o","kind":"k"}'),
        ("/admin/logs", b'{"name":"n","origin":"o","kind":"k","more":1}'),
        ("/admin/logs", b'{"name":"\xff","origin":"o","kind":"k"}'),
        ("/admin/logs", b"[" * 60_000),
        ("/admin/tokens", b'{"logs":["private"],"scopes":["root"]}'),
        ("/admin/tokens", b'{"logs":"private","scopes":["read"]}'),
        ("/admin/tokens", b'{"logs":["private"],"scopes":["read"],"expires_in_s":"1"}'),
        ("/admin/tokens", b'{"logs":["private"],"scopes":["read"],"expires_in_s":0}'),
        ("/admin/tokens", b'{"logs":["private"],"scopes":["read"],"expires_in_s":3153600001}'),
        ("/admin/tokens", b'{"logs":["private"],"scopes":["read"],"expires_in_s":%d}' % 2**63),
        ("/admin/tokens", b'{"logs":["private"],"scopes":["read"],"expires_in_s":%d}' % 10**30),
    ],
)
async def test_bodies_are_strict(api: Api, path: str, body: bytes) -> None:
    """What is not exactly what the route takes is a 400."""
    headers = {"Content-Type": "application/json"}
    async with api.local.post(path, data=body, headers=headers) as response:
        assert response.status == 400
    async with api.local.post(path, data=b"{}", headers={"Content-Type": "x/y"}) as response:
        assert response.status == 415


async def test_the_socket_is_private_from_the_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode 0600 whatever the umask, and the umask is not touched."""
    old = os.umask(0)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", None)
            with bind_socket(tmp_path):
                mode = (tmp_path / "tlog.sock").stat().st_mode
    finally:
        os.umask(old)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    """The holder of the lock removes what a crash left."""
    bind_socket(tmp_path).close()
    with bind_socket(tmp_path) as bound, socket_path(tmp_path) as path:
        bound.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


async def test_a_path_may_be_longer_than_a_socket_address(tmp_path: Path) -> None:
    """A directory with a path far over 107 bytes has a socket like any other."""
    directory = tmp_path / ("x" * 100) / ("y" * 100)
    directory.mkdir(parents=True)
    with bind_socket(directory) as bound, socket_path(directory) as path:
        bound.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
    with pytest.raises(DataDirectoryError), socket_path(tmp_path / "absent"):
        pass


async def test_the_client_tells_refusals_from_silence(api: Api, tmp_path: Path) -> None:
    """A problem is carried by HttpStatusError; no server is NotReachableError."""
    with socket_path(tmp_path) as path:
        async with LocalClient(path) as client:
            assert await client.answers()
            assert "logs" in await client.request("GET", "/admin/logs")
            with pytest.raises(HttpStatusError) as caught:
                await client.request("GET", "/admin/logs/absent")
            assert caught.value.status == 404
            assert caught.value.problem is not None
        async with LocalClient(path + ".absent") as client:
            assert not await client.answers()
            with pytest.raises(NotReachableError):
                await client.request("GET", "/admin/logs")
