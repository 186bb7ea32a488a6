"""The fake log for users' tests: the same as a real server to a client, and its planned faults."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.site import Site
from tests.clients.simulator import ReferenceTree, leaf, make_entries
from tlog_clients import (
    HttpFetcher,
    HttpStatusError,
    Log,
    LogClient,
    MemoryHeads,
    OutcomeUnknownError,
    Retries,
    RetryPolicy,
    Trust,
    audit_log,
)
from tlog_clients.testing import FakeLog
from tlog_proofs import open_checkpoint, parse_genesis, parse_vkey, verify_tlog_proof


@dataclass
class Target:
    """A log to append to, whoever serves it."""

    url: str
    vkey: str
    token: str | None

    def fetcher(self) -> HttpFetcher:
        """Its resources."""
        return HttpFetcher(self.url, token=self.token)


@pytest.fixture(params=["fake", "real"])
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Target]:
    """The fake log, then the real server: every test that takes this holds for both."""
    if request.param == "fake":
        async with FakeLog(token="secret") as log:
            yield Target(log.url, log.vkey, "secret")
        return
    site = Site(tmp_path)
    with site.server:
        yield Target(site.url, site.vkey, site.token)


async def read_json(fetcher: HttpFetcher, path: str) -> dict[str, object]:
    """A JSON resource."""
    value = json.loads(await fetcher.fetch(path, max_bytes=100_000))
    assert isinstance(value, dict)
    return value


def texts(hashes: list[bytes]) -> list[str]:
    """As JSON has them."""
    return [base64.b64encode(value).decode() for value in hashes]


async def test_client_against_both(target: Target) -> None:
    """A client appends, reads, proves and audits; every proof is that of the reference tree."""
    key = parse_vkey(target.vkey)
    async with target.fetcher() as fetcher:
        client = LogClient(fetcher, key, MemoryHeads())
        genesis = await client.get(0)
        assert parse_genesis(genesis).vkeys == (target.vkey,)
        entries = [genesis, *make_entries(600)]
        batch = await client.append_batch(entries[1:600])
        assert (batch.indexes, batch.first_index) == (tuple(range(1, 600)), 1)
        assert (batch.trust, batch.inclusion_verified) == (Trust.TRUSTED, True)
        single = await client.append(entries[600])
        assert (single.index, single.trust) == (600, Trust.TRUSTED)
        reference = ReferenceTree([leaf(entry) for entry in entries])
        head = await client.head()
        assert (head.size, head.root) == (601, reference.root(0, 601))
        for index in (0, 1, 255, 256, 599, 600):
            assert await client.get(index) == entries[index]
            proof = await client.prove(index)
            assert list(proof.proof) == reference.path(index, 0, 601)
            verify_tlog_proof(proof, leaf(entries[index]), key)
        assert (await audit_log(fetcher, key)).size == 601


async def test_json_proofs(target: Target) -> None:
    """Inclusion, consistency and the search by leaf hash answer what the reference tree says."""
    async with target.fetcher() as fetcher:
        client = LogClient(fetcher, parse_vkey(target.vkey))
        entries = [await client.get(0), *make_entries(40)[1:]]
        await client.append_batch(entries[1:])
        leaves = [leaf(entry) for entry in entries]
        reference = ReferenceTree(leaves)
        for index, size in ((0, 1), (5, 17), (39, 40)):
            assert await read_json(fetcher, f"proof/inclusion/{index}/{size}") == {
                "index": index,
                "size": size,
                "leaf_hash": base64.b64encode(leaves[index]).decode(),
                "proof": texts(reference.path(index, 0, size)),
            }
        published = await read_json(fetcher, "proof/inclusion/7")
        assert published["proof"] == texts(reference.path(7, 0, 40))
        checkpoint = str(published["checkpoint"]).encode()
        assert open_checkpoint(checkpoint, parse_vkey(target.vkey)).size == 40
        assert await read_json(fetcher, "proof/consistency/8/40") == {
            "old": 8,
            "new": 40,
            # 40 = 32 + 8: what stands beside [0, 8) on the way to the root.
            "proof": texts([reference.root(8, 16), reference.root(16, 32), reference.root(32, 40)]),
        }
        assert await read_json(fetcher, f"leaf-hash/{leaves[8].hex()}") == {"index": 8}


async def test_faces(target: Target, tmp_path: Path) -> None:
    """The plain client appends, reads, follows, proves and verifies; checkpoints are kept."""
    key = parse_vkey(target.vkey)

    def use() -> None:
        with Log(
            target.url, trust=target.vkey, token=target.token, state=tmp_path / "heads", cache=False
        ) as log:
            assert log.append(b"one").index == 1
            assert log.append_many([b"two", b"three"]).indexes == (2, 3)
            assert log.read(2) == b"two"
            assert [entry for _, entry in log.follow(1, timeout_s=0)] == [b"one", b"two", b"three"]
            proof = log.prove(3)
            assert log.verify(proof, b"three").size == 4

    await asyncio.to_thread(use)
    async with target.fetcher() as fetcher:
        for size in (1, 2, 4):
            note = await fetcher.fetch(f"checkpoints/{size}", max_bytes=10_000)
            assert open_checkpoint(note, key).size == size
        with pytest.raises(HttpStatusError) as caught:
            await fetcher.fetch("checkpoints/3", max_bytes=10_000)
        assert caught.value.status == 404


REFUSED = {
    "entries/99": 404,
    "entries/x": 400,
    "tile/0/001": 404,
    "tile/0/1": 400,
    "proof/inclusion/9/1": 400,
    "proof/inclusion/0/99": 404,
    "proof/consistency/0/1": 400,
    "proof/consistency/1/99": 404,
    f"leaf-hash/{'0' * 64}": 404,
    "leaf-hash/ABC": 400,
}


async def test_refused_reads(target: Target) -> None:
    """What is malformed or beyond the published size gets the status of the contract."""
    async with target.fetcher() as fetcher:
        for path, status in REFUSED.items():
            with pytest.raises(HttpStatusError) as caught:
                await fetcher.fetch(path, max_bytes=1000)
            assert (path, caught.value.status) == (path, status)
    async with HttpFetcher(target.url, token="wrong") as fetcher:
        with pytest.raises(HttpStatusError) as caught:
            await fetcher.fetch("checkpoint", max_bytes=1000)
        assert caught.value.status == 401


async def test_ids(target: Target) -> None:
    """An id is appended once; with other bytes the whole batch is refused."""
    async with target.fetcher() as fetcher:
        client = LogClient(fetcher, parse_vkey(target.vkey))
        assert (await client.append(b"one", entry_id="a")).index == 1
        assert (await client.append(b"one", entry_id="a")).index == 1
        batch = await client.append_batch([b"one", b"two", b"two"], ids=["a", "b", "b"])
        assert (batch.indexes, batch.first_index) == ((1, 2, 2), 2)
        again = await client.append_batch([b"two", b"one"], ids=["b", "a"])
        assert (again.indexes, again.first_index) == ((2, 1), None)
        with pytest.raises(HttpStatusError) as caught:
            await client.append_batch([b"new", b"other"], ids=["c", "a"])
        assert caught.value.status == 409
        assert (await client.head()).size == 3


POSTS = {
    "a body that is no line": (b"{", "application/x-ndjson", 400),
    "no entry": (b"", "application/x-ndjson", 400),
    "a field too much": (b'{"entry":"","x":1}', "application/x-ndjson", 400),
    "an entry too large": (b"x" * 65_536, "application/octet-stream", 413),
    "too many entries": (b'{"entry":""}\n' * 1_001, "application/x-ndjson", 413),
    "another type": (b"x", "text/html", 415),
}


@pytest.mark.parametrize(("body", "kind", "status"), POSTS.values(), ids=POSTS.keys())
async def test_refused_posts(body: bytes, kind: str, status: int) -> None:
    """What cannot be appended gets the status of the contract, and nothing is appended."""
    async with FakeLog() as log, HttpFetcher(log.url) as fetcher:
        with pytest.raises(HttpStatusError) as caught:
            await fetcher.post("entries", body, content_type=kind, params={}, max_bytes=1000)
        assert caught.value.status == status
        assert log.entries == []


async def test_planned_faults() -> None:
    """Planned refusals append nothing; a dropped answer is that of an entry that stands."""
    never = Retries(RetryPolicy(0))
    async with FakeLog() as log, HttpFetcher(log.url) as fetcher:
        client = LogClient(fetcher, log.log_key, retries=never)
        log.fail_next(429, problem="queue-full", retry_after_s=7)
        with pytest.raises(HttpStatusError) as caught:
            await client.append(b"refused")
        problem = caught.value.problem
        assert problem is not None
        assert (problem.type, caught.value.retry_after_s) == ("urn:tlog:problem:queue-full", 7)
        assert log.entries == []
        log.drop_answer()
        with pytest.raises(OutcomeUnknownError):
            await client.append(b"dropped")
        assert log.entries == [b"dropped"]
        log.hold_publication()
        late = await client.append(b"late")
        assert (late.index, late.state, late.proof) == (2, "committed", None)
        assert (await client.head()).size == 2
        log.hold_publication(held=False)
        assert (await client.head()).size == 3
        log.delay(0.01)
        assert await client.get(2) == b"late"


async def test_outage() -> None:
    """During an outage nobody is answered, and afterwards at the same address again."""
    async with FakeLog() as log, HttpFetcher(log.url) as fetcher:
        client = LogClient(fetcher, log.log_key)
        await client.append(b"before")
        with log.outage():
            quick = HttpFetcher(log.url, retries=Retries(RetryPolicy(0)))
            async with quick:
                with pytest.raises(Exception, match="cannot connect"):
                    await quick.fetch("checkpoint", max_bytes=1000)
        await client.append(b"after")
        assert log.entries == [b"before", b"after"]


def test_without_asyncio() -> None:
    """In a plain test any HTTP client will do, and two logs with one origin are the same."""
    with FakeLog() as log:
        assert log.append(b"planted") == 1
        request = urllib.request.Request(f"{log.url}/add", data=b"added")  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            assert answer.read() == b"2"
        assert log.requests == ["POST /logs/fake/add"]
        vkey = log.vkey
    assert log.entries == [b"planted", b"added"]
    assert FakeLog().vkey == vkey
    with pytest.raises(RuntimeError, match="outside its context"):
        log.append(b"late")
