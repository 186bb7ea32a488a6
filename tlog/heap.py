"""How the C library's heap gives memory back: large blocks at once, the rest when it is asked."""

from __future__ import annotations

import ctypes
import sys

# Of mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
LARGE_BYTES = 128 * 1024  # glibc's own, as long as nothing large was freed


def map_large_blocks() -> None:
    """Have each block of LARGE_BYTES or more mapped by itself, for the life of the process.

    Else glibc raises the threshold with the first such block that is freed; from then on the 256
    KiB that the loop's TLS asks for per connection, of which it uses little, lie where others lay
    before: all of it is resident, and none is given back.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
            mallopt(_M_TRIM_THRESHOLD, LARGE_BYTES)  # it is raised with the other


def give_back_free_memory() -> None:
    """Give free memory of the heap back to the system, where the C library is one that can."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
