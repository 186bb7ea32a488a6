"""Signed notes: a text and the signatures of one or more keys.

    TEXT, one or more lines
    (an empty line)
    - KEY NAME base64(key id || signature)            where - is an em dash, U+2014

The text ends with its last newline, and the signatures begin after the note's last empty line. A
key is known by its name and its key id together; signatures by unknown keys are ignored.

Nothing here knows an algorithm: keys come as Verifier and Signer objects (see signatures.py).

Source: C2SP signed-note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from tlog_proofs.errors import (
    MalformedError,
    MalformedKeyError,
    MalformedNoteError,
    UnknownKeyError,
)
from tlog_proofs.strict import decode_base64, encode_base64, show

MAX_NOTE_BYTES = 1 << 20
MAX_SIGNATURES = 100
MAX_KEY_NAME_BYTES = 255
KEY_ID_SIZE = 4

_EM_DASH = "\u2014"
_CONTROL_BYTES = re.compile(rb"[\x00-\x09\x0b-\x1f]")


class Verifier(Protocol):
    """A public key that verifies signatures of one kind under one name."""

    @property
    def name(self) -> str:
        """Key name, as it stands in signature lines."""

    @property
    def key_id(self) -> bytes:
        """Key id: 4 bytes."""

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return when `signature` (without the key id) is good; else raise BadSignatureError."""


class Signer(Protocol):
    """A private key that makes signatures of one kind under one name."""

    @property
    def name(self) -> str:
        """Key name, as it stands in signature lines."""

    @property
    def key_id(self) -> bytes:
        """Key id: 4 bytes."""

    def sign(self, message: bytes) -> bytes:
        """Sign a note's text; the signature does not contain the key id."""


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: key name, key id (4 bytes), and the signature bytes after it."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note as parsed, with nothing verified."""

    text: bytes
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note of which every signature by a known key was verified; there is at least one.

    `unverified` are the signature lines of unknown keys: never base a decision on them.
    """

    text: bytes
    verified: tuple[NoteSignature, ...]
    unverified: tuple[NoteSignature, ...]


def key_id(name: str, key_type: int, public_key: bytes) -> bytes:
    """Compute the recommended key id: 4 bytes of SHA-256(name || LF || type byte || public key).

    Raises:
        MalformedKeyError: the name cannot be a key name.
    """
    check_key_name(name)
    return sha256(name.encode() + b"\n" + bytes([key_type]) + public_key).digest()[:KEY_ID_SIZE]


def check_key_name(name: str) -> None:
    """Refuse a key name that is empty, above 255 bytes, or has a space, control or plus character.

    Raises:
        MalformedKeyError: it is one of these, or not valid Unicode.
    """
    try:
        # Counting characters first keeps a long name from being encoded at all.
        size = len(name.encode()) if len(name) <= MAX_KEY_NAME_BYTES else len(name)
    except UnicodeEncodeError:
        size = 0
    if not 1 <= size <= MAX_KEY_NAME_BYTES:
        raise MalformedKeyError(
            f"expected a key name of 1 to {MAX_KEY_NAME_BYTES} bytes of UTF-8, got {show(name)}"
        )
    if any(character == "+" or character < " " or character.isspace() for character in name):
        raise MalformedKeyError(
            f"expected a key name without spaces, controls and plus signs, got {show(name)}"
        )


def check_text(data: bytes) -> str:
    """Decode text as notes allow it: UTF-8, no control characters below 0x20 but LF, LF at the end.

    Raises:
        MalformedNoteError: it is otherwise.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedNoteError(f"expected UTF-8, got another byte at {error.start}") from error
    if control := _CONTROL_BYTES.search(data):
        raise MalformedNoteError(
            f"expected no control characters but LF, got one at byte {control.start()}"
        )
    if not data.endswith(b"\n"):
        raise MalformedNoteError("expected lines that each end in LF, the last one does not")
    return text


def parse_note_unverified(note: bytes) -> Note:
    """Take a note apart without verifying any signature; to trust its text, use open_note.

    Raises:
        MalformedNoteError: it is no note, is longer than MAX_NOTE_BYTES, or has no signature or
            more than MAX_SIGNATURES.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise MalformedNoteError(
            f"expected a note of at most {MAX_NOTE_BYTES} bytes, got {len(note)}"
        )
    check_text(note)
    text, separator, signatures = note.rpartition(b"\n\n")
    if not separator or not signatures:
        raise MalformedNoteError("expected a text, an empty line and signature lines")
    count = signatures.count(b"\n")
    if count > MAX_SIGNATURES:
        raise MalformedNoteError(f"expected at most {MAX_SIGNATURES} signatures, got {count}")
    lines = signatures.decode("utf-8").split("\n")[:-1]
    return Note(text + b"\n", tuple(_parse_signature_line(line) for line in lines))


def format_note(text: bytes, signatures: Iterable[NoteSignature]) -> bytes:
    """Write a note with these signatures, in this order; the inverse of parse_note_unverified.

    Raises:
        MalformedNoteError: the result would be none.
    """
    parts = [text, b"\n"]
    signatures = tuple(signatures)
    for signature in signatures:
        blob = encode_base64(signature.key_id + signature.signature)
        parts.append(f"{_EM_DASH} {signature.name} {blob}\n".encode("utf-8", "replace"))
    note = b"".join(parts)
    if parse_note_unverified(note) != Note(text, signatures):
        raise MalformedNoteError("expected a text and signatures that read back as they are")
    return note


def open_note(note: bytes, verifiers: Iterable[Verifier]) -> OpenedNote:
    """Verify a note against known keys and give its text.

    Raises:
        MalformedNoteError: it is no note, or out of bounds; no signature has been looked at then.
        MalformedKeyError: two different verifiers have the same name and key id.
        BadSignatureError: a signature by a known key fails, whatever the others do.
        UnknownKeyError: there is no signature by a known key.
    """
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise MalformedKeyError(
                f"two keys share the name and id {verifier.name}+{verifier.key_id.hex()}"
            )
    parsed = parse_note_unverified(note)
    verified, unverified = [], []
    for line in parsed.signatures:
        match = known.get((line.name, line.key_id))
        if match is None:
            unverified.append(line)
            continue
        match.verify(parsed.text, line.signature)
        verified.append(line)
    if not verified:
        names = ", ".join(f"{name}+{id_.hex()}" for name, id_ in known) or "no key at all"
        raise UnknownKeyError(f"expected a signature by {names}, the note has none")
    return OpenedNote(parsed.text, tuple(verified), tuple(unverified))


def sign_note(text: bytes, signers: Iterable[Signer]) -> bytes:
    """Sign a text with each key, in this order, and write the note.

    Raises:
        MalformedNoteError: the text cannot be a note's, or there is no signer.
    """
    return format_note(
        text, [NoteSignature(key.name, key.key_id, key.sign(text)) for key in signers]
    )


def _parse_signature_line(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, blob = rest.partition(" ")
    if dash != _EM_DASH:
        raise MalformedNoteError(
            f"expected a signature line that begins with an em dash, got {show(line)}"
        )
    try:
        check_key_name(name)
        data = decode_base64(blob, max_bytes=MAX_NOTE_BYTES)
    except MalformedError as error:
        raise MalformedNoteError(f"signature line: {error}") from error
    if len(data) <= KEY_ID_SIZE:
        raise MalformedNoteError(
            f"expected a key id of {KEY_ID_SIZE} bytes and a signature, got {len(data)} bytes"
        )
    return NoteSignature(name, data[:KEY_ID_SIZE], data[KEY_ID_SIZE:])
