"""The appender and the real server: what a token that may only append can show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.site import TIMEOUT_S, Site
from tlog_clients import Trust
from tlog_clients.appender import Appender


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A new log behind a server."""
    site = Site(tmp_path)
    yield site
    site.server.kill()


def test_token_that_may_only_append(site: Site, tmp_path: Path) -> None:
    """Its entries are delivered under heads that the log signed, and found in no tree."""
    token = site.make_token("append")
    with Appender(site.url, trust=site.vkey, token=token, spool=tmp_path / "spool") as appender:
        places = [
            appender.append(b"entry %d" % number).committed().result(TIMEOUT_S)
            for number in range(3)
        ]
        assert [place.trust for place in places] == [Trust.TRUSTED, Trust.REPORTED, Trust.REPORTED]
        assert not any(place.inclusion_verified for place in places)
        stats = appender.stats()
        assert (stats.committed, stats.trusted, stats.included, stats.failures) == (3, 1, 0, 0)
