from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import aiohttp
import pytest

from tests.api.conftest import Api
from tests.api.fakes import leaf
from tlog.errors import (
    BatchTooLargeError,
    DiskReserveError,
    OutcomeUnknownError,
    QueueFullError,
    ReadOnlyError,
    StartingError,
    StoppingError,
)
from tlog.tokens import Scope
from tlog_proofs import open_checkpoint, parse_tlog_proof, parse_vkey, verify_tlog_proof

OCTETS = "application/octet-stream"
NDJSON = "application/x-ndjson"
ENTRIES = "/logs/private/entries"
ADD = "/logs/private/add"


async def _post(
    api: Api, path: str, body: object, **headers: str
) -> tuple[int, Any, aiohttp.ClientResponse]:
    """Status, JSON and response of an append with a valid token; `_` in header names is `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with api.http.post(
        path, data=body, headers=api.bearer(Scope.APPEND, logs=("private", "events")) | named
    ) as response:
        return response.status, json.loads(await response.read()), response


def _type(members: dict[str, Any]) -> str:
    return str(members["type"]).removeprefix("urn:tlog:problem:")


def _line(entry: bytes) -> bytes:
    return b'{"entry": "%s"}' % base64.b64encode(entry)


@pytest.mark.parametrize("entry", [b"", b"x", bytes(range(256)), b"\xff" * 65_535])
async def test_add_answers_the_index_alone(api: Api, entry: bytes) -> None:
    """Any entry of 0 to 65,535 bytes is taken as it is, and the answer is its index."""
    async with api.http.post(ADD, data=entry, headers=api.bearer(Scope.APPEND)) as response:
        assert response.status == 200
        assert response.content_type == "text/plain"
        assert await response.read() == b"1"
    assert api.host.logs["private"].entries[1] == entry


@pytest.mark.parametrize("content_type", [OCTETS, "text/html; charset=latin-1", "nonsense", NDJSON])
async def test_add_takes_any_content_type(api: Api, content_type: str) -> None:
    """The type of an entry is the appender's business."""
    status, index, _ = await _post(api, ADD, b"x", Content_Type=content_type)
    assert (status, index) == (200, 1)


@pytest.mark.parametrize("coding", ["gzip", "identity", "br"])
async def test_add_takes_no_content_coding(api: Api, coding: str) -> None:
    """What would be stored must be what was sent."""
    headers = api.bearer(Scope.APPEND) | {"Content-Encoding": coding}
    async with api.http.post(ADD, data=b"x", headers=headers) as response:
        assert response.status == 415
    assert len(api.host.logs["private"].entries) == 1


@pytest.mark.parametrize("path", [ADD, ENTRIES])
@pytest.mark.parametrize("chunked", [False, True])
async def test_one_entry_over_the_bound_is_413(api: Api, path: str, chunked: bool) -> None:
    """65,536 bytes are refused, whether their number is announced or not."""

    async def pieces() -> Any:  # noqa: ANN401
        for _ in range(65_536 // 4096):
            yield b"x" * 4096

    body: object = pieces() if chunked else b"x" * 65_536
    status, problem, response = await _post(api, path, body, Content_Type=OCTETS)
    assert status == 413
    assert _type(problem) == "body-too-large"
    assert response.headers["Connection"] == "close"


async def test_one_entry_is_answered_by_index_and_leaf_hash(api: Api) -> None:
    """POST entries with an octet-stream: 201, index, leaf hash in standard base64."""
    status, members, _ = await _post(api, ENTRIES, b"hello", Content_Type=OCTETS)
    assert status == 201
    # SHA-256 of a zero byte and "hello", by another program
    assert members == {"index": 1, "leaf_hash": "iipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc="}


async def test_one_entry_may_be_gzip(api: Api) -> None:
    """On entries the coding gzip is taken off; two members are one body (RFC 1952)."""
    body = gzip.compress(b"hel") + gzip.compress(b"lo")
    status, _, _ = await _post(api, ENTRIES, body, Content_Type=OCTETS, Content_Encoding="gzip")
    assert status == 201
    assert api.host.logs["private"].entries[1] == b"hello"


async def test_waiting_for_publication_gives_a_proof(api: Api) -> None:
    """wait=published adds a tlog-proof that verifies with the log's key alone."""
    status, members, _ = await _post(
        api, f"{ENTRIES}?wait=published", b"hello", Content_Type=OCTETS
    )
    assert status == 201
    proof = parse_tlog_proof(members["proof"].encode())
    assert proof.index == members["index"] == 1
    key = parse_vkey(api.host.logs["private"].row.vkey)
    assert verify_tlog_proof(proof, leaf(b"hello"), key).size == 2


async def test_waiting_in_vain_is_202(api: Api) -> None:
    """The entry stands, the answer says so, and nothing invites to send it again."""
    api.host.logs["private"].publishing = False
    path = f"{ENTRIES}?wait=published"
    status, members, _ = await _post(api, path, b"hello", Content_Type=OCTETS)
    assert status == 202
    assert members.keys() == {"index", "leaf_hash", "state"}
    assert members["state"] == "committed"
    status, members, _ = await _post(api, path, _line(b"a"), Content_Type=NDJSON)
    assert status == 202
    assert members == {
        "entries": [{"index": 2, "leaf_hash": base64.b64encode(leaf(b"a")).decode()}],
        "state": "committed",
    }


async def test_a_proof_that_cannot_be_made_denies_no_entry(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure after the commit is a 202: the entry stands."""

    async def fail(index: int, size: int) -> object:
        raise StoppingError

    monkeypatch.setattr(api.host.logs["private"], "inclusion", fail)
    status, members, _ = await _post(api, f"{ENTRIES}?wait=published", b"x", Content_Type=OCTETS)
    assert (status, members["state"]) == (202, "committed")


async def test_waiting_for_witnesses_that_are_not_there_appends_nothing(api: Api) -> None:
    """wait=witnessed without a policy is a 409 before anything is appended."""
    for content_type, body in ((OCTETS, b"x"), (NDJSON, _line(b"x"))):
        status, problem, _ = await _post(
            api, f"{ENTRIES}?wait=witnessed", body, Content_Type=content_type
        )
        assert (status, _type(problem)) == (409, "no-policy")
    assert len(api.host.logs["private"].entries) == 1


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (ENTRIES, "wait=yes"),
        (ENTRIES, "wait="),
        (ENTRIES, "wait=published&wait=published"),
        (ENTRIES, "wait=published&timeout_s=0"),
        (ENTRIES, "wait=published&timeout_s=31"),
        (ENTRIES, "wait=published&timeout_s=1.5"),
        (ENTRIES, "wait=published&timeout_s=01"),
        (ENTRIES, "wait=published&timeout_s=-1"),
        (ENTRIES, "timeout_s=5"),
        (ENTRIES, "wait=published&sync=1"),
        (ADD, "wait=published"),
        (ADD, "x"),
    ],
)
async def test_query_parameters_are_known_and_well_formed(api: Api, path: str, query: str) -> None:
    """Anything else in a query is a 400, and appends nothing."""
    status, problem, _ = await _post(api, f"{path}?{query}", b"x", Content_Type=OCTETS)
    assert (status, _type(problem)) == (400, "malformed")
    assert len(api.host.logs["private"].entries) == 1


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json", "application/cbor"])
async def test_other_types_are_415_and_the_right_ones_are_named(
    api: Api, content_type: str
) -> None:
    """POST entries takes three types, and says which."""
    headers = {"Content_Type": content_type} if content_type else {}
    status, problem, _ = await _post(api, ENTRIES, b"x", **headers)
    if not content_type:
        # The client library names octet-stream by itself.
        assert status == 201
        return
    assert (status, _type(problem)) == (415, "unsupported-media-type")
    assert OCTETS in problem["detail"]
    assert NDJSON in problem["detail"]


@pytest.mark.parametrize("path", ["/logs/events/add", "/logs/events/entries"])
async def test_raw_entries_into_a_log_of_events_are_409(api: Api, path: str) -> None:
    """An event log takes no raw entry, whatever its bytes."""
    for content_type, body in ((OCTETS, b"x"), (NDJSON, b"garbage"), ("text/plain", b"")):
        status, problem, _ = await _post(api, path, body, Content_Type=content_type)
        assert (status, _type(problem)) == (409, "wrong-kind")


@pytest.mark.parametrize(
    ("error", "status", "name", "retry_after"),
    [
        (QueueFullError("full", 7), 429, "queue-full", "7"),
        (DiskReserveError("full"), 507, "disk-reserve", None),
        (ReadOnlyError("the tree is on fire"), 503, "read-only", None),
        (StartingError("wait"), 503, "starting", "1"),
        (StoppingError("bye"), 503, "stopping", "1"),
        (OutcomeUnknownError("may or may not"), 503, "outcome-unknown", None),
        (BatchTooLargeError("much"), 413, "batch-too-large", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("path", [ADD, ENTRIES])
async def test_refusals_of_the_log_reach_the_client(
    api: Api, path: str, error: Exception, status: int, name: str, retry_after: str | None
) -> None:
    """A refusal has its status, type and sentence and, where waiting helps, Retry-After."""
    api.host.logs["private"].error = error
    got, problem, response = await _post(api, path, b"x", Content_Type=OCTETS)
    assert (got, _type(problem)) == (status, name)
    assert problem["detail"] == str(error)
    assert response.headers.get("Retry-After") == retry_after


async def test_a_batch_is_answered_in_order(api: Api) -> None:
    """NDJSON: 201, the first index, the count, and index and leaf hash of each line."""
    batch = [b"", b"a", b"\x00\xff", b"z" * 65_535]
    status, members, _ = await _post(
        api, ENTRIES, b"\n".join(map(_line, batch)), Content_Type=NDJSON
    )
    assert status == 201
    assert members == {
        "first_index": 1,
        "count": 4,
        "entries": [
            {"index": 1 + number, "leaf_hash": base64.b64encode(leaf(entry)).decode()}
            for number, entry in enumerate(batch)
        ],
    }
    assert api.host.logs["private"].entries[1:] == batch


async def test_a_batch_that_waits_gets_the_checkpoint(api: Api) -> None:
    """wait=published on a batch adds the signed checkpoint that covers it, and no proofs."""
    status, members, _ = await _post(
        api, f"{ENTRIES}?wait=published", _line(b"a"), Content_Type=NDJSON
    )
    assert status == 201
    assert members.keys() == {"first_index", "count", "entries", "checkpoint"}
    key = parse_vkey(api.host.logs["private"].row.vkey)
    assert open_checkpoint(members["checkpoint"].encode(), key).size == 2


@pytest.mark.parametrize("coding", [None, "gzip", "GZIP"])
async def test_a_batch_may_have_a_thousand_lines(api: Api, coding: str | None) -> None:
    """1,000 entries are taken, 1,001 are refused whole."""
    headers = {"Content_Encoding": coding} if coding else {}
    for count, expected in ((1000, 201), (1001, 413)):
        body = (_line(b"x") + b"\n") * count
        status, members, _ = await _post(
            api, ENTRIES, gzip.compress(body) if coding else body, Content_Type=NDJSON, **headers
        )
        assert status == expected
    assert _type(members) == "batch-too-large"
    assert len(api.host.logs["private"].entries) == 1001
