"""Reference cycles are let go of by time too, however few objects they are made of."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from tlog import collector


class Heavy:
    """Something in a cycle with itself."""

    def __init__(self) -> None:
        self.me = self


async def test_a_cycle_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a collector that counts to a number that is never reached; old cycles go as well."""
    monkeypatch.setattr(collector, "MIDDLE_S", 0.02)
    monkeypatch.setattr(collector, "EVERYTHING", 3)
    thresholds = gc.get_threshold()
    gc.set_threshold(10**9)
    try:
        old = Heavy()
        gc.collect()  # it is of the oldest generation from here on
        young = Heavy()
        left = [weakref.ref(old), weakref.ref(young)]
        del old, young
        async with collector.collecting_by_time():
            async with asyncio.timeout(20):
                while any(one() is not None for one in left):  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.01)
    finally:
        gc.set_threshold(*thresholds)
