"""What is watched while a server runs goes on being watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
import structlog
from structlog.testing import LogCapture

from tlog import watching
from tlog.tls import LoadedTls
from tlog.tls_files import TlsWatch

LIMIT_S = 20.0


async def test_a_defect_does_not_end_the_watch_of_certificates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is said, and the watch is begun again."""
    capture = LogCapture()
    logger = structlog.wrap_logger(
        None, processors=[capture], wrapper_class=structlog.stdlib.BoundLogger
    )
    monkeypatch.setattr(watching, "_logger", logger)
    monkeypatch.setattr(watching, "AGAIN_S", 0.01)
    runs: list[str] = []
    enough = asyncio.Event()

    class Defective:
        async def run(self, use: Callable[[LoadedTls, int], None]) -> None:
            del use
            runs.append("run")
            if len(runs) == 3:
                enough.set()
            raise KeyError(runs[-1])

    watch = cast("TlsWatch", Defective())
    keeping = asyncio.create_task(watching._keep_watching(watch, lambda _tls, _expires: None))
    async with asyncio.timeout(LIMIT_S):
        await enough.wait()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert keeping.cancelled()
    assert [line["log_level"] for line in capture.entries] == ["error"] * len(runs)
