"""What one group of the index may hold already: most look-ups before a write find nothing."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable

# A group has 262,144 entries: one new key in 32 is looked up for nothing when it is nearly full of
# leaf hashes, one in 16 where each entry has an id too. A look-up takes ten times as long as this.
BITS = 23
_BIT_SHIFT = 32 - BITS
_BYTE_SHIFT = _BIT_SHIFT + 3
_PREFIX_BYTES = 5  # group and kind, the same for most keys: what follows is a hash


class SeenKeys:
    """A bit for each hash's first 23 bits; keys of one group, of both kinds."""

    def __init__(self, group: int, keys: Iterable[bytes]) -> None:
        """Start from all the keys (17 bytes each) that the group has."""
        self.group = group
        self._bits = bytearray(1 << (BITS - 3))
        self.note(list(keys))

    def note(self, keys: Collection[bytes]) -> list[bytes]:
        """Take note of keys (17 bytes each); those that may have been noted before.

        All others certainly were not.
        """
        bits = self._bits
        maybe = []
        slots = struct.unpack(">" + f"{_PREFIX_BYTES}xI8x" * len(keys), b"".join(keys))
        for key, slot in zip(keys, slots, strict=True):
            at = slot >> _BYTE_SHIFT
            bit = 1 << (slot >> _BIT_SHIFT & 7)
            if bits[at] & bit:
                maybe.append(key)
            else:
                bits[at] |= bit
        return maybe
