"""The peer is a log that can be measured: it takes entries and publishes them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench.generators import Generator, Target
from bench.published import Log, measure_published
from bench.tessera import ADD_PATH, BEST, CHECKPOINT_PATH, build_tessera, start_tessera

pytestmark = pytest.mark.peers


def test_tessera_is_a_peer(tmp_path: Path) -> None:
    """Under our load generator it answers, and its checkpoint comes to cover an entry."""
    if reason := build_tessera():
        pytest.skip(reason)
    with start_tessera(tmp_path / "log", BEST[1]) as server:
        assert Generator().singles(Target(server.address, ADD_PATH), 2, 0.3).requests > 2
        found = asyncio.run(measure_published(server.address, Log(ADD_PATH, CHECKPOINT_PATH), 0.3))
        assert found.p50_ms > 0
    assert (tmp_path / "log" / "checkpoint").exists()
