"""A set of hashes in little memory: it may take a new one for an old one, never the reverse."""

from __future__ import annotations

import struct
from collections.abc import Collection

WORD_BITS = 32  # of a hash are looked at, at most
_BYTE_BITS = 3


class HashBits:
    """One bit for each value of the first `bits` bits of a hash."""

    def __init__(self, bits: int) -> None:
        """Nothing is in it; 2**(bits - 3) bytes."""
        self._bits = bytearray(1 << (bits - _BYTE_BITS))
        self._bit_shift = WORD_BITS - bits
        self._byte_shift = self._bit_shift + _BYTE_BITS

    def add(self, keys: Collection[bytes], layout: str) -> list[bytes]:
        """Add the hashes of keys; the keys of those that may have been in it before.

        layout: how struct finds the first 32 bits of a hash in a key, the rest skipped.
        """
        bits = self._bits
        byte_shift, bit_shift = self._byte_shift, self._bit_shift
        old = []
        for key, word in zip(keys, _first_words(keys, layout), strict=True):
            at = word >> byte_shift
            bit = 1 << (word >> bit_shift & 7)
            if bits[at] & bit:
                old.append(key)
            else:
                bits[at] |= bit
        return old

    def may_hold(self, keys: Collection[bytes], layout: str) -> list[bool]:
        """For each key whether its hash may be in it; layout as in `add`."""
        bits = self._bits
        byte_shift, bit_shift = self._byte_shift, self._bit_shift
        return [
            bool(bits[word >> byte_shift] >> (word >> bit_shift & 7) & 1)
            for word in _first_words(keys, layout)
        ]


def _first_words(keys: Collection[bytes], layout: str) -> tuple[int, ...]:
    return struct.unpack(">" + layout * len(keys), b"".join(keys))
