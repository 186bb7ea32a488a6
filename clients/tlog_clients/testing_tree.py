"""The log in the memory of a FakeLog: entries, their tree, and signed checkpoints of it."""

from __future__ import annotations

from tlog_proofs import (
    KIND_OPAQUE,
    Checkpoint,
    Ed25519Signer,
    EntryBundle,
    Genesis,
    Tile,
    TlogProof,
    format_checkpoint,
    format_entry_bundle,
    format_genesis,
    format_tlog_proof,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    sign_note,
    tree_root,
)

_CREATED_S = 1_700_000_000  # always the same, so that a test's checkpoints are too
_SEED = bytes(range(32))


class FakeTree:
    """Entries and every full subtree over them; entry 0 is the genesis."""

    def __init__(self, origin: str) -> None:
        """Begin a log, whose key is the same in every run and known to everybody."""
        self._signer = Ed25519Signer(origin, _SEED)
        self._origin = origin
        self.log_key = self._signer.verifier
        self.entries: list[bytes] = []
        self.index_of_leaf: dict[bytes, int] = {}
        self._nodes: list[list[bytes]] = []  # [height][number]: roots of 2**height leaves
        vkeys = (self.log_key.vkey,)
        self.append(format_genesis(Genesis(origin, KIND_OPAQUE, _CREATED_S, vkeys)))

    @property
    def size(self) -> int:
        """The number of entries, the genesis among them."""
        return len(self.entries)

    def append(self, entry: bytes) -> int:
        """Append an entry and return its index."""
        index = len(self.entries)
        node = leaf_hash(entry)
        self.entries.append(entry)
        self.index_of_leaf.setdefault(node, index)
        height = 0
        while True:
            if height == len(self._nodes):
                self._nodes.append([])
            nodes = self._nodes[height]
            nodes.append(node)
            if len(nodes) % 2:
                return index
            node = node_hash(nodes[-2], nodes[-1])
            height += 1

    def checkpoint(self, size: int) -> bytes:
        """Sign the head of that size."""
        text = format_checkpoint(Checkpoint(self._origin, size, tree_root(size, self._subtree)))
        return sign_note(text, [self._signer])

    def tlog_proof(self, index: int, size: int) -> bytes:
        """Format the tlog-proof of an entry under the head of that size."""
        path = prove_inclusion(index, size, self._subtree)
        return format_tlog_proof(TlogProof(index, path, self.checkpoint(size)))

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Prove an entry's inclusion."""
        return prove_inclusion(index, size, self._subtree)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Prove that one size continues the other."""
        return prove_consistency(old, new, self._subtree)

    def tile(self, tile: Tile | EntryBundle) -> bytes:
        """Return a tile, or a bundle, that lies within the tree."""
        if isinstance(tile, EntryBundle):
            return format_entry_bundle(self.entries[tile.start : tile.end])
        first = tile.index * 256
        return b"".join(self._nodes[8 * tile.level][first : first + tile.width])

    def _subtree(self, start: int, end: int) -> bytes:
        height = (end - start).bit_length() - 1
        return self._nodes[height][start >> height]
