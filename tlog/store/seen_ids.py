"""Which ids the index may hold, so that a new one is not looked for in every group of a window.

At 8 million entries such a look-up took 62 us of the 75 that an entry with an id cost.
"""

from __future__ import annotations

from collections.abc import Sequence

from tlog.store.hash_bits import HashBits
from tlog.store.seen_keys import KEY_LAYOUT

MIN_BITS = 16
MAX_BITS = 26  # 8 MiB
BITS_PER_ENTRY = 16
MAC_LAYOUT = "I12x"


class SeenIds:
    """The ids of the entries from one index on, as far as they were read back.

    All ids in groups from `complete_from` on are in it: new ones are noted before they are written,
    old ones read back a few at a time, from the newest group down.
    """

    def __init__(self, entries: int, complete_from: int) -> None:
        """Begin with no id at all, for a window that has so many entries now."""
        self.complete_from = complete_from
        self._size = _bits_for(entries)
        self._bits = HashBits(self._size)
        self.resume_after: bytes | None = None  # the last key read of group complete_from - 1

    def outgrown(self, entries: int) -> bool:
        """Whether a window of so many entries deserves one of at least four times the size."""
        return _bits_for(entries) >= self._size + 2

    def note(self, macs: Sequence[bytes]) -> None:
        """Take note of ids (MACs of 16 bytes) that will be written."""
        self._bits.add(macs, MAC_LAYOUT)

    def read_back(self, keys: Sequence[bytes], asked: int) -> None:
        """Take note of the next ids (keys of 17 bytes) of group complete_from - 1.

        keys: those behind `resume_after`, in order; fewer than were asked for end the group.
        """
        self._bits.add(keys, KEY_LAYOUT)
        if len(keys) < asked:
            self.complete_from -= 1
            self.resume_after = None
        else:
            self.resume_after = keys[-1]

    def may_hold(self, macs: Sequence[bytes]) -> list[bool]:
        """For each id whether a group from complete_from on may hold it; False is certain."""
        return self._bits.may_hold(macs, MAC_LAYOUT)


def _bits_for(entries: int) -> int:
    return max(MIN_BITS, min(MAX_BITS, (BITS_PER_ENTRY * entries).bit_length()))
