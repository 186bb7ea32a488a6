"""Cosignatures: what vectors do not show, signing above all."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import ml_dsa_44, strategies
from tests.vectors import runner
from tests.vectors.cosignatures import LAST, NEW, OLD, ORIGIN, ROOT, TEXT, TIME
from tests.vectors.cosigners import ED25519
from tests.vectors.keys import LOG
from tlog_proofs import (
    BadSignatureError,
    Ed25519CosignatureVerifier,
    Ed25519Cosigner,
    MalformedCheckpointError,
    MalformedCosignatureError,
    MalformedKeyError,
    MissingDependencyError,
    MlDsa44CosignatureVerifier,
    MlDsa44Cosigner,
    NoteSignature,
    TlogError,
    cosignature_timestamp,
    format_note,
    open_checkpoint,
    open_note,
    parse_cosigner_key,
    parse_vkey,
    subtree_message,
)

ED25519_COSIGNER = Ed25519Cosigner(OLD.name, OLD.seed)
ML_DSA_COSIGNER = MlDsa44Cosigner(NEW.name, NEW.seed)
COSIGNERS: list[Ed25519Cosigner | MlDsa44Cosigner] = [ED25519_COSIGNER, ML_DSA_COSIGNER]


def test_ed25519_cosigners_sign_what_the_oracle_signs() -> None:
    """An Ed25519 cosignature is determined by key, text and time, to the byte."""
    for time in (1, TIME, LAST):
        signature = ED25519_COSIGNER.cosign(TEXT.encode(), time)
        assert signature == NoteSignature(OLD.name, OLD.key_id, OLD.signature(TEXT, time))


@pytest.mark.parametrize("seed", [bytes(32), bytes([7]) * 32, NEW.seed])
def test_ml_dsa_44_keys_are_the_oracle_s(seed: bytes) -> None:
    """The public key of a seed is what FIPS 204 computes, and each verifies the other."""
    cosigner = MlDsa44Cosigner("w", seed)
    assert cosigner.verifier.public_key == ml_dsa_44.Key(seed).public_key
    message = subtree_message("w", TIME, ORIGIN, 0, 20852163, ROOT)
    theirs = TIME.to_bytes(8, "big") + ml_dsa_44.Key(seed).sign(message)
    cosigner.verifier.verify(TEXT.encode(), theirs)
    with pytest.raises(BadSignatureError):
        MlDsa44CosignatureVerifier("w", NEW.public_key[::-1]).verify(TEXT.encode(), theirs)


@pytest.mark.parametrize("cosigner", COSIGNERS, ids=["Ed25519", "ML-DSA-44"])
@pytest.mark.parametrize("time", [1, TIME, LAST])
def test_signing_and_opening(cosigner: Ed25519Cosigner | MlDsa44Cosigner, time: int) -> None:
    """A cosignature added to a log's note opens with the vkey, and states its time."""
    line = cosigner.cosign(TEXT.encode(), time)
    log_line = NoteSignature(LOG.name, LOG.key_id, LOG.sign(TEXT.encode()))
    note = format_note(TEXT.encode(), [log_line, line])
    opened = open_note(note, [parse_vkey(cosigner.verifier.vkey)])
    assert opened.verified == (line,)
    assert opened.unverified == (log_line,)
    assert cosignature_timestamp(line) == time
    assert open_checkpoint(note, LOG.verifier).size == 20852163


def test_ml_dsa_44_cosigners_sign_subtrees_without_a_time() -> None:
    """A signed subtree verifies with its own fields and with no other start."""
    line = ML_DSA_COSIGNER.cosign_subtree(ORIGIN, 8, 13, ROOT)
    assert (line.name, line.key_id) == (NEW.name, NEW.key_id)
    assert cosignature_timestamp(line) == 0
    key = MlDsa44CosignatureVerifier(NEW.name, NEW.public_key)
    key.verify_subtree(ORIGIN, 8, 13, ROOT, line.signature)
    with pytest.raises(BadSignatureError):
        key.verify_subtree(ORIGIN, 0, 13, ROOT, line.signature)
    checkpoint = ML_DSA_COSIGNER.cosign(TEXT.encode(), TIME)
    key.verify_subtree(ORIGIN, 0, 20852163, ROOT, checkpoint.signature)


def test_a_log_signs_with_ml_dsa_44() -> None:
    """A checkpoint that carries the log's ML-DSA-44 signature alone opens with that key."""
    signer = MlDsa44Cosigner(ORIGIN, LOG.seed)
    note = format_note(TEXT.encode(), [signer.cosign(TEXT.encode(), TIME)])
    signed = open_checkpoint(note, signer.verifier)
    assert (signed.origin, signed.size, signed.root) == (ORIGIN, 20852163, ROOT)


@pytest.mark.parametrize(
    ("cosigner", "time"),
    [(ED25519_COSIGNER, 0)]
    + [(cosigner, time) for cosigner in COSIGNERS for time in (-1, LAST + 1, 2**64)],
)
def test_times_that_no_cosigner_states(
    cosigner: Ed25519Cosigner | MlDsa44Cosigner, time: int
) -> None:
    """Times below 0 or above 2^63-1 are refused; 0 is too where the statement needs a time."""
    with pytest.raises(MalformedCosignatureError, match="expected a timestamp"):
        cosigner.cosign(TEXT.encode(), time)


@pytest.mark.parametrize("cosigner", COSIGNERS, ids=["Ed25519", "ML-DSA-44"])
@pytest.mark.parametrize("text", [b"", b"a text\n", TEXT.encode()[:-1], b"\xff\n1\nA\n"])
def test_texts_that_no_cosigner_signs(
    cosigner: Ed25519Cosigner | MlDsa44Cosigner, text: bytes
) -> None:
    """A cosigner signs checkpoints and nothing else."""
    with pytest.raises(MalformedCheckpointError):
        cosigner.cosign(text, TIME)


@pytest.mark.parametrize("length", [0, 1, 8])
def test_signatures_too_short_for_a_time(length: int) -> None:
    """A time is read only of bytes that hold more than a time."""
    with pytest.raises(MalformedCosignatureError, match="got"):
        cosignature_timestamp(NoteSignature("w", b"1234", bytes(length)))
    with pytest.raises(MalformedCosignatureError, match="2\\^63"):
        cosignature_timestamp(NoteSignature("w", b"1234", b"\x80" + bytes(8)))


@pytest.mark.parametrize(
    "make",
    [
        lambda size: Ed25519Cosigner("w", bytes(size)),
        lambda size: MlDsa44Cosigner("w", bytes(size)),
        lambda size: Ed25519CosignatureVerifier("w", bytes(size)),
        lambda size: MlDsa44CosignatureVerifier("w", bytes(size)),
    ],
)
@pytest.mark.parametrize("size", [0, 31, 33, 1311, 1313])
def test_keys_of_another_length(make: Callable[[int], object], size: int) -> None:
    """Seeds and Ed25519 keys have 32 bytes, ML-DSA-44 public keys 1,312."""
    with pytest.raises(MalformedKeyError, match=f"got {size}"):
        make(size)


def test_a_cosigner_does_not_show_its_seed() -> None:
    """Neither repr, nor the traceback of a refused key, holds the seed."""
    for cosigner in COSIGNERS:
        assert repr(cosigner.seed) not in repr(cosigner)
    for case in runner.load("key/cosigner-keys.json")["cases"]:
        if "wantErr" in case:
            with pytest.raises(MalformedKeyError) as caught:
                parse_cosigner_key(case["input"]["signer_key"])
            shown = "".join(traceback.format_exception(caught.value))
            assert OLD.signer_key[-20:-4] not in shown
            assert caught.value.__context__ is None


def test_every_byte_of_an_ml_dsa_44_signature_counts() -> None:
    """A signature with any one byte changed fails, the timestamp's bytes included."""
    signature = NEW.signature(TEXT, TIME)
    for place in [*range(60), *range(60, len(signature), 41), len(signature) - 1]:
        changed = bytearray(signature)
        changed[place] ^= 0x10
        with pytest.raises(BadSignatureError) as caught:
            MlDsa44CosignatureVerifier(NEW.name, NEW.public_key).verify(
                TEXT.encode(), bytes(changed)
            )
        assert (caught.value.name, caught.value.key_id) == (NEW.name, NEW.key_id)


def test_an_ml_dsa_44_hint_has_one_spelling() -> None:
    """Filling the unused places of the hint, which change nothing else, makes it a bad one."""
    signature = bytearray(NEW.signature(TEXT, TIME))
    used = signature[-1]
    assert used < ml_dsa_44.OMEGA
    signature[-4 - ml_dsa_44.OMEGA + used] = 200
    with pytest.raises(BadSignatureError):
        MlDsa44CosignatureVerifier(NEW.name, NEW.public_key).verify(TEXT.encode(), bytes(signature))


def test_cryptography_without_ml_dsa(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cryptography was built without ML-DSA, the error says what to install."""

    def refuse(data: bytes) -> object:
        raise UnsupportedAlgorithm("ML-DSA-44 is not supported by this backend.")

    signature = NEW.signature(TEXT, TIME)
    for name in ("MLDSA44PrivateKey", "MLDSA44PublicKey"):
        fake = type(name, (), {"from_seed_bytes": refuse, "from_public_bytes": refuse})
        monkeypatch.setattr(mldsa, name, fake)
    with pytest.raises(MissingDependencyError, match="cryptography"):
        MlDsa44Cosigner("w", bytes(32))
    with pytest.raises(MissingDependencyError, match="cryptography"):
        MlDsa44CosignatureVerifier(NEW.name, NEW.public_key).verify(TEXT.encode(), signature)


@settings(max_examples=300, deadline=None)
@given(
    name=strategies.texts() | st.just("w"),
    time=st.integers(-1, 2**64) | st.just(0),
    origin=strategies.texts() | st.just(ORIGIN),
    start=st.integers(-1, 2**64) | st.integers(0, 16),
    length=st.integers(-1, 2**64) | st.integers(0, 16),
    root=strategies.hashes() | st.binary(max_size=40),
)
def test_messages_of_anything(
    name: str, time: int, origin: str, start: int, length: int, root: bytes
) -> None:
    """Whatever the fields, a message takes apart into just them, or is refused as a TlogError."""
    try:
        message = subtree_message(name, time, origin, start, start + length, root)
    except TlogError as error:
        assert 0 < len(str(error)) < 1000
        return
    cosigner = name.encode()
    log = origin.encode()
    assert message[:12] == b"subtree/v1\n\0"
    rest = message[12:].removeprefix(bytes([len(cosigner)]) + cosigner)
    assert rest[:8] == time.to_bytes(8, "big")
    rest = rest[8:].removeprefix(bytes([len(log)]) + log)
    assert rest == start.to_bytes(8, "big") + (start + length).to_bytes(8, "big") + root
    assert len(rest) == 48


@settings(max_examples=100, deadline=None)
@given(text=st.binary(max_size=300) | st.just(TEXT.encode()), signature=st.binary(max_size=80))
def test_verifiers_of_anything(text: bytes, signature: bytes) -> None:
    """Whatever text and signature, a verifier raises BadSignatureError and nothing else."""
    padding = hashlib.shake_128(signature).digest(2428)
    for key in (OLD, NEW):
        verifier = parse_vkey(key.vkey)
        size = 72 if key.key_type == ED25519 else 2428
        for attempt in (signature, signature + padding, (signature + padding)[:size]):
            with pytest.raises(BadSignatureError):
                verifier.verify(text, attempt)
