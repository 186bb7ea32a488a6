"""Real input: 40,569 host audit events appended over HTTP, audited, proved and verified offline."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import aiohttp
import pytest

from tests.faults.server_process import ServerProcess, tlog
from tlog_proofs import leaf_hash, parse_tlog_proof, parse_vkey, verify_tlog_proof

EVENTS = Path(__file__).parents[3] / "shared" / "data" / "windows-events.ndjson.gz"
COUNT = 40_569
PROOFS = 1000


@pytest.mark.skipif(not EVENTS.exists(), reason="the folder of real input is absent")
async def test_all_windows_events_are_appended_audited_and_proved(tmp_path: Path) -> None:
    """Every line is an entry at its index, the audit is clean, 1,000 proofs verify offline."""
    lines = gzip.decompress(EVENTS.read_bytes()).removesuffix(b"\n").split(b"\n")
    assert len(lines) == COUNT
    (tmp_path / "events").write_bytes(b"\n".join(lines) + b"\n")
    data_dir, state = str(tmp_path / "data"), ("--state", str(tmp_path / "heads.json"))
    vkey = tlog("log", "create", "win", "--data", data_dir, "--origin", "log.example/windows")
    scopes = ("--scope", "append", "--scope", "read")
    token = tlog("token", "create", "--data", data_dir, "--log", "win", *scopes)
    server = ServerProcess(Path(data_dir))
    server.start()
    try:
        where = ("--url", f"{server.url}/logs/win", "--vkey", vkey, "--token", token, *state)
        indexes = tlog("append", *where, "--lines", str(tmp_path / "events")).split()
        assert indexes == [str(index) for index in range(1, COUNT + 1)]
        assert f"entries       {COUNT + 1}" in tlog("audit", *where)
        proofs = {}
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/plain"}
        async with aiohttp.ClientSession(headers=headers) as session:
            for index in random.Random(3).sample(range(1, COUNT + 1), PROOFS):
                url = f"{server.url}/logs/win/proof/inclusion/{index}"
                async with session.get(url) as answer:
                    assert answer.status == 200
                    proofs[index] = await answer.read()
    finally:
        assert server.stop() == 0
    # The server is gone: from here on there are the proofs, the entries and the vkey.
    key = parse_vkey(vkey)
    for index, data in proofs.items():
        proof = parse_tlog_proof(data)
        assert proof.index == index
        signed = verify_tlog_proof(proof, leaf_hash(lines[index - 1]), key)
        assert signed.size == COUNT + 1
