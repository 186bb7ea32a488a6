"""Checkpoints, tlog-proofs, CBOR and genesis: bounds and guards that vectors do not show."""

from __future__ import annotations

import pickle
import re

import pytest

import tlog_proofs.checkpoint
import tlog_proofs.tlog_proof
from tests.vectors.checkpoints import NOTE, TEXT
from tests.vectors.keys import LOG, ORIGIN
from tlog_proofs import (
    EMPTY_ROOT,
    BadSignatureError,
    Checkpoint,
    Genesis,
    MalformedCborError,
    MalformedCheckpointError,
    MalformedError,
    MalformedGenesisError,
    MalformedTlogProofError,
    MissingDependencyError,
    OriginMismatchError,
    Predecessor,
    RootMismatchError,
    TlogProof,
    check_origin,
    decode_base64,
    decode_cbor,
    encode_base64,
    encode_cbor,
    format_checkpoint,
    format_genesis,
    format_tlog_proof,
    open_checkpoint,
    parse_checkpoint,
    parse_decimal,
    parse_genesis,
    parse_tlog_proof,
)

ROOT = bytes(range(32))
NOTE_BYTES = NOTE.encode()


def test_a_whole_note_is_sent_to_the_other_function() -> None:
    """The error for a signed note where its text belongs names open_checkpoint."""
    with pytest.raises(MalformedCheckpointError, match="open_checkpoint"):
        parse_checkpoint(NOTE_BYTES)


def test_a_signed_checkpoint_has_the_fields_at_hand() -> None:
    """Origin, size and root of an opened checkpoint are those of its text."""
    signed = open_checkpoint(NOTE_BYTES, LOG.verifier)
    assert (signed.origin, signed.size) == (ORIGIN, 13)
    assert signed.root == parse_checkpoint(TEXT.encode()).root
    assert signed.note == NOTE_BYTES


@pytest.mark.parametrize(
    "wrong",
    [
        Checkpoint("", 1, ROOT),
        Checkpoint("o" * 256, 1, ROOT),
        Checkpoint("a\nb", 1, ROOT),
        Checkpoint("a\tb", 1, ROOT),
        Checkpoint("\ud800", 1, ROOT),
        Checkpoint("o", -1, ROOT),
        Checkpoint("o", 2**63, ROOT),
        Checkpoint("o", 1, ROOT[:-1]),
        Checkpoint("o", 0, ROOT),
        Checkpoint("o", 1, ROOT, ("",)),
        Checkpoint("o", 1, ROOT, ("a\nb",)),
        Checkpoint("o", 1, ROOT, ("\udfff",)),
        Checkpoint("o", 1, ROOT, ("x" * 70_000,)),
        Checkpoint("o", 1, ROOT, ("",) * 70_000),
    ],
)
def test_checkpoints_that_cannot_be_written(wrong: Checkpoint) -> None:
    """What parse_checkpoint would refuse is not written."""
    with pytest.raises(MalformedCheckpointError):
        format_checkpoint(wrong)


def test_written_again_and_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsers compare what they read with what is written for it, whatever let it pass so far."""
    proof = format_tlog_proof(TlogProof(0, (), NOTE_BYTES))
    monkeypatch.setattr(tlog_proofs.checkpoint, "format_checkpoint", lambda _: b"other")
    with pytest.raises(MalformedCheckpointError, match="spelling"):
        parse_checkpoint(TEXT.encode())
    monkeypatch.undo()
    monkeypatch.setattr(tlog_proofs.tlog_proof, "format_tlog_proof", lambda _: b"other")
    with pytest.raises(MalformedTlogProofError, match="spelling"):
        parse_tlog_proof(proof)


@pytest.mark.parametrize(
    "wrong",
    [
        TlogProof(-1, (), NOTE_BYTES),
        TlogProof(2**63, (), NOTE_BYTES),
        TlogProof(0, (ROOT[:-1],), NOTE_BYTES),
        TlogProof(0, (ROOT,) * 64, NOTE_BYTES),
        TlogProof(0, (), b"no note"),
        TlogProof(0, (), NOTE_BYTES, b""),
        TlogProof(0, (), NOTE_BYTES, bytes(2**22 + 1)),
    ],
)
def test_tlog_proofs_that_cannot_be_written(wrong: TlogProof) -> None:
    """What parse_tlog_proof would refuse is not written."""
    with pytest.raises(MalformedTlogProofError):
        format_tlog_proof(wrong)


def test_tlog_proof_bounds() -> None:
    """Extra data up to 4 MiB is read back, and a longer file is refused at once."""
    proof = TlogProof(0, (ROOT,) * 63, NOTE_BYTES, bytes(2**22))
    data = format_tlog_proof(proof)
    assert parse_tlog_proof(data) == proof
    with pytest.raises(MalformedTlogProofError, match="at most"):
        parse_tlog_proof(b"c2sp.org/tlog-proof@v1\n" + b"x" * (8 << 20))


def test_bounds_of_decimals_and_base64() -> None:
    """Length is checked before anything is read."""
    assert parse_decimal("255", maximum=255) == 255
    with pytest.raises(MalformedError, match="256"):
        parse_decimal("256", maximum=255)
    assert decode_base64("AAAA", size=3) == decode_base64("AAAA", max_bytes=3) == bytes(3)
    for options in ({"size": 2}, {"size": 4}, {"max_bytes": 2}):
        with pytest.raises(MalformedError, match="bytes"):
            decode_base64("AAAA", **options)
    assert len(decode_base64(encode_base64(bytes(65536)))) == 65536
    for text in (encode_base64(bytes(65537)), "A" * 87388, b"A" * 10_000_000):
        with pytest.raises(MalformedError):
            decode_base64(text)
    with pytest.raises(MalformedError, match="3 bytes, got 2"):
        decode_base64("AAA=", size=3)


def test_cbor_is_bounded_by_its_caller() -> None:
    """Input above max_bytes is refused; exactly so much is read."""
    data = encode_cbor([1, {"a": b"b"}])
    assert decode_cbor(data, max_bytes=len(data)) == [1, {"a": b"b"}]
    with pytest.raises(MalformedCborError, match="at most"):
        decode_cbor(data, max_bytes=len(data) - 1)


def test_cbor_maps_are_written_in_the_order_of_their_keys() -> None:
    """Maps are sorted by their keys' bytes, at every depth, not by length and not as they came."""
    assert encode_cbor({-1: 0, 24: {"b": 0, "aa": 0, b"z": 0}}).hex() == (
        "a2" + "1818" + "a3" + "417a00" + "616200" + "62616100" + "2000"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        1.5,
        2**64,
        -(2**64) - 1,
        pytest.param(10**5000, id="huge"),
        object(),
        {1, 2},
        "\ud800",
        ["\udfff"],
        {True: 1},
        {None: 1},
        {(1, 2): 1},
        {"\ud800": 1},
    ],
)
def test_values_outside_the_data_model(wrong: object) -> None:
    """Floats, big integers, other types, lone surrogates and other keys are not encoded."""
    with pytest.raises(MalformedCborError) as caught:
        encode_cbor(wrong)
    assert len(str(caught.value)) < 300


def test_cbor_depth() -> None:
    """Sixteen levels are encoded, seventeen are not: lists and maps alike."""
    lists: object = 0
    maps: object = 0
    for _ in range(16):
        lists, maps = [lists], {0: maps}
    assert encode_cbor(lists).hex() == "81" * 16 + "00"
    assert encode_cbor(maps).hex() == "a100" * 16 + "00"
    for deeper in ([lists], {0: maps}):
        with pytest.raises(MalformedCborError):
            encode_cbor(deeper)


@pytest.mark.parametrize(
    "origin", ["log.example/a", "log.example/a/", "Log.example/a", "~", "tlog"]
)
def test_origins_of_ours(origin: str) -> None:
    """Any visible ASCII without plus is an origin; spelling is all that tells two apart."""
    check_origin(origin)


def test_genesis_bounds() -> None:
    """A genesis that is longer than an entry, or has a field no genesis can have, is refused."""
    vkeys = (LOG.verifier.vkey,)
    good = Genesis(ORIGIN, "opaque/1", 5, vkeys)
    assert parse_genesis(format_genesis(good)) == good
    with pytest.raises(MalformedGenesisError):
        parse_genesis(bytes(65_536))
    for wrong in (
        Genesis(ORIGIN, "opaque/1", True, vkeys),
        Genesis(ORIGIN, "opaque/1", 5, vkeys, Predecessor("old\ud800", 5, ROOT)),
        Genesis(ORIGIN, "opaque/1", 5, vkeys, Predecessor("old", 0, EMPTY_ROOT)),
    ):
        with pytest.raises(MalformedGenesisError):
            format_genesis(wrong)


@pytest.mark.parametrize(
    "error",
    [
        RootMismatchError(ROOT, EMPTY_ROOT),
        BadSignatureError("name", b"1234"),
        OriginMismatchError("a", "b\u202e"),
        MissingDependencyError("cbor2", "cbor"),
    ],
)
def test_errors_keep_their_fields(error: Exception) -> None:
    """Errors with fields print them in ASCII, and come through pickle with them."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert vars(again) == vars(error)
    assert str(again) == str(error)
    assert str(error).isascii()
    assert re.search(r"\w", str(error))
