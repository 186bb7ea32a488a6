"""COSE receipts over HTTP, and stored checkpoints by time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.api.conftest import Api
from tests.api.fakes import NOW_S, FakeLog, path
from tests.server.hosts import open_host
from tlog.creation import NewLog
from tlog.tokens import Scope
from tlog_proofs import BadSignatureError, parse_receipt, parse_vkey, verify_receipt

COSE = "application/cose"


@pytest.fixture
def log(api: Api) -> FakeLog:
    """The public log with seven entries published and one more committed."""
    log = api.host.logs["public"]
    log.entries[:] = [b"entry %d" % number for number in range(7)]
    log.publish()
    log.entries.append(b"beyond")
    return log


async def _receipt(api: Api, index: int) -> tuple[int, dict[str, str], bytes]:
    where = f"/logs/public/proof/inclusion/{index}"
    async with api.http.get(where, headers={"Accept": COSE}) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return response.status, headers, await response.read()


async def test_every_published_entry_has_a_receipt(api: Api, log: FakeLog) -> None:
    """It verifies by the log's vkey and the entry alone, and says which entry of which tree."""
    for index in range(7):
        status, headers, body = await _receipt(api, index)
        assert (status, headers["content-type"]) == (200, COSE)
        assert (headers["vary"], headers["cache-control"]) == ("Accept", "no-store")
        key = parse_vkey(log.row.vkey)
        verify_receipt(body, log.hashes[index], key)
        with pytest.raises(BadSignatureError):
            verify_receipt(body, log.hashes[index - 1], key)
        parsed = parse_receipt(body)
        assert (parsed.signed_size, parsed.issuer) == (7, log.row.origin)
        (proof,) = parsed.inclusion
        assert (proof.index, proof.proof) == (index, tuple(path(index, log.hashes[:7])))


async def test_json_stays_the_first_choice(api: Api, log: FakeLog) -> None:
    """A receipt comes to who asks for it, or for nothing else as much."""
    for accept, expected in (
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/cose, application/json;q=0.9", COSE),
        ("application/cbor, application/cose;q=0.1", COSE),
    ):
        where = "/logs/public/proof/inclusion/1"
        async with api.http.get(where, headers={"Accept": accept}) as response:
            assert response.headers["Content-Type"] == expected
    async with api.http.get(where, headers={"Accept": "application/cbor"}) as response:
        assert response.status == 406
        assert COSE in (await response.json(content_type=None))["detail"]


async def test_what_has_no_receipt_is_said(api: Api, log: FakeLog) -> None:
    """409 for the only entry of a tree, and under a checkpoint of before there were any."""
    status, headers, _ = await _receipt(api, 7)
    assert (status, headers["cache-control"]) == (404, "no-store")
    log.signs_receipts = False
    log.publish()
    status, headers, body = await _receipt(api, 3)
    assert (status, headers["content-type"]) == (409, "application/problem+json")
    problem = json.loads(body)
    assert problem["type"] == "urn:tlog:problem:no-receipt"
    assert "next publication" in problem["detail"]
    log.signs_receipts = True
    del log.entries[1:]
    log.publish()
    status, _, body = await _receipt(api, 0)
    assert (status, json.loads(body)["type"]) == (409, "urn:tlog:problem:no-receipt")
    assert "only entry" in json.loads(body)["detail"]
    status, _, _ = await _receipt(api, 1)
    assert status == 404


async def test_a_private_receipt_stays_private(api: Api) -> None:
    """As every answer about a private log; without a token there is none."""
    log = api.host.logs["private"]
    log.entries.append(b"more")
    log.publish()
    where, headers = "/logs/private/proof/inclusion/1", {"Accept": COSE}
    async with api.http.get(where, headers=headers | api.bearer(Scope.READ)) as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "private, no-store")
    async with api.http.get(where, headers=headers) as response:
        assert response.status == 401


async def test_receipts_of_a_real_log(tmp_path: Path) -> None:
    """What the publisher stores is what a receipt needs, also after a restart."""
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", "log.example/a"))
        appended = await host.log("a").append([b"one", b"two"])
        published = await host.log("a").wait_published(appended.size, 20)
    async with open_host(tmp_path) as host:
        again = host.log("a").published
        assert again == published
        assert again.receipt_signature is not None


def _time(seconds: float) -> str:
    """Times around NOW_S, which is 2023-11-14T22:13:20Z."""
    whole, milliseconds = divmod(round((seconds - NOW_S) * 1000) + 20_000, 1000)
    return f"2023-11-14T22:13:{whole:02}.{milliseconds:03}Z"


async def _at(api: Api, time: str) -> tuple[int, bytes]:
    url = f"/logs/public/checkpoints?at={time}"
    async with api.http.get(url) as response:
        if response.status == 200:
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.read()


async def test_checkpoints_are_found_by_time(api: Api, log: FakeLog) -> None:
    """The newest that was published by then: to the millisecond, and none before the first."""
    second = log.published.note
    log.published_ms += 5500
    log.publish()
    third = log.published.note
    assert _time(NOW_S) == "2023-11-14T22:13:20.000Z"
    assert await _at(api, "2023-11-14T22:13:20Z") == (200, second)
    assert await _at(api, _time(NOW_S + 5.499)) == (200, second)
    assert await _at(api, _time(NOW_S + 5.5)) == (200, third)
    assert await _at(api, "2023-11-14T22:13:25.5Z") == (200, third)
    assert await _at(api, "2023-11-14T22:13:25.499999999Z") == (200, second)
    assert await _at(api, "9999-12-31T23:59:59Z") == (200, third)
    for before in (_time(NOW_S - 0.001), "1969-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z"):
        status, body = await _at(api, before)
        assert (status, json.loads(body)["type"]) == (404, "urn:tlog:problem:not-found")


@pytest.mark.parametrize(
    "time",
    [
        "",
        "now",
        "1700000000",
        "2023-11-14",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13Z",
        "2023-11-14T22:13:20z",
        "2023-11-14t22:13:20Z",
        "2023-11-14%2022:13:20Z",
        "2023-11-14T22:13:20%2B00:00",
        "2023-11-14T22:13:20-00:00",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20,5Z",
        "2023-11-14T22:13:20.0123456789Z",
        "2023-11-14T24:00:00Z",
        "2023-11-14T22:60:00Z",
        "2016-12-31T23:59:60Z",
        "2023-02-29T00:00:00Z",
        "2023-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "+2023-11-14T22:13:20Z",
        "20231114T221320Z",
        "%D9%A2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20Z&at=2023-11-14T22:13:20Z",
        "2023-11-14T22:13:20Z&size=1",
    ],
)
async def test_times_have_one_spelling(api: Api, log: FakeLog, time: str) -> None:
    """RFC 3339 with Z alone, of days and seconds that there are; anything else is a 400."""
    status, body = await _at(api, time)
    assert (status, json.loads(body)["type"]) == (400, "urn:tlog:problem:malformed")
