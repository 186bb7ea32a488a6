"""What the benchmarks measure is what they say: a filled log is a log, bodies are new ones."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from bench.client import Bodies
from bench.fill import BATCH, fill
from bench.process import disk_bytes
from bench.server import LOG, DataDirectory
from tests.faults.server_process import tlog

SIZE = 2 * BATCH + 7


@pytest.mark.parametrize(("ids", "random_bytes"), [(False, 0), (True, 0), (False, 600)])
def test_a_filled_log_is_one_that_fsck_accepts(
    tmp_path: Path, ids: bool, random_bytes: int
) -> None:
    """Every stored row of a directly filled log is right, and its head is signed at its size."""
    data = DataDirectory.create(tmp_path / "data")
    seen: list[int] = []
    fill(data, SIZE, seen.append, ids=ids, random_bytes=random_bytes)
    assert seen[-1] == SIZE
    where = ("--data", str(data.path))
    tlog("fsck", *where, "--log", LOG)
    assert json.loads(tlog("log", "show", LOG, *where, "--json"))["size"] == SIZE
    assert (disk_bytes(data.path) > SIZE * 600) == (random_bytes == 600)


def test_no_body_is_sent_twice() -> None:
    """Entries and ids of batches are of the length that was asked for, and all different."""
    bodies = Bodies(600, 10, ids=True)
    lines = [json.loads(line) for _ in range(3) for line in bodies.next().splitlines()]
    entries = {base64.b64decode(line["entry"], validate=True) for line in lines}
    assert len(entries) == len({line["id"] for line in lines}) == 30
    assert {len(entry) for entry in entries} == {600}
    single = Bodies(600, None)
    assert len({single.next() for _ in range(30)}) == 30
