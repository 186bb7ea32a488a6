"""A log that is created for a token: it joins the logs of that token."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.server.hosts import ORIGIN, filled, open_host
from tlog.control import ControlDatabase
from tlog.creation import NewLog
from tlog.errors import AlreadyExistsError, ControlDatabaseError, StoppingError
from tlog.host import Host
from tlog.tokens import Scope

OTHER = NewLog("b", "log.example/b")


async def _administrator(host: Host) -> str:
    """The id of a new token that administers log `a`."""
    row = host.tokens.find(await host.create_token(["a"], [Scope.ADMIN]))
    assert row is not None
    return row.id


async def test_a_created_log_joins_those_of_its_creator(tmp_path: Path) -> None:
    """At once and over a restart; the token is the same otherwise, and other tokens are."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        creator, other = await _administrator(host), await _administrator(host)
        before = host.tokens.rows[creator]
        seen: list[frozenset[str]] = []

        async def observer() -> None:
            seen.append(host.tokens.rows[creator].logs)

        host.observe(observer)
        await host.create_log(OTHER, creator)
        assert seen == [{"a", "b"}]
        with pytest.raises(AlreadyExistsError):
            await host.create_log(NewLog("c", ORIGIN), creator)
    async with open_host(tmp_path) as host:
        row = host.tokens.rows[creator]
        assert row.logs == {"a", "b"}
        assert (row.scopes, row.expires, row.revoked) == (before.scopes, before.expires, None)
        assert host.tokens.rows[other].logs == {"a"}


async def test_a_creator_that_is_revoked_meanwhile_stays_so(tmp_path: Path) -> None:
    """Whenever the log is there and the creation goes on: dead, now and after a restart."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        tokens = [await _administrator(host) for _ in range(12)]
        for turns, creator in enumerate(tokens):
            new = NewLog(f"b{turns}", f"log.example/b{turns}")
            creating = asyncio.create_task(host.create_log(new, creator))
            while new.name not in host.logs:  # noqa: ASYNC110 - turn by turn from here on
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            await host.revoke_token(creator)
            await creating
            assert host.tokens.rows[creator].revoked is not None
    async with open_host(tmp_path) as host:
        assert all(host.tokens.rows[creator].revoked is not None for creator in tokens)
        assert len(host.logs) == 1 + len(tokens)


async def test_a_creation_is_checked_again_when_its_turn_comes(tmp_path: Path) -> None:
    """A token revoked while another log is made makes none."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        creator = await _administrator(host)

        def check() -> None:
            if host.tokens.rows[creator].revoked is not None:
                message = "revoked"
                raise StoppingError(message)

        first = asyncio.create_task(host.create_log(OTHER))
        await asyncio.sleep(0)
        second = asyncio.create_task(host.create_log(NewLog("c", "log.example/c"), creator, check))
        await asyncio.sleep(0)
        await host.revoke_token(creator)
        await first
        with pytest.raises(StoppingError):
            await second
        assert set(host.logs) == {"a", "b"}


async def test_a_log_whose_creator_could_not_be_stored_exists(tmp_path: Path) -> None:
    """The failure is told, and everybody who watches the host hears of the log all the same."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        creator = await _administrator(host)
        announced: list[list[str]] = []

        async def observer() -> None:
            announced.append(sorted(host.logs))

        host.observe(observer)
        with (
            patch.object(ControlDatabase, "put_token", side_effect=ControlDatabaseError("full")),
            pytest.raises(ControlDatabaseError),
        ):
            await host.create_log(OTHER, creator)
        assert announced == [["a", "b"]]
        assert host.log("b").state == "ready"
