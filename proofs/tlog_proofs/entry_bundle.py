"""Entry bundles: the entries under a tile of leaf hashes, each after its length in two bytes.

Source: C2SP tlog-tiles, "Log entries".
"""

from __future__ import annotations

from collections.abc import Sequence

from tlog_proofs.errors import MalformedTileError
from tlog_proofs.strict import show
from tlog_proofs.tiles import TILE_WIDTH

MAX_ENTRY_BYTES = 65_535
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)


def format_entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Write 1 to 256 entries as the bytes of a bundle: each after its length in two bytes.

    Raises:
        MalformedTileError: there are none or more than 256, or one has more than 65,535 bytes.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise MalformedTileError(f"expected 1 to {TILE_WIDTH} entries, got {len(entries)}")
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise MalformedTileError(
                f"expected an entry of at most {MAX_ENTRY_BYTES} bytes, got {len(entry)}"
            )
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def parse_entry_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Read the entries of a bundle that has exactly `width` (1 to 256) of them.

    Raises:
        MalformedTileError: the bundle ends early, or bytes are left over.
    """
    if not 1 <= width <= TILE_WIDTH:
        raise MalformedTileError(f"expected a width between 1 and {TILE_WIDTH}, got {show(width)}")
    entries: list[bytes] = []
    position = 0
    for _ in range(width):
        length = int.from_bytes(data[position : position + 2], "big")
        end = position + 2 + length
        # Fewer than two bytes of length at the very end are caught here as well.
        if end > len(data):
            raise MalformedTileError(
                f"expected {width} entries, the bundle ends within number {len(entries)}"
            )
        entries.append(data[position + 2 : end])
        position = end
    if position != len(data):
        raise MalformedTileError(
            f"expected {width} entries, got {len(data) - position} bytes after them"
        )
    return tuple(entries)
