"""Notes: bounds, and the order of checks, that vectors do not show."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.vectors.keys import LOG, ORIGIN, WITNESS, signer
from tests.vectors.notes import line
from tlog_proofs import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    BadSignatureError,
    Ed25519Verifier,
    MalformedKeyError,
    MalformedNoteError,
    NoteSignature,
    UnknownKeyError,
    format_note,
    key_id,
    open_note,
    parse_note_unverified,
    sign_note,
)

LINE = "a text\n"
TEXT = LINE.encode()


@dataclass
class CountingVerifier:
    """A verifier that accepts everything and counts how often it was asked."""

    name: str = ORIGIN
    key_id: bytes = LOG.key_id
    asked: list[bytes] = field(default_factory=list)

    def verify(self, message: bytes, signature: bytes) -> None:
        self.asked.append(signature)


def test_signing_and_opening() -> None:
    """A note signed by several keys opens with each of them, in the order of its lines."""
    note = sign_note(TEXT, [WITNESS, LOG])
    assert note.decode() == f"a text\n\n{line(WITNESS, LINE)}{line(LOG, LINE)}"
    opened = open_note(note, [LOG.verifier])
    assert opened.text == TEXT
    assert [signature.name for signature in opened.verified] == [LOG.name]
    assert [signature.name for signature in opened.unverified] == [WITNESS.name]


def test_too_many_signatures_cost_no_signature_work() -> None:
    """Thousands of lines, or a note too long, are refused before any signature is verified."""
    signature = line(LOG, LINE)
    verifier = CountingVerifier()
    for lines in (signature * (MAX_SIGNATURES + 1), signature * 9_000):
        with pytest.raises(MalformedNoteError, match="at most 100 signatures"):
            open_note(f"a text\n\n{lines}".encode(), [verifier])
    long = b"x" * MAX_NOTE_BYTES + f"\n\n{signature}".encode()
    with pytest.raises(MalformedNoteError, match="bytes, got"):
        open_note(long, [verifier])
    assert verifier.asked == []
    open_note(f"a text\n\n{signature * MAX_SIGNATURES}".encode(), [verifier])
    assert len(verifier.asked) == MAX_SIGNATURES


def test_longest_note() -> None:
    """A note of exactly the bound is read."""
    signature = f"\n\n{line(LOG, LINE)}".encode()
    note = b"x" * (MAX_NOTE_BYTES - len(signature)) + signature
    assert len(parse_note_unverified(note).text) == MAX_NOTE_BYTES - len(signature) + 1


def test_a_malformed_line_costs_no_signature_work() -> None:
    """One malformed line refuses the note before any signature is verified."""
    verifier = CountingVerifier()
    with pytest.raises(MalformedNoteError):
        open_note(f"a text\n\n{line(LOG, LINE)}no line\n".encode(), [verifier])
    assert verifier.asked == []


def test_two_keys_of_one_name_and_id_are_refused() -> None:
    """Different verifiers that cannot be told apart are refused; the same one twice is not."""
    note = sign_note(TEXT, [LOG])
    with pytest.raises(MalformedKeyError, match="share"):
        open_note(note, [LOG.verifier, CountingVerifier()])
    open_note(note, [LOG.verifier, Ed25519Verifier(ORIGIN, LOG.verifier.public_key)])


def test_known_keys_are_looked_for_by_name_and_id() -> None:
    """A key of the right name and another id, or the reverse, verifies nothing."""
    note = sign_note(TEXT, [LOG])
    for other in (
        CountingVerifier(name="other.example"),
        CountingVerifier(key_id=b"\x00\x01\x02\x03"),
    ):
        with pytest.raises(UnknownKeyError):
            open_note(note, [other])
        assert other.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"no line break",
        b"carriage\r\n",
        b"not UTF-8 \xff\n",
    ],
)
def test_text_that_no_note_can_have(wrong: bytes) -> None:
    """Such a text is refused when it is to be signed."""
    with pytest.raises(MalformedNoteError):
        sign_note(wrong, [LOG])


@pytest.mark.parametrize(
    "signatures",
    [
        [],
        [NoteSignature("a b", b"1234", b"x")],
        [NoteSignature("a\nb", b"1234", b"x")],
        [NoteSignature("\ud800", b"1234", b"x")],
        [NoteSignature("", b"1234", b"x")],
        [NoteSignature("a", b"123", b"4x")],
        [NoteSignature("a", b"12345", b"x")],
        [NoteSignature("a", b"1234", b"")],
        [NoteSignature("a", b"1234", b"x")] * 101,
    ],
)
def test_signatures_that_no_note_can_have(signatures: list[NoteSignature]) -> None:
    """Names with spaces, key ids but of 4 bytes, no signature or too many are not written."""
    with pytest.raises(MalformedNoteError):
        format_note(TEXT, signatures)


def test_every_bit_of_a_signature_counts() -> None:
    """A signature with any one bit changed fails, as does one of the text with one bit changed."""
    signature = LOG.sign(TEXT)
    for bit in range(len(signature) * 8):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSignatureError) as caught:
            LOG.verifier.verify(TEXT, bytes(changed))
        assert (caught.value.name, caught.value.key_id) == (LOG.name, LOG.key_id)
    with pytest.raises(BadSignatureError, match=r"log\.example/one\+cbfae9e8"):
        LOG.verifier.verify(b"A text\n", signature)


@pytest.mark.parametrize("length", [0, 1, 63, 65, 1000])
def test_signatures_of_another_length(length: int) -> None:
    """A signature that is not 64 bytes long fails like any other."""
    with pytest.raises(BadSignatureError):
        LOG.verifier.verify(TEXT, bytes(length))


def test_public_keys_that_are_no_points() -> None:
    """A public key that is no point of the curve verifies nothing."""
    for public_key in (b"\xff" * 32, b"\x02" + bytes(31), bytes(32)):
        with pytest.raises(BadSignatureError):
            Ed25519Verifier("a", public_key).verify(TEXT, LOG.sign(TEXT))


def test_a_signer_does_not_show_its_seed() -> None:
    """Neither repr, nor str, nor an error about a signer key holds the seed."""
    key = signer("secret.example")
    seed = key.text.split("+", 4)[4]
    assert len(seed) == 44
    for shown in (repr(key), str(key)):
        assert repr(key.seed) not in shown
        assert seed not in shown
    assert "secret.example" in repr(key)


def test_key_id_of_the_specification() -> None:
    """A key id is SHA-256 over name, line feed, type and key, cut to 4 bytes."""
    assert key_id(LOG.name, 1, LOG.verifier.public_key) == LOG.key_id
    assert key_id(LOG.name, 4, LOG.verifier.public_key) != LOG.key_id
    with pytest.raises(MalformedKeyError):
        key_id("\ud800", 1, b"")
