"""Clients' certificates in control.db: rows beside the tokens', in directories old and new."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.fakes import FakeClock
from tests.server.hosts import filled, open_host
from tlog.control import ControlDatabase
from tlog.errors import AlreadyExistsError, ControlDatabaseError, NotFoundError, UsageError
from tlog.tls import ClientCertificate
from tlog.tokens import MAX_LIFETIME_S, Scope, TokenRow, TokenTable

KEY = hashlib.sha256(b"a public key").digest()
CLIENT = ClientCertificate(KEY, 2**40)


def _tables(data: Path) -> set[str]:
    with closing(sqlite3.connect(data / "control.db")) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}


async def test_one_key_is_let_in_once(tmp_path: Path) -> None:
    """Also when it is asked for twice in one moment: revoking the row would leave the other."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        asked = [
            host.create_certificate(KEY, ["a"], [scope]) for scope in (Scope.READ, Scope.ADMIN)
        ]
        first, second = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(first, str)
        assert isinstance(second, AlreadyExistsError)
        assert "ask the operator" in str(second)
        await host.revoke_token(first)
        assert not host.tokens.has_key(KEY)


async def test_a_certificate_outlives_the_server(tmp_path: Path) -> None:
    """Its row is found by its key only, and is the same after a restart; so is its end."""
    await filled(tmp_path, 0)
    assert "certificates" not in _tables(tmp_path)  # as in directories from before there were any
    async with open_host(tmp_path) as host:
        assert host.tokens.find_certificate(CLIENT) is None
        token = await host.create_token(["a"], [Scope.READ])
        row_id = await host.create_certificate(KEY, ["a"], [Scope.APPEND], 60)
        row = host.tokens.find_certificate(CLIENT)
        assert row is not None
        assert row.id == row_id
        assert row.logs == {"a"}
        assert row.scopes == {Scope.APPEND}
        assert row.expires == row.created + 60
    assert "certificates" in _tables(tmp_path)
    async with open_host(tmp_path) as host:
        assert host.tokens.find_certificate(CLIENT) == row
        assert host.tokens.find(token) is not None
        assert len(host.tokens.rows) == 2
        await host.revoke_token(row_id)
        assert host.tokens.find_certificate(CLIENT) is None
    async with open_host(tmp_path) as host:
        assert host.tokens.find_certificate(CLIENT) is None
        assert host.tokens.find(token) is not None
        again = await host.create_certificate(KEY, ["a"], [Scope.READ])
        assert again != row_id
    async with open_host(tmp_path) as host:
        found = host.tokens.find_certificate(CLIENT)
        assert found is not None
        assert found.id == again


async def test_a_key_has_one_row_that_is_valid(tmp_path: Path) -> None:
    """Which rights hold would else be a matter of order; and a row needs what a token needs."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        await host.create_certificate(KEY, ["a"], [Scope.APPEND])
        with pytest.raises(AlreadyExistsError, match="revoke that first"):
            await host.create_certificate(KEY, ["a"], [Scope.READ])
        other = hashlib.sha256(b"another public key").digest()
        with pytest.raises(NotFoundError):
            await host.create_certificate(other, ["absent"], [Scope.READ])
        with pytest.raises(UsageError):
            await host.create_certificate(other, ["a"], [])
        assert len(host.tokens.rows) == 1


@pytest.mark.parametrize(
    ("row_expires", "certificate_expires"), [(100, 200), (200, 100)], ids=["row", "certificate"]
)
def test_row_and_certificate_expire_apart(row_expires: int, certificate_expires: int) -> None:
    """Whichever ends first ends the rights, at that second."""
    clock = FakeClock()
    row = TokenRow("a" * 10, KEY, frozenset((Scope.READ,)), frozenset("a"), 0, row_expires)
    table = TokenTable([replace(row, certificate=True)], clock)
    client = ClientCertificate(KEY, certificate_expires)
    clock.now_s = 99
    assert table.find_certificate(client) is not None
    clock.now_s = 100
    assert table.find_certificate(client) is None
    assert table.has_key(KEY) == (row_expires > 100)


async def test_no_token_is_taken_for_a_certificate(tmp_path: Path) -> None:
    """Not even one whose hash is the row's, which nobody can make."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        row_id = await host.create_certificate(KEY, ["a"], [Scope.READ])
        row = host.tokens.rows[row_id]
        forged = f"tlog_{row_id}_{'b' * 43}"
        host.tokens.add(replace(row, token_hash=_hash(forged)))
        assert host.tokens.find(forged) is None
        token = await host.create_token(["a"], [Scope.READ])
        client = ClientCertificate(_hash(token), 2**40)
        assert host.tokens.find_certificate(client) is None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def test_a_row_that_was_changed_is_refused(tmp_path: Path) -> None:
    """A scope that somebody writes into the database lets nobody in: the digest does not fit."""
    await filled(tmp_path, 0)
    async with open_host(tmp_path) as host:
        await host.create_certificate(KEY, ["a"], [Scope.READ], MAX_LIFETIME_S)
    with closing(sqlite3.connect(tmp_path / "control.db")) as database, database:
        database.execute("UPDATE certificates SET scopes = 'admin'")
    with (
        closing(ControlDatabase(tmp_path / "control.db")) as control,
        pytest.raises(ControlDatabaseError, match="digest"),
    ):
        control.tokens()
