"""Both faces against the real server: over TLS, through its restarts, and many at a time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Certificate
from tests.cli.site import Site
from tests.clients.faces import FACES, Face
from tlog_clients import HttpStatusError, Log, NotReachableError, Trust


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A real server with an empty log, at the same address after each start."""
    site = Site(tmp_path, "--listen", f"127.0.0.1:{free_port()}")
    with site.server:
        yield site


@pytest.fixture(params=FACES)
def log(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[Face]:
    """The site's log, open by one of the faces."""
    settings: dict[str, Any] = {"state": tmp_path / "heads.json", "cache": tmp_path / "cache"}
    opened = FACES[request.param](site.url, trust=site.vkey, token=site.token, **settings)
    with opened as face:
        yield face


def test_through_a_restart(log: Face, site: Site) -> None:
    """While the server starts again, calls wait; what they append stands once, and is read."""
    entries = [b"entry %d" % number for number in range(700)]
    assert log.append_many(entries).indexes == tuple(range(1, 701))
    site.server.kill()
    with ThreadPoolExecutor(1) as pool:
        restarted = pool.submit(site.server.start)
        assert log.append(b"after").index == 701
        restarted.result()
    assert list(log.read_range(1)) == [*entries, b"after"]
    following = log.follow(701, poll_s=0.05)
    assert next(following) == (701, b"after")
    site.server.kill()
    with ThreadPoolExecutor(1) as pool:
        restarted = pool.submit(site.server.start)
        assert list(log.follow(702, timeout_s=0)) == []
        restarted.result()
    log.append(b"more")
    assert next(following) == (702, b"more")
    assert log.verify(log.prove(702), b"more").size == 703


def test_token_that_may_only_append(log: Face, site: Site) -> None:
    """It appends, and the entry stands; its head is reported, and nothing is read with it."""
    log.append(b"first")
    settings: dict[str, Any] = {"state": False, "cache": False}
    token = site.make_token("append")
    with Log(site.url, trust=site.vkey, token=token, **settings) as writer:
        assert writer.append(b"second").index == 2
        assert writer.append(b"third").trust is Trust.REPORTED
        with pytest.raises(HttpStatusError) as caught:
            writer.read(1)
        assert caught.value.status == 403
    assert log.read(2) == b"second"


def test_many_at_a_time(log: Face, site: Site, tmp_path: Path) -> None:
    """Several objects on one state file and one cache append at a time, and none fails."""

    def append(number: int) -> list[int]:
        settings: dict[str, Any] = {"state": tmp_path / "heads.json", "cache": tmp_path / "cache"}
        with Log(site.url, trust=site.vkey, token=site.token, **settings) as own:
            return [own.append(b"%d %d" % (number, turn)).index for turn in range(8)]

    with ThreadPoolExecutor(4) as pool:
        indexes = [index for mine in pool.map(append, range(4)) for index in mine]
    assert sorted(indexes) == list(range(1, 33))
    assert len(list(log.read_range(0))) == 33


def test_tls(tmp_path: Path) -> None:
    """Over TLS with an authority of one's own; without it nothing is sent to the server."""
    authority = Certificate.authority()
    certificate, key = authority.issue("server").write(tmp_path, "server")
    site = Site(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key))
    with site.server:
        assert site.url.startswith("https://")
        for face in FACES.values():
            settings: dict[str, Any] = {
                "trust": site.vkey,
                "token": site.token,
                "state": False,
                "cache": False,
            }
            with face(site.url, ssl=authority.client_context(), **settings) as log:
                assert log.read(log.append(b"x").index) == b"x"
            with (
                face(site.url, **settings) as log,
                pytest.raises(NotReachableError, match="certificate is not trusted"),
            ):
                log.append(b"x")
