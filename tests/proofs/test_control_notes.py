"""Control notes: bounds, and what cannot be written, which vectors do not show."""

from __future__ import annotations

import pytest

from tests.vectors.keys import LOG, ORIGIN, signer
from tlog_proofs import (
    Ed25519Cosigner,
    Freeze,
    IndexMismatchError,
    MalformedCheckpointError,
    MalformedControlNoteError,
    MalformedKeyError,
    MlDsa44Cosigner,
    Rotation,
    UnknownKeyError,
    format_control_note,
    open_control_note,
    parse_checkpoint,
    parse_control_note,
    sign_note,
)

NEW = signer(ORIGIN, 1)
FREEZE = Freeze(ORIGIN, 7)
ROTATION = Rotation(ORIGIN, 7, (LOG.verifier.vkey, NEW.verifier.vkey))


def test_a_chain_of_rotations() -> None:
    """The keys that one rotation names are those that must all sign the next."""
    both = open_control_note(
        sign_note(format_control_note(ROTATION), [LOG]), ORIGIN, 7, [LOG.verifier]
    )
    assert both == ROTATION
    alone = Rotation(ORIGIN, 9, (NEW.verifier.vkey,))
    entry = sign_note(format_control_note(alone), [NEW, LOG])
    assert open_control_note(entry, ORIGIN, 9, [LOG.verifier, NEW.verifier]) == alone
    end = sign_note(format_control_note(Freeze(ORIGIN, 11)), [NEW])
    assert open_control_note(end, ORIGIN, 11, [NEW.verifier]) == Freeze(ORIGIN, 11)
    with pytest.raises(UnknownKeyError, match="by all keys of the log"):
        open_control_note(end, ORIGIN, 11, [NEW.verifier, LOG.verifier])


def test_an_entry_counts_at_its_index_alone() -> None:
    """The same bytes at any other index are refused, with both indexes."""
    entry = sign_note(format_control_note(FREEZE), [LOG])
    for index in (0, 6, 8, 2**63 - 1):
        with pytest.raises(IndexMismatchError, match=f"index {index}, got one of 7") as caught:
            open_control_note(entry, ORIGIN, index, [LOG.verifier])
        assert (caught.value.expected, caught.value.actual) == (index, 7)


def test_two_keys_that_notes_cannot_tell_apart() -> None:
    """Two keys of one name and id are refused, as everywhere."""

    class Twin(type(LOG.verifier)):  # type: ignore[misc]
        key_id = LOG.verifier.key_id

    twin = Twin(ORIGIN, NEW.verifier.public_key)
    with pytest.raises(MalformedKeyError, match="share the name and id"):
        open_control_note(
            sign_note(format_control_note(FREEZE), [LOG]), ORIGIN, 7, [LOG.verifier, twin]
        )


def test_bounds() -> None:
    """No longer than an entry can be, as text and as note."""
    with pytest.raises(MalformedControlNoteError, match="a line each"):
        parse_control_note(b"x" * 65_534 + b"\n")
    with pytest.raises(MalformedControlNoteError, match="at most 65535 bytes, got 65536"):
        parse_control_note(bytes(65_536))
    with pytest.raises(MalformedControlNoteError, match="at most 65535 bytes, got 65536"):
        open_control_note(bytes(65_536), ORIGIN, 7, [LOG.verifier])


@pytest.mark.parametrize(
    "control",
    [
        Freeze("log example", 7),
        Freeze(ORIGIN, -1),
        Freeze(ORIGIN, 2**63),
        Freeze(ORIGIN, 7, ""),
        Freeze(ORIGIN, 7, "-"),
        Freeze(ORIGIN, 7, ORIGIN),
        Freeze(ORIGIN, 7, "two words"),
        Rotation(ORIGIN, 7, ()),
        Rotation(ORIGIN, 7, (LOG.verifier.vkey,) * 2),
        Rotation(ORIGIN, 7, (f"{LOG.verifier.vkey} ",)),
        Rotation(ORIGIN, 7, (signer("log.example/two").verifier.vkey,)),
        Rotation(ORIGIN, 7, (Ed25519Cosigner(ORIGIN, bytes(32)).verifier.vkey,)),
        Rotation(ORIGIN, 7, (MlDsa44Cosigner(ORIGIN, bytes(32)).verifier.vkey,)),
        Rotation(ORIGIN, 7, tuple(signer(ORIGIN, number).verifier.vkey for number in range(17))),
    ],
)
def test_control_notes_that_cannot_be_written(control: Freeze | Rotation) -> None:
    """What its reader would refuse is not written."""
    with pytest.raises(MalformedControlNoteError):
        format_control_note(control)


def test_a_control_note_is_no_checkpoint() -> None:
    """Even where the origin is a number, no reader of checkpoints takes the text for one."""
    for control in (Freeze("123", 7), Freeze(ORIGIN, 2**63 - 1, "123"), ROTATION):
        with pytest.raises(MalformedCheckpointError):
            parse_checkpoint(format_control_note(control))
