"""Inclusion paths from whole tiles: bottom up, without a call for each subtree.

The same paths as tlog_proofs.prove_inclusion makes, at a tenth of the cost: a log that is
asked for proofs all day has the tiles' inner nodes at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tlog.tile_cache import TileNodes
from tlog_proofs import TILE_HEIGHT, TILE_WIDTH, node_hash

# (level, index, least number of hashes) -> the nodes of that tile
ReadNodes = Callable[[int, int, int], TileNodes]


def tails_of(size: int, read_nodes: ReadNodes) -> tuple[bytes | None, ...]:
    """For each height h the root of what lies behind the last full subtree of 2**h leaves.

    That is the RFC 6962 root of the leaves [size >> h << h, size), None where there are none.
    Cost: a hash for each bit of size that is set.
    """
    tail: bytes | None = None
    tails = [tail]
    for height in range(size.bit_length()):
        if size >> height & 1:
            level, inner = divmod(height, TILE_HEIGHT)
            index, offset = divmod((size >> height) - 1, TILE_WIDTH >> inner)
            nodes = read_nodes(level, index, (offset + 1) << inner)
            node = nodes.node(inner, offset)
            tail = node if tail is None else node_hash(node, tail)
        tails.append(tail)
    return tuple(tails)


def inclusion_path(
    index: int, size: int, read_nodes: ReadNodes, tails: Sequence[bytes | None]
) -> tuple[bytes, ...]:
    """The inclusion proof (hashes of 32 bytes, lowest first) of a leaf in the tree of size.

    Args:
        index: of the leaf, below size.
        tails: as tails_of(size).

    Source: RFC 6962 section 2.1.1.
    """
    path: list[bytes] = []
    height = 0
    top = (size - 1).bit_length()
    while height < top:
        level = height // TILE_HEIGHT
        tile = index >> TILE_HEIGHT * (level + 1)
        nodes: TileNodes | None = None
        for inner in range(min(TILE_HEIGHT, top - height)):
            sibling = index >> height ^ 1
            full = size >> height  # subtrees of this height that are full
            tail = tails[height]
            if sibling < full:
                offset = sibling & ((TILE_WIDTH >> inner) - 1)
                if nodes is None:
                    nodes = read_nodes(level, tile, (offset + 1) << inner)
                path.append(nodes.node(inner, offset))
            elif sibling == full and tail is not None:
                path.append(tail)
            height += 1
    return tuple(path)
