"""Both load generators send what they say, and tell what came back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from bench.generators import ENTRY_BYTES, Batches, Generator, Gets, Target, parse_told
from bench.process import BenchError

LINE = {
    "ok": 4,
    "bytes": 40,
    "errors": 0,
    "first_error": "",
    "rate": 2.0,
    "p50_ms": 1.0,
    "p99_ms": 3.0,
}
BRIEFLY = 0.2
LONG = 20.0


@dataclass
class Seen:
    """What a server was sent."""

    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    status: int = 200


@dataclass
class Server:
    """A server in this process that remembers."""

    address: str
    seen: Seen


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """It takes every path, on loopback."""
    seen = Seen()

    async def remember(request: web.BaseRequest) -> web.Response:
        seen.paths.append(request.path)
        seen.bodies.append(await request.read())
        seen.tokens.add(request.headers.get("Authorization"))
        return web.Response(body=b"x" * len(request.path), status=seen.status)

    runner = web.ServerRunner(web.Server(remember), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield Server(f"{host}:{port}", seen)
    await runner.cleanup()


@pytest.fixture(scope="module")
def built() -> Generator:
    """Whatever this machine can build."""
    return Generator()


@pytest.fixture(params=["Go", "Python"])
def generator(request: pytest.FixtureRequest, built: Generator) -> Generator:
    """Each of the two; Go's is skipped where there is none."""
    if request.param == "Python":
        made = Generator.__new__(Generator)
        made.reason = "the test wants this one"
        return made
    if built.reason:
        pytest.skip(built.reason)
    return built


async def test_paths_are_asked_for_once(
    server: Server, generator: Generator, tmp_path: Path
) -> None:
    """With `once` each path is asked for by one connection, and the end is not waited for."""
    file = tmp_path / "paths"
    paths = [f"/{'x' * number}" for number in range(100)]
    file.write_text("\n".join(paths))
    target = Target(server.address, "", "a-token")
    load = Gets(file, 7, once=True)
    sent = await asyncio.to_thread(generator.gets, target, load, LONG)
    assert sorted(server.seen.paths) == sorted(paths)
    assert server.seen.tokens == {"Bearer a-token"}
    assert set(server.seen.bodies) == {b""}
    assert sent.requests == 100
    assert sent.body_bytes == 50.5
    assert sent.latency.p99_ms >= sent.latency.p50_ms > 0
    assert sent.rate > 100 / LONG


async def test_paths_are_asked_for_again(
    server: Server, generator: Generator, tmp_path: Path
) -> None:
    """Without `once` it goes on until the time is over, with all of them in turn."""
    file = tmp_path / "paths"
    file.write_text("/a\n/b\n")
    load = Gets(file, 2)
    sent = await asyncio.to_thread(generator.gets, Target(server.address, ""), load, BRIEFLY)
    assert sent.requests == len(server.seen.paths) > 2
    assert abs(server.seen.paths.count("/a") - server.seen.paths.count("/b")) <= 2
    assert server.seen.tokens == {None}


async def test_entries_are_never_sent_twice(server: Server, generator: Generator) -> None:
    """Single entries go where they are to go, of the right length and each another."""
    target = Target(server.address, "/here", "a-token")
    sent = await asyncio.to_thread(generator.singles, target, 3, BRIEFLY)
    bodies = server.seen.bodies
    assert sent.requests == len(bodies) == len(set(bodies)) > 3
    assert {len(body) for body in bodies} == {ENTRY_BYTES}
    assert set(server.seen.paths) == {"/here"}
    assert server.seen.tokens == {"Bearer a-token"}


async def test_batches_hold_what_was_asked_for(server: Server, generator: Generator) -> None:
    """As many lines as entries, with ids where they are wanted."""
    target = Target(server.address, "/here")
    await asyncio.to_thread(generator.batches, target, Batches(10, 2, ids=True), BRIEFLY)
    for body in server.seen.bodies:
        lines = [json.loads(line) for line in body.splitlines()]
        assert len(lines) == 10
        assert all(set(line) == {"id", "entry"} for line in lines)


async def test_a_refusal_is_no_measurement(server: Server, generator: Generator) -> None:
    """A server that refuses makes an error that says its status, whatever else it answered."""
    server.seen.status = 503
    with pytest.raises(BenchError, match="requests failed, the first with: 503"):
        await asyncio.to_thread(generator.singles, Target(server.address, "/"), 1, BRIEFLY)


@pytest.mark.parametrize("changed", [{"errors": 1, "first_error": "no"}, {"ok": 0}])
def test_a_line_with_failures_is_refused(changed: dict[str, object]) -> None:
    """One failed request, or none that was answered, and there is no figure."""
    assert parse_told(json.dumps(LINE)).body_bytes == 10
    with pytest.raises(BenchError, match="requests failed"):
        parse_told(json.dumps(LINE | changed))
