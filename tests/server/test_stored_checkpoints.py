"""Checkpoints on record: none is shown before it is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.hosts import ORIGIN, open_host
from tlog.checkpoints import Published
from tlog.creation import NewLog
from tlog.errors import NotFoundError


async def test_a_stored_checkpoint_that_is_not_served_yet_is_not_shown(tmp_path: Path) -> None:
    """Between its row and its publication: neither by its size, nor by time in place of another."""
    async with open_host(tmp_path) as host:
        await host.create_log(NewLog("a", ORIGIN))
        log = host.logs["a"]
        served = log.published
        assert log._opened.checkpoints is not None
        later = served.published_ms + 60_000
        log._opened.checkpoints.add(Published(served.size + 1, bytes(32), b"not yet", later))
        with pytest.raises(NotFoundError):
            await log.checkpoint_at(served.size + 1)
        assert await log.checkpoint_not_after(later) == served.note
        assert await log.checkpoint_at(served.size) == served.note
