"""An address that is bound, but that another server listens at when ours begins to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop
from click.testing import CliRunner

import tlog.addresses
import tlog.app
from tlog.addresses import Address, collide
from tlog.app import Addresses, Urls
from tlog.cli import main
from tlog.config import Config
from tlog.creation import init_directory
from tlog.lock import DirectoryLock

LIMIT_S = 30
PUBLIC, ADMIN = Address("127.0.0.1", 0), Address("localhost", 0)


@pytest.fixture
def rivals(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Address]]:
    """What each host is to be taken from, and in the end the address that was taken."""
    taken: dict[str, Address] = {}
    with contextlib.ExitStack() as opened:

        def bind_late(address: Address) -> object:
            sockets, bound = tlog.addresses.bind(address)
            if address.host in taken:
                taken[address.host] = bound
                for rival in tlog.addresses.bind(bound)[0]:
                    opened.enter_context(rival).listen()
            return sockets, bound

        monkeypatch.setattr(tlog.app, "bind", bind_late)
        yield taken


@pytest.mark.parametrize(
    ("late", "workers"), [(PUBLIC, 1), (PUBLIC, 2), (ADMIN, 1)], ids=["public", "workers", "admin"]
)
def test_who_cannot_listen_is_not_ready(
    tmp_path: Path, rivals: dict[str, Address], late: Address, workers: int
) -> None:
    """Two sockets can be bound, only one can listen: the address is named, and nothing announced.

    On the loop that `tlog serve` has: its `create_server` says nothing of a failed `listen`.
    """
    data_dir = tmp_path / "data"
    init_directory(data_dir)
    config = Config(data_dir=data_dir, disk_reserve_bytes=0, workers=workers)
    rivals[late.host] = late
    announced: list[Urls] = []

    async def serve() -> None:
        stop = asyncio.Event()

        def announce(urls: Urls) -> None:
            announced.append(urls)
            stop.set()

        async with asyncio.timeout(LIMIT_S):
            await tlog.app.serve(config, Addresses(PUBLIC, ADMIN), stop, announce)

    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        pytest.raises(OSError, match="listening on") as caught,
    ):
        runner.run(serve())
    assert announced == []
    assert f":{rivals[late.host].port}: Address already in use" in str(caught.value)
    DirectoryLock(data_dir).release()


@pytest.mark.parametrize("admin", ["127.0.0.1:4711", "localhost:4711", "0.0.0.0:4711"])
def test_one_address_cannot_be_both(tmp_path: Path, admin: str) -> None:
    """Whatever name it has: exit 2 before anything begins, and `config check` says it too."""
    init_directory(tmp_path / "data")
    file = tmp_path / "tlog.toml"
    settings = f'data = "data"\nlisten = "127.0.0.1:4711"\nadmin_listen = "{admin}"\n'
    file.write_text(f"{settings}behind_tls_proxy = true\n", encoding="utf-8")
    checked = CliRunner().invoke(main, ["config", "check", str(file)])
    assert checked.exit_code == 2
    sentence = "--admin-listen and --listen are one address: each needs its own"
    assert f"{file}:3: admin_listen: {sentence}\n" in checked.stderr
    served = CliRunner().invoke(main, ["serve", "--config", str(file)])
    assert (served.exit_code, sentence in served.stderr) == (2, True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Address("127.0.0.1", 0), Address("127.0.0.1", 0)),
        (Address("127.0.0.1", 4711), Address("127.0.0.1", 4712)),
        (Address("127.0.0.1", 4711), Address("127.0.0.2", 4711)),
        (Address("127.0.0.1", 4711), Address("::1", 4711)),
        (Address("0.0.0.0", 4711), Address("::", 4711)),  # noqa: S104 - bound by nobody
    ],
)
def test_addresses_that_differ_do_not_collide(one: Address, other: Address) -> None:
    """Free ports, other ports, other hosts, and the two families, of which each has its own."""
    assert not collide(one, other)
    assert not collide(other, one)
