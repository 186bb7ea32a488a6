"""Reference cycles are let go of by time too, however few objects they are made of."""

from __future__ import annotations

import asyncio
import gc
import platform
import subprocess
import sys
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


RELEASE = """
import re
from tlog.heap import give_back_free_memory

def anonymous_kib():
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(r"RssAnon:\\s+(\\d+)", status.read())[1])

blocks = [bytes([1]) * 4096 for _ in range(25_000)]
pinned = blocks[::100]  # they keep the heap's end, and much between, where it is
del blocks
before = anonymous_kib()
give_back_free_memory()
print(before, anonymous_kib())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives back when asked")
def test_free_memory_between_what_is_held_goes_back_to_the_system() -> None:
    """Of 100 MB that were freed all but a little goes, though a hundredth of it is still held."""
    done = subprocess.run(
        [sys.executable, "-c", RELEASE], capture_output=True, text=True, timeout=60, check=True
    )
    before, after = map(int, done.stdout.split())
    assert before - after > 60_000
