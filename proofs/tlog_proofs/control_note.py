"""Control notes: the entries by which a log says that its keys change, or that it ends.

    tlog/control/1
    log.example/one                        origin
    1234                                   index of this very entry
    rotate VKEY VKEY ...                   or: freeze SUCCESSOR

is the text of a note that every current Ed25519 key of the log signs. It counts at its index alone;
whatever else is in a log, bad control notes too, is an ordinary entry. The page is
spec/control-note.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tlog_proofs.ed25519 import Ed25519Verifier
from tlog_proofs.entry_bundle import MAX_ENTRY_BYTES
from tlog_proofs.errors import (
    IndexMismatchError,
    MalformedControlNoteError,
    MalformedError,
    OriginMismatchError,
    UnknownKeyError,
)
from tlog_proofs.genesis import MAX_VKEYS, check_origin
from tlog_proofs.geometry import check_size
from tlog_proofs.key_text import ED25519_TYPE, ML_DSA_44_COSIGNATURE_TYPE
from tlog_proofs.keys import parse_vkey
from tlog_proofs.note import Verifier, check_text, open_note
from tlog_proofs.strict import parse_decimal, show

_VERSION = "tlog/control/1"
_NO_SUCCESSOR = "-"


@dataclass(frozen=True, slots=True)
class Rotation:
    """From the entry at `index` on the log's keys are those of `vkeys`, and no others."""

    origin: str
    index: int
    vkeys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Freeze:
    """The entry at `index` is the log's last; `successor` is the origin that goes on, or None."""

    origin: str
    index: int
    successor: str | None = None


ControlNote = Rotation | Freeze


def format_control_note(control: ControlNote) -> bytes:
    """Write the text of a control note, for note.sign_note; the inverse of parse_control_note.

    Raises:
        MalformedControlNoteError: a field does not keep the rules.
    """
    try:
        check_origin(control.origin)
        check_size("index", control.index)
        if isinstance(control, Rotation):
            _check_vkeys(control)
            action = " ".join(["rotate", *control.vkeys])
        else:
            _check_successor(control)
            action = f"freeze {control.successor or _NO_SUCCESSOR}"
    except MalformedControlNoteError:
        raise
    except MalformedError as error:
        raise MalformedControlNoteError(f"control note: {error}") from error
    return f"{_VERSION}\n{control.origin}\n{control.index}\n{action}\n".encode()


def parse_control_note(text: bytes) -> ControlNote:
    """Read the text of a control note: what the signatures sign, not the note.

    Raises:
        MalformedControlNoteError: it is none, or spells one otherwise than format_control_note.
    """
    if len(text) > MAX_ENTRY_BYTES:
        raise MalformedControlNoteError(
            f"expected a control note of at most {MAX_ENTRY_BYTES} bytes, got {len(text)}"
        )
    try:
        match check_text(text).split("\n"):
            case [version, origin, index, action, ""] if version == _VERSION:
                control = _parse_action(origin, parse_decimal(index), action)
            case _:
                raise MalformedControlNoteError(
                    f"expected {_VERSION}, origin, index and action, a line each, got {show(text)}"
                )
        spelled = format_control_note(control)
    except MalformedControlNoteError:
        raise
    except MalformedError as error:
        raise MalformedControlNoteError(f"control note: {error}") from error
    if spelled != text:
        raise MalformedControlNoteError(
            f"expected the control note's own spelling, got {show(text)}"
        )
    return control


def open_control_note(
    entry: bytes, origin: str, index: int, log_keys: Iterable[Verifier]
) -> ControlNote:
    """Verify that an entry is a control note of a log at its index, by all of the log's keys.

    Keys of type 0x06, which sign nothing but trees, are left out.

    Args:
        entry: the entry's bytes, a signed note.
        origin: of the log.
        index: at which the entry stands in the log; that it does is for the caller to verify.
        log_keys: the log's current keys: of the rotation before this, or of the genesis, or pinned.

    Raises:
        MalformedNoteError, MalformedControlNoteError: it is no control note.
        MalformedKeyError: two different keys have the same name and key id.
        UnknownKeyError: one of the keys did not sign it, or there is no key that could.
        BadSignatureError: a signature by one of the keys fails.
        OriginMismatchError: it is about another log.
        IndexMismatchError: it is about another index.
    """
    keys = [key for key in log_keys if isinstance(key, Ed25519Verifier)]
    if len(entry) > MAX_ENTRY_BYTES:
        raise MalformedControlNoteError(
            f"expected a control note of at most {MAX_ENTRY_BYTES} bytes, got {len(entry)}"
        )
    opened = open_note(entry, keys)
    signed = {(line.name, line.key_id) for line in opened.verified}
    for key in keys:
        if (key.name, key.key_id) not in signed:
            raise UnknownKeyError(
                f"expected signatures by all keys of the log, none by {key.name}+{key.key_id.hex()}"
            )
    control = parse_control_note(opened.text)
    if control.origin != origin:
        raise OriginMismatchError(origin, control.origin)
    if control.index != index:
        raise IndexMismatchError(index, control.index)
    return control


def _parse_action(origin: str, index: int, action: str) -> ControlNote:
    verb, _, argument = action.partition(" ")
    if verb == "rotate":
        return Rotation(origin, index, tuple(argument.split(" ")))
    if verb == "freeze":
        return Freeze(origin, index, None if argument == _NO_SUCCESSOR else argument)
    raise MalformedControlNoteError(f"expected rotate or freeze, got {show(verb)}")


def _check_vkeys(rotation: Rotation) -> None:
    if not 1 <= len(rotation.vkeys) <= MAX_VKEYS:
        raise MalformedControlNoteError(
            f"expected 1 to {MAX_VKEYS} vkeys, got {len(rotation.vkeys)}"
        )
    keys = [parse_vkey(vkey) for vkey in rotation.vkeys]
    for key in keys:
        if key.name != rotation.origin:
            raise MalformedControlNoteError(
                f"expected a vkey named {rotation.origin}, got one named {show(key.name)}"
            )
        if key.key_type not in {ED25519_TYPE, ML_DSA_44_COSIGNATURE_TYPE}:
            raise MalformedControlNoteError(
                f"expected vkeys of type 0x01 or 0x06, got type 0x{key.key_type:02x}"
            )
    if all(key.key_type != ED25519_TYPE for key in keys):
        raise MalformedControlNoteError("expected a vkey of type 0x01, which signs control notes")
    if len(set(keys)) != len(keys):
        raise MalformedControlNoteError("expected each vkey once")


def _check_successor(freeze: Freeze) -> None:
    if freeze.successor is None:
        return
    check_origin(freeze.successor)
    if freeze.successor in {_NO_SUCCESSOR, freeze.origin}:
        raise MalformedControlNoteError(
            f"expected the origin of another log, not {_NO_SUCCESSOR}, got {show(freeze.successor)}"
        )
