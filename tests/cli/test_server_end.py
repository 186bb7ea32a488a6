"""The order in which a server ends, and what a command sees while one starts or ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

import tlog.app
from tlog.addresses import Address
from tlog.api.listener import Listener
from tlog.config import Config
from tlog.creation import NewLog, init_directory
from tlog.errors import DataDirectoryError, LockHeldError, StoppingError
from tlog.host import Host
from tlog.local import bind_socket
from tlog.lock import DirectoryLock
from tlog_clients.errors import NotReachableError

LIMIT_S = 20
ORIGIN = "example.com/a"


class _Recorder:
    """A host and a listener that say in which order they are called."""

    def __init__(self, data_dir: Path) -> None:
        self.config = Config(data_dir=data_dir)
        self.calls: list[str] = []

    def begin_stop(self) -> None:
        self.calls.append("begin_stop")

    async def close(self) -> None:
        self.calls.append("close")

    async def stop(self) -> None:
        self.calls.append("stop")

    def release(self) -> None:
        there = (self.config.data_dir / "tlog.sock").exists()
        self.calls.append("release, socket there" if there else "release")


async def test_the_end_has_its_order(tmp_path: Path) -> None:
    """Not ready, nothing accepted, databases closed, socket gone, lock free."""
    recorder = _Recorder(tmp_path)
    bind_socket(tmp_path).close()
    await tlog.app._end(cast("Host", recorder), [cast("Listener", recorder)])
    assert recorder.calls == ["begin_stop", "close", "stop", "release"]


async def test_the_lock_is_given_up_although_a_listener_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure while listeners close does not leave databases open."""
    recorder = _Recorder(tmp_path)

    async def fail() -> None:
        raise OSError("no")

    monkeypatch.setattr(recorder, "close", fail)
    with pytest.raises(OSError, match="no"):
        await tlog.app._end(cast("Host", recorder), [cast("Listener", recorder)])
    assert recorder.calls == ["begin_stop", "stop", "release"]


async def test_the_lock_is_given_up_whatever_else_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that cannot stop and a socket that cannot be removed keep no lock."""

    async def fail() -> None:
        raise OSError("the host cannot stop")

    def fail_too(data_dir: Path) -> None:
        raise OSError("the socket cannot be removed")

    recorder = _Recorder(tmp_path)
    monkeypatch.setattr(recorder, "stop", fail)
    monkeypatch.setattr(tlog.app, "remove_socket", fail_too)
    with pytest.raises(OSError, match="socket"):
        await tlog.app._end(cast("Host", recorder), [cast("Listener", recorder)])
    assert recorder.calls == ["begin_stop", "close", "release"]


async def test_the_error_that_came_first_is_the_one_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails while a failed server ends is said beside its error, not instead of it."""

    async def fail() -> None:
        raise OSError("the host cannot stop")

    recorder = _Recorder(tmp_path)
    monkeypatch.setattr(recorder, "stop", fail)
    with pytest.raises(ValueError, match="first") as caught:
        async with tlog.app._ending(cast("Host", recorder), []):
            raise ValueError("first")
    assert caught.value.__notes__ == ["and while ending: the host cannot stop"]
    assert recorder.calls[-1] == "release"


async def test_a_server_waits_for_a_command_not_for_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the lock for a moment is waited for; who answers at the socket is a server."""
    data_dir = tmp_path / "data"
    init_directory(data_dir)
    config = Config(data_dir=data_dir, disk_reserve_bytes=0)
    addresses = tlog.app.Addresses(Address("127.0.0.1", 0))
    stop, announced = asyncio.Event(), asyncio.Event()
    lock = DirectoryLock(data_dir)
    async with asyncio.timeout(LIMIT_S):
        serving = asyncio.create_task(
            tlog.app.serve(config, addresses, stop, lambda urls: announced.set())
        )
        await asyncio.sleep(0.2)
        assert not serving.done()
        lock.release()
        await announced.wait()
        monkeypatch.setattr(tlog.app, "SERVE_WAIT_S", 3600.0)
        with pytest.raises(LockHeldError):
            await tlog.app.serve(config, addresses, stop, print)
        stop.set()
        await serving


async def test_a_directory_is_made_by_one_of_many(tmp_path: Path) -> None:
    """Who finds it being made waits; a directory with something else in it is refused."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    async with asyncio.timeout(LIMIT_S):
        lock = DirectoryLock(data_dir)
        making = [asyncio.create_task(tlog.app.make_directory(data_dir)) for _ in range(3)]
        await asyncio.sleep(0.2)
        assert not any(task.done() for task in making)
        lock.release()
        await asyncio.gather(*making)
        assert (data_dir / "control.db").exists()
        (tmp_path / "other" / "thing").mkdir(parents=True)
        with pytest.raises(DataDirectoryError, match="not empty"):
            await tlog.app.make_directory(tmp_path / "other")


async def test_a_command_waits_for_a_server_that_starts(tmp_path: Path) -> None:
    """While the lock is held and no socket is there yet, a command waits and then succeeds."""
    data_dir = tmp_path / "data"
    init_directory(data_dir)
    config = Config(data_dir=data_dir, disk_reserve_bytes=0)
    host = tlog.app.open_host(config)

    async def ask() -> dict[str, object]:
        async with tlog.app.local_client(config) as client:
            return await client.request("GET", "/admin/logs")

    async with asyncio.timeout(LIMIT_S):
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.2)
        assert not asking.done()
        await host.stop()
        host.release()
        assert await asking == {"logs": []}


@pytest.mark.parametrize("removed", [(), ("lock",)], ids=["locked", "lock file removed"])
async def test_a_stopped_server_is_not_waited_for_longer_and_keeps_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: Sequence[str]
) -> None:
    """It is connected to and never answers: the wait is for all questions together."""
    data_dir = tmp_path / "data"
    init_directory(data_dir)
    config = Config(data_dir=data_dir, disk_reserve_bytes=0)
    monkeypatch.setattr(tlog.app, "COMMAND_WAIT_S", 0.2)
    monkeypatch.setattr(tlog.app, "SERVE_WAIT_S", 0.2)
    addresses = tlog.app.Addresses(Address("127.0.0.1", 0))
    with DirectoryLock(data_dir), bind_socket(data_dir) as stopped:
        stopped.listen()
        for name in removed:
            (data_dir / name).unlink()
        async with asyncio.timeout(LIMIT_S):  # a single request has more
            with pytest.raises(NotReachableError):
                async with tlog.app.local_client(config):
                    pass
        async with asyncio.timeout(LIMIT_S):
            with pytest.raises(LockHeldError):
                await tlog.app.serve(config, addresses, asyncio.Event(), print)


async def test_two_commands_at_once_both_succeed(tmp_path: Path) -> None:
    """A command that has the directory for itself is waited for, not talked to."""
    data_dir = tmp_path / "data"
    init_directory(data_dir)
    config = Config(data_dir=data_dir, disk_reserve_bytes=0)

    async def create(name: str) -> str:
        async with tlog.app.local_client(config) as client:
            body = {"name": name, "origin": f"example.com/{name}", "kind": "opaque/1"}
            return str((await client.request("POST", "/admin/logs", body))["name"])

    async with asyncio.timeout(LIMIT_S):
        names = await asyncio.gather(*(create(name) for name in ("a", "b", "c")))
    assert names == ["a", "b", "c"]


async def test_a_created_log_takes_appends_at_once(tmp_path: Path) -> None:
    """A server's answer to a creation comes when the log is ready, not while it starts."""
    data_dir = tmp_path / "data"
    init_directory(data_dir)
    config = Config(data_dir=data_dir, disk_reserve_bytes=0)
    body = {"name": "a", "origin": ORIGIN, "kind": "opaque/1"}
    stop, announced = asyncio.Event(), asyncio.Event()
    addresses = tlog.app.Addresses(Address("127.0.0.1", 0))
    async with asyncio.timeout(LIMIT_S):
        serving = asyncio.create_task(
            tlog.app.serve(config, addresses, stop, lambda urls: announced.set())
        )
        await announced.wait()
        async with tlog.app.local_client(config) as client:
            facts = await client.request("POST", "/admin/logs", body)
        stop.set()
        await serving
    assert facts["state"] == "ready"


async def test_commands_on_a_stopped_directory_sign_nothing(tmp_path: Path) -> None:
    """What a crash left unsigned is shown as such, and signed by the next server, not by a look."""
    data_dir = tmp_path / "data"
    init_directory(data_dir)
    config = Config(data_dir=data_dir, disk_reserve_bytes=0, publish_interval_s=3600)
    host = tlog.app.open_host(config)
    await host.start()
    await host.create_log(NewLog("a", ORIGIN))
    host.log("a").halt()
    await host.log("a").append([b"committed"])
    await host.stop()
    host.release()
    heads = {path: path.read_bytes() for path in (data_dir / "heads").iterdir()}
    async with tlog.app.local_client(config) as client:
        facts = await client.request("GET", "/admin/logs/a")
        body = {"name": "b", "origin": "example.com/b", "kind": "opaque/1"}
        await client.request("POST", "/admin/logs", body)
        tokens = {"logs": ["a", "b"], "scopes": ["read"]}
        await client.request("POST", "/admin/tokens", tokens)
        await asyncio.sleep(0.1)
    assert (facts["state"], facts["size"]) == ("stopped", 1)
    assert {path: path.read_bytes() for path in heads} == heads


async def test_a_host_that_stops_creates_nothing(tmp_path: Path) -> None:
    """Once shut-down has begun no log is made."""
    data_dir = tmp_path / "data"
    init_directory(data_dir)
    host = tlog.app.open_host(Config(data_dir=data_dir))
    await host.start()
    host.begin_stop()
    with pytest.raises(StoppingError):
        await host.create_log(NewLog("a", "example.com/a"))
    await host.stop()
    host.release()
