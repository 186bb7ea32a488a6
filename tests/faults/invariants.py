"""The one checker of all fault tests, from what clients saw; it shares no code with the server.

- every acknowledged entry stands at its index;
- all signed heads ever seen are of one tree, and sizes never decreased;
- the entries that are served rebuild the root that is served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from tlog_proofs import open_checkpoint, parse_vkey


def roots_by_size(entries: Sequence[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """The root of the first n entries, for each n of sizes; by a stack of full subtrees."""
    wanted = set(sizes)
    roots = {}
    stack: list[tuple[int, bytes]] = []
    for size, entry in enumerate(entries, 1):
        width, node = 1, hashlib.sha256(b"\x00" + entry).digest()
        while stack and stack[-1][0] == width:
            node = hashlib.sha256(b"\x01" + stack.pop()[1] + node).digest()
            width *= 2
        stack.append((width, node))
        if size in wanted:
            root = stack[-1][1]
            for _, left in reversed(stack[:-1]):
                root = hashlib.sha256(b"\x01" + left + root).digest()
            roots[size] = root
    return roots


def check_invariants(
    vkey: str, entries: Sequence[bytes], acked: Mapping[int, bytes], heads: Sequence[bytes]
) -> None:
    """Hold what is served against what was promised.

    entries: all served entries; acked: index -> entry of every acknowledgement; heads: every
    signed head seen, in the order in which it was seen.
    """
    for index, entry in acked.items():
        assert index < len(entries), f"acknowledged entry {index} is lost"
        assert entries[index] == entry, f"acknowledged entry {index} is another one"
    signed = [open_checkpoint(note, parse_vkey(vkey)) for note in heads]
    sizes = [head.size for head in signed]
    assert sizes == sorted(sizes), "a smaller head was served after a larger one"
    assert sizes[-1] <= len(entries)
    roots = roots_by_size(entries, sizes)
    for head in signed:
        assert head.root == roots[head.size], f"the head of size {head.size} is of another tree"
