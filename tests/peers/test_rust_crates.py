"""Notes, checkpoints and proofs against Cloudflare's crates signed_note and tlog_tiles."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import pytest

from tests import reference
from tests.peers.rust_crates import RustCrates, RustOpened
from tests.vectors import runner
from tests.vectors.fields import octets
from tests.vectors.keys import LOG, STRANGER, WITNESS
from tlog_proofs import (
    TlogError,
    open_note,
    parse_checkpoint,
    parse_note_unverified,
    sign_note,
    verify_consistency,
    verify_inclusion,
)

pytestmark = pytest.mark.peers

KEYS = [LOG.verifier, WITNESS.verifier]
EMPTY_ROOT = hashlib.sha256(b"").digest()
Parsed = tuple[str, int, bytes, str]
LEAVES = tuple(reference.leaf(b"%d" % number) for number in range(40))


def vectors_of(field: str, *files: str) -> list[bytes]:
    """The inputs of vector files that have such a field."""
    cases = [case["input"] for file in files for case in runner.load(file)["cases"]]
    return [octets(case, field) for case in cases if field in case or f"{field}_hex" in case]


def damaged(original: bytes, choice: random.Random) -> bytes:
    """The original with one place changed."""
    at = choice.randrange(len(original))
    piece = choice.choice(
        [b"", b"\n", b" ", b"=", b"A", b"\xe2\x80\x94 ", bytes([choice.randrange(256)])]
    )
    return original[:at] + piece + original[at + choice.randrange(2) :]


def ours(note: bytes) -> RustOpened | None:
    """What we make of a note, each key counted once, as they do."""
    try:
        opened = open_note(note, KEYS)
    except TlogError:
        return None
    verified, unverified = (
        dict.fromkeys((line.name, line.key_id) for line in lines)
        for lines in (opened.verified, opened.unverified)
    )
    return RustOpened(opened.text, list(verified), len(unverified))


def repeats_a_key(note: bytes) -> bool:
    """Whether two lines are by one key: they look at the first alone, we verify all."""
    keys = [(line.name, line.key_id) for line in parse_note_unverified(note).signatures]
    return len(set(keys)) < len(keys)


def test_notes(rust_crates: RustCrates) -> None:
    """Good notes, the vectors and notes damaged in one place: opened by both, or by neither."""
    texts = [b"a\n", b"one\n\ntwo\n\n\nthree\n", "\u65e5\u672c \u2014 \u00fc\n".encode()]
    good = [
        sign_note(text, signers)
        for text in texts
        for signers in ([LOG], [WITNESS, LOG], [STRANGER, LOG], [LOG, STRANGER])
    ]
    choice = random.Random(7)
    notes = [
        *good,
        sign_note(texts[0], [STRANGER]),
        *vectors_of("note", "note/open.json", "note/malformed.json", "checkpoint/open.json"),
        *(damaged(choice.choice(good), choice) for _ in range(3_000)),
    ]
    found = rust_crates.open([key.vkey for key in KEYS], notes)
    assert all(found[: len(good)])
    for note, theirs in zip(notes, found, strict=True):
        mine = ours(note)
        assert mine == theirs or (mine is None and repeats_a_key(note)), note


def checkpoint_of(text: bytes) -> Parsed | None:
    """What we make of a checkpoint's text."""
    try:
        parsed = parse_checkpoint(text)
    except TlogError:
        return None
    lines = "".join(f"{line}\n" for line in parsed.extensions)
    return parsed.origin, parsed.size, parsed.root, lines


def is_out_of_our_bounds(text: bytes, found: Parsed) -> bool:
    """Whether we refuse a checkpoint that they read, for what spec or peers forbid elsewhere.

    Origins above 255 bytes (subtree/v1), control characters (signed-note), sizes above 2^63-1
    (Go's libraries), an empty tree with another root (tlog-witness), texts above 64 KiB.
    """
    origin, size, root, _ = found
    return (
        len(origin.encode()) > 255
        or any(byte < 0x20 and byte != 0x0A for byte in text)
        or size >= 2**63
        or (size == 0 and root != EMPTY_ROOT)
        or len(text) > 1 << 16
    )


def test_checkpoints(rust_crates: RustCrates) -> None:
    """The vectors and texts damaged in one place: read alike by both, or by neither."""
    texts = vectors_of("checkpoint", "checkpoint/texts.json")
    good = [text for text in texts if checkpoint_of(text) is not None]
    choice = random.Random(8)
    texts += [damaged(choice.choice(good), choice) for _ in range(3_000)]
    both = 0
    for text, theirs in zip(texts, rust_crates.checkpoints(texts), strict=True):
        if theirs is None or not is_out_of_our_bounds(text, theirs):
            assert checkpoint_of(text) == theirs, text
            both += theirs is not None
        else:
            assert checkpoint_of(text) is None, text
    assert both > 300


def holds(verify: object, *arguments: object) -> bool:
    """Whether a verify function of ours returns."""
    assert callable(verify)
    try:
        verify(*arguments)
    except TlogError:
        return False
    return True


def changed(path: list[bytes]) -> Iterator[list[bytes]]:
    """The path, and paths that differ from it."""
    yield path
    yield [*path, LEAVES[0]]
    if path:
        yield path[1:]
        yield [*path[:-1], LEAVES[1]]
        yield path[::-1]


def test_inclusion(rust_crates: RustCrates) -> None:
    """Every leaf of every small tree, with right and wrong paths, sizes and leaves."""
    proofs = [
        (shown, of, leaf, path, reference.root(LEAVES[:size]))
        for size in range(1, 20)
        for index in range(size)
        for path in changed(reference.path(index, LEAVES[:size]))
        for shown, of, leaf in (
            (index, size, LEAVES[index]),
            (index + 1, size, LEAVES[index]),
            (index, size + 1, LEAVES[index]),
            (index, size, LEAVES[index + 1]),
        )
    ]
    expected = [
        holds(verify_inclusion, index, size, leaf, path, root)
        for index, size, leaf, path, root in proofs
    ]
    assert 0 < sum(expected) < len(expected)
    assert rust_crates.inclusion(proofs) == expected


def test_consistency(rust_crates: RustCrates) -> None:
    """Every pair of small trees, with right and wrong paths and sizes."""
    proofs = [
        (shown, of, path, reference.root(LEAVES[:old]), reference.root(LEAVES[:new]))
        for new in range(1, 20)
        for old in range(1, new + 1)
        for path in changed(reference.consistency(old, LEAVES[:new]))
        for shown, of in ((old, new), (old + 1, new), (old, new + 1), (0, new))
    ]
    expected = [
        holds(verify_consistency, old, new, path, old_root, new_root)
        for old, new, path, old_root, new_root in proofs
    ]
    assert 0 < sum(expected) < len(expected)
    assert rust_crates.consistency(proofs) == expected
