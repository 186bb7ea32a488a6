"""What one group of the index may hold already: most look-ups before a write find nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tlog.store.hash_bits import HashBits

# A group has 262,144 entries: one new key in 32 is looked up for nothing when it is nearly full of
# leaf hashes, one in 16 where each entry has an id too. A look-up takes ten times as long as this.
BITS = 23  # 1 MiB
KEY_LAYOUT = "5xI8x"  # group and kind, then 12 bytes of a hash


class SeenKeys:
    """The keys of one group, of both kinds."""

    def __init__(self, group: int, keys: Iterable[bytes]) -> None:
        """Start from all the keys (17 bytes each) that the group has."""
        self.group = group
        self._bits = HashBits(BITS)
        self.note(list(keys))

    def note(self, keys: Collection[bytes]) -> list[bytes]:
        """Take note of keys (17 bytes each); those that may have been noted before.

        All others certainly were not.
        """
        return self._bits.add(keys, KEY_LAYOUT)
