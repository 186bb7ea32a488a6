"""Reading: bytes as the standards have them, caching, refusals by index and size."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.fakes import FakeLog, path, root, subproof
from tlog.tokens import Scope
from tlog_proofs import parse_tlog_proof, parse_vkey, verify_tlog_proof

ENTRIES = [b"genesis", b"", b"a", b"hello" * 100, b"\xff" * 300, b"b", b"a"]
NEVER = "0" * 64


@pytest.fixture
def log(api: Api) -> FakeLog:
    """The public log with seven entries published and one more committed."""
    log = api.host.logs["public"]
    log.entries[:] = ENTRIES
    log.publish()
    log.entries.append(b"beyond")
    return log


async def _get(api: Api, where: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with api.http.get(f"/logs/public/{where}", headers=named) as response:
        return (
            response.status,
            {k.lower(): v for k, v in response.headers.items()},
            (await response.read()),
        )


async def _json(api: Api, where: str, **headers: str) -> dict[str, Any]:
    status, got, body = await _get(api, where, **headers)
    assert status == 200
    assert got["content-type"] == "application/json"
    members = json.loads(body)
    assert isinstance(members, dict)
    return members


def _b64(hashes: list[bytes]) -> list[str]:
    return [base64.b64encode(value).decode() for value in hashes]


async def test_the_checkpoint_is_the_signed_note(api: Api, log: FakeLog) -> None:
    """Byte for byte, as UTF-8 text, in no cache."""
    status, headers, body = await _get(api, "checkpoint")
    assert (status, body) == (200, log.published.note)
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["cache-control"] == "no-store"


async def test_stored_checkpoints_are_found_by_size(api: Api, log: FakeLog) -> None:
    """A size that was published has its note, any other is a 404."""
    for size in (1, 7):
        status, _, body = await _get(api, f"checkpoints/{size}")
        assert (status, body) == (200, log.notes[size])
    for size in (0, 2, 8, 2**63 - 1):
        status, headers, _ = await _get(api, f"checkpoints/{size}")
        assert (status, headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize("width", [1, 3, 7])
async def test_tiles_and_bundles_of_every_published_width(
    api: Api, log: FakeLog, width: int
) -> None:
    """Hashes are concatenated; entries come each behind its length in two bytes."""
    status, headers, body = await _get(api, f"tile/0/000.p/{width}")
    assert (status, body) == (200, b"".join(log.hashes[:width]))
    assert headers["content-type"] == "application/octet-stream"
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "content-encoding" not in headers
    status, headers, body = await _get(
        api, f"tile/entries/000.p/{width}", Accept_Encoding="identity"
    )
    bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in ENTRIES[:width])
    assert (status, body) == (200, bundle)
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["vary"] == "Accept-Encoding"


async def test_bundles_are_compressed_for_who_accepts_it(api: Api, log: FakeLog) -> None:
    """Gzip where Accept-Encoding has it, plain otherwise; the same bytes either way."""
    log.entries[3] = b"large" * 10_000
    sent = {}
    for accepted in ("gzip", "identity", "gzip;q=0", "br, *;q=0.1"):
        async with api.http.get(
            "/logs/public/tile/entries/000.p/7",
            headers={"Accept-Encoding": accepted},
            skip_auto_headers=["Accept-Encoding"],
        ) as response:
            sent[accepted] = (
                response.headers.get("Content-Encoding"),
                response.headers["Content-Length"],
                await response.read(),
            )
    assert {kind: coding for kind, (coding, _, _) in sent.items()} == {
        "gzip": "gzip",
        "identity": None,
        "gzip;q=0": None,
        "br, *;q=0.1": "gzip",
    }
    assert len({body for _, _, body in sent.values()}) == 1
    assert int(sent["gzip"][1]) < 2000 < int(sent["identity"][1])


async def test_a_list_in_several_lines_is_one(api: Api, log: FakeLog) -> None:
    """RFC 9110 section 5.3: what a second line of Accept or Accept-Encoding says counts too."""
    log.entries[3] = b"large" * 10_000
    encodings = [("Accept-Encoding", "br"), ("Accept-Encoding", "gzip")]
    where = "/logs/public/tile/entries/000.p/7"
    async with api.http.get(where, headers=encodings) as response:
        assert response.headers["Content-Encoding"] == "gzip"
    types = [("Accept", "text/html"), ("Accept", "application/json")]
    async with api.http.get("/logs/public/proof/inclusion/1", headers=types) as response:
        assert (response.status, response.content_type) == (200, "application/json")


@pytest.mark.parametrize(
    "where",
    [
        "tile/0/000",
        "tile/0/000.p/8",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/63/000.p/1",
        "tile/entries/000",
        "tile/entries/000.p/8",
        "entries/7",
        f"entries/{2**63 - 1}",
        "proof/inclusion/7",
        "proof/inclusion/0/8",
        "proof/inclusion/7/8",
        "proof/consistency/7/8",
        "proof/consistency/8/8",
        f"leaf-hash/{NEVER}",
    ],
)
async def test_nothing_beyond_the_published_size_is_told(
    api: Api, log: FakeLog, where: str
) -> None:
    """What is committed and not published is a 404 that no cache keeps."""
    status, headers, body = await _get(api, where)
    assert (status, headers["cache-control"]) == (404, "no-store")
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == 404


@pytest.mark.parametrize(
    "where",
    [
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/07",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/entry/000",
        "tile/0/000/",
        "tile/0/000.p/3/..",
        "entries/01",
        "entries/-1",
        "entries/+1",
        "entries/1.0",
        "entries/one",
        f"entries/{2**63}",
        "entries/" + "1" * 200,
        "checkpoints/00",
        "checkpoints",
        "checkpoints?at=",
        "checkpoints?time=2026-01-01T00:00:00Z",
        "proof/inclusion/1/x",
        "proof/inclusion/x",
        "proof/inclusion/7/7",
        "proof/inclusion/0/0",
        "proof/inclusion/9/8",
        "proof/consistency/0/7",
        "proof/consistency/0/0",
        "proof/consistency/3/2",
        "proof/consistency/9/8",
        "proof/consistency/a/b",
        "leaf-hash/" + "A" * 64,
        "leaf-hash/" + "a" * 63,
        "leaf-hash/" + "a" * 65,
        "leaf-hash/" + "g" * 64,
        "checkpoint?x=1",
        "entries/0?index=0",
        "tile/0/000.p/1?",
    ],
)
async def test_malformed_and_impossible_requests_are_400(
    api: Api, log: FakeLog, where: str
) -> None:
    """Numbers have one spelling and must go together; unknown query parameters are refused."""
    status, headers, _ = await _get(api, where)
    if where.endswith("?"):
        assert status == 200  # an empty query is none
        return
    assert (status, headers["cache-control"]) == (400, "no-store")


async def test_entries_are_their_bytes(api: Api, log: FakeLog) -> None:
    """An entry comes back as it went in, and never changes."""
    for index, entry in enumerate(ENTRIES):
        status, headers, body = await _get(api, f"entries/{index}")
        assert (status, body) == (200, entry)
        assert headers["content-type"] == "application/octet-stream"
        assert headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_inclusion_proofs_are_those_of_the_standard(api: Api, log: FakeLog) -> None:
    """Every index in every size: RFC 6962's PATH, in standard base64."""
    for size in range(1, 8):
        for index in range(size):
            assert await _json(api, f"proof/inclusion/{index}/{size}") == {
                "index": index,
                "size": size,
                "leaf_hash": _b64([log.hashes[index]])[0],
                "proof": _b64(path(index, log.hashes[:size])),
            }


async def test_consistency_proofs_are_those_of_the_standard(api: Api, log: FakeLog) -> None:
    """Every pair of sizes: RFC 6962's PROOF; two equal sizes need no hash."""
    for new in range(1, 8):
        for old in range(1, new + 1):
            assert await _json(api, f"proof/consistency/{old}/{new}") == {
                "old": old,
                "new": new,
                "proof": _b64(subproof(old, log.hashes[:new])),
            }


async def test_proofs_at_the_published_checkpoint(api: Api, log: FakeLog) -> None:
    """JSON holds the checkpoint too; text/plain is a tlog-proof that stands alone."""
    for index in range(7):
        assert await _json(api, f"proof/inclusion/{index}") == {
            "index": index,
            "size": 7,
            "leaf_hash": _b64([log.hashes[index]])[0],
            "proof": _b64(path(index, log.hashes[:7])),
            "checkpoint": log.published.note.decode(),
        }
        _, headers, body = await _get(api, f"proof/inclusion/{index}", Accept="text/plain")
        assert headers["vary"] == "Accept"
        assert headers["cache-control"] == "no-store"
        head = verify_tlog_proof(
            parse_tlog_proof(body), log.hashes[index], parse_vkey(log.row.vkey)
        )
        assert (head.size, head.root) == (7, root(log.hashes[:7]))


async def test_a_leaf_hash_has_one_of_its_indexes(api: Api, log: FakeLog) -> None:
    """Where equal entries stand twice, either index will do."""
    for index, value in enumerate(log.hashes[:7]):
        found = await _json(api, f"leaf-hash/{value.hex()}")
        assert ENTRIES[found["index"]] == ENTRIES[index]


async def test_private_answers_stay_private(api: Api) -> None:
    """Every answer about a private log says `private`, also the immutable ones."""
    headers = api.bearer(Scope.READ)
    for where, expected in (
        ("checkpoint", "private, no-store"),
        ("proof/inclusion/0", "private, no-store"),
        ("tile/0/000.p/1", "private, max-age=31536000, immutable"),
        ("tile/entries/000.p/1", "private, max-age=31536000, immutable"),
        ("entries/0", "private, max-age=31536000, immutable"),
        ("proof/inclusion/0/1", "private, max-age=31536000, immutable"),
        ("proof/consistency/1/1", "private, max-age=31536000, immutable"),
    ):
        async with api.http.get(f"/logs/private/{where}", headers=headers) as response:
            assert (where, response.headers["Cache-Control"]) == (where, expected)


async def test_head_is_get_without_the_body(api: Api, log: FakeLog) -> None:
    """HEAD has the same status and headers, and no bytes."""
    for where in ("checkpoint", "entries/3", "entries/99", "tile/0/000.p/1"):
        status, headers, body = await _get(api, where)
        async with api.http.head(f"/logs/public/{where}") as response:
            assert response.status == status
            assert response.headers["Content-Type"] == headers["content-type"]
            assert response.headers["Content-Length"] == str(len(body))
            assert await response.read() == b""
