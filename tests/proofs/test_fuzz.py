"""Every parser under any bytes and under damaged good input: only TlogError kinds leave it.

What a parser does accept, its formatter must write again byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference, strategies
from tests.vectors import runner
from tests.vectors.keys import LOG, WITNESS
from tests.vectors.receipt_bytes import LEAVES, ROOT
from tlog_proofs import (
    Checkpoint,
    Ed25519Verifier,
    Freeze,
    Genesis,
    MalformedError,
    NoteSignature,
    Predecessor,
    Rotation,
    TlogError,
    TlogProof,
    cosignature_timestamp,
    decode_base64,
    decode_cbor,
    encode_base64,
    encode_cbor,
    format_checkpoint,
    format_control_note,
    format_entry_bundle,
    format_genesis,
    format_note,
    format_tlog_proof,
    key_id,
    open_checkpoint,
    open_control_note,
    open_note,
    parse_checkpoint,
    parse_control_note,
    parse_cosigner_key,
    parse_decimal,
    parse_entry_bundle,
    parse_genesis,
    parse_note_unverified,
    parse_receipt,
    parse_signer_key,
    parse_tile_path,
    parse_tlog_proof,
    parse_vkey,
    verify_consistency_receipt,
    verify_receipt,
    verify_tlog_proof,
)
from tlog_proofs.cose_sign1 import format_cose_sign1


class Parser(NamedTuple):
    """What reads bytes, what writes the same again, and where good inputs are."""

    read: Callable[[bytes], bytes]
    vectors: str
    field: str


def text_of(data: bytes) -> str:
    """Give any bytes as text, those that are no UTF-8 as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def reread_note(data: bytes) -> bytes:
    """Parse a note and write it again."""
    note = parse_note_unverified(data)
    return format_note(note.text, note.signatures)


def reopen_note(data: bytes) -> bytes:
    """Open a note: if the log's key accepts it, the text was signed by it."""
    opened = open_note(data, [LOG.verifier, WITNESS.verifier])
    for line in opened.verified:
        key = LOG if line.name == LOG.name else WITNESS
        assert line.signature == key.sign(opened.text)
    return data


def reopen_cosigned_note(data: bytes) -> bytes:
    """Open a note with cosigners' keys: what they accept was signed, at the time that is read."""
    keys = [parse_vkey(case["input"]["vkey"]) for case in COSIGNED if "wantErr" not in case]
    opened = open_note(data, {key.key_id: key for key in keys}.values())
    for line in opened.verified:
        assert cosignature_timestamp(line) == int.from_bytes(line.signature[:8], "big")
    return data


def reopen_checkpoint(data: bytes) -> bytes:
    """Open a checkpoint and write it again."""
    signed = open_checkpoint(data, LOG.verifier)
    note = parse_note_unverified(signed.note)
    return format_note(format_checkpoint(signed.checkpoint), note.signatures)


def reverify_tlog_proof(data: bytes) -> bytes:
    """Parse and verify a tlog-proof, and write it again."""
    proof = parse_tlog_proof(data)
    try:
        verify_tlog_proof(proof, bytes(32), LOG.verifier)
    except TlogError as error:
        check_message(error)
    return format_tlog_proof(proof)


def reopen_control_note(data: bytes) -> bytes:
    """Open a control note by one key: if it is accepted, that key signed it for this index."""
    control = open_control_note(data, LOG.name, 1234, [LOG.verifier])
    note = parse_note_unverified(data)
    assert (control.origin, control.index) == (LOG.name, 1234)
    assert LOG.sign(note.text) in [line.signature for line in note.signatures]
    return format_note(format_control_note(control), note.signatures)


def reread_receipt(data: bytes) -> bytes:
    """Parse a receipt and write its COSE_Sign1 again."""
    return format_cose_sign1(parse_receipt(data).message)


def reverify_receipt(data: bytes) -> bytes:
    """Verify a receipt of inclusion: if the log's key accepts it, its proofs lead to its root.

    As a receipt of consistency it is refused, whatever it is.
    """
    with pytest.raises(TlogError) as caught:
        verify_consistency_receipt(data, 6, 13, bytes(32), bytes(32), LOG.verifier)
    check_message(caught.value)
    try:
        verify_receipt(data, LEAVES[5], LOG.verifier)
    except TlogError as error:
        check_message(error)
        return data
    for proof in parse_receipt(data).inclusion:
        root = reference.roots_from_proof(
            proof.index, proof.index + 1, proof.size, list(proof.proof), LEAVES[5]
        )[1]
        assert root == ROOT
    return data


def reread_bundle(data: bytes) -> bytes:
    """Parse an entry bundle of three and write it again."""
    return format_entry_bundle(parse_entry_bundle(data, 3))


COSIGNED = runner.load("cosignature/checkpoints.json")["cases"]


def check_message(error: TlogError) -> None:
    """Expect a message that is bounded and can be printed."""
    assert 0 < len(str(error)) < 1000
    str(error).encode("utf-8")


PARSERS = {
    "decimal": Parser(
        lambda data: str(parse_decimal(text_of(data))).encode(), "strict/decimals.json", "text"
    ),
    "decimal in bytes": Parser(
        lambda data: str(parse_decimal(data)).encode(), "strict/decimals.json", "text"
    ),
    "base64": Parser(
        lambda data: encode_base64(decode_base64(text_of(data))).encode(),
        "strict/base64.json",
        "text",
    ),
    "base64 in bytes": Parser(
        lambda data: encode_base64(decode_base64(data)).encode(), "strict/base64.json", "text"
    ),
    "tile path": Parser(
        lambda data: parse_tile_path(text_of(data)).path.encode(), "tile/paths.json", "path"
    ),
    "entry bundle": Parser(reread_bundle, "tile/entry-bundles.json", "bundle"),
    "vkey": Parser(lambda data: parse_vkey(text_of(data)).vkey.encode(), "key/vkeys.json", "vkey"),
    "signer key": Parser(
        lambda data: parse_signer_key(text_of(data)).text.encode(),
        "key/signer-keys.json",
        "signer_key",
    ),
    "cosigner key": Parser(
        lambda data: parse_cosigner_key(text_of(data)).text.encode(),
        "key/cosigner-keys.json",
        "signer_key",
    ),
    "cosigned note": Parser(reopen_cosigned_note, "cosignature/checkpoints.json", "note"),
    "note": Parser(reread_note, "note/open.json", "note"),
    "opened note": Parser(reopen_note, "note/open.json", "note"),
    "checkpoint": Parser(
        lambda data: format_checkpoint(parse_checkpoint(data)),
        "checkpoint/texts.json",
        "checkpoint",
    ),
    "opened checkpoint": Parser(reopen_checkpoint, "checkpoint/open.json", "note"),
    "tlog-proof": Parser(reverify_tlog_proof, "tlog-proof/proofs.json", "tlog_proof"),
    "cbor": Parser(
        lambda data: encode_cbor(decode_cbor(data, max_bytes=1000)),
        "cbor/printed-rfc8949-appendix-a.json",
        "cbor",
    ),
    "receipt": Parser(reread_receipt, "receipt/malformed.json", "receipt"),
    "verified receipt": Parser(reverify_receipt, "receipt/inclusion.json", "receipt"),
    "control note": Parser(
        lambda data: format_control_note(parse_control_note(data)),
        "control-note/texts.json",
        "text",
    ),
    "opened control note": Parser(reopen_control_note, "control-note/entries.json", "note"),
    "genesis": Parser(
        lambda data: format_genesis(parse_genesis(data)), "genesis/entries.json", "entry"
    ),
}


def good_inputs(parser: Parser) -> list[bytes]:
    """Read the inputs of a parser's vectors that it accepts."""
    good = []
    for case in runner.load(parser.vectors)["cases"]:
        value = case["input"].get(parser.field)
        if "wantErr" not in case and value is not None:
            is_hex = parser.field in {"bundle", "cbor", "entry", "receipt"}
            good.append(bytes.fromhex(value) if is_hex else value.encode())
    assert good
    return good


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_parsers_raise_only_tlog_errors(name: str, data: st.DataObject) -> None:
    """Any bytes, and good input with a few bytes damaged, are refused or read back as they were."""
    parser = PARSERS[name]
    originals = good_inputs(parser)
    for attempt in (
        data.draw(strategies.blobs()),
        data.draw(st.sampled_from(originals).flatmap(strategies.mutated)),
    ):
        try:
            again = parser.read(attempt)
        except TlogError as error:
            check_message(error)
        else:
            assert again == attempt


@pytest.mark.parametrize("name", PARSERS)
def test_parsers_accept_what_they_are_fuzzed_from(name: str) -> None:
    """The undamaged inputs are accepted, so the damaged ones test more than the first line."""
    parser = PARSERS[name]
    for original in good_inputs(parser):
        assert parser.read(original) == original


def names() -> st.SearchStrategy[str]:
    """Give texts and the name of the log."""
    return strategies.texts() | st.just(LOG.name)


@settings(max_examples=200, deadline=None)
@given(
    names(),
    names(),
    st.integers(-1, 2**64),
    strategies.hashes() | st.binary(max_size=40),
    st.lists(names(), max_size=3),
)
def test_formatters_raise_only_tlog_errors(
    name: str, other: str, size: int, hash_: bytes, names_: list[str]
) -> None:
    """Whatever the fields, a formatter writes what its parser reads back as the same, or raises."""
    checkpoint = Checkpoint(name, size, hash_, tuple(names_))
    genesis = Genesis(
        name, other, size, (LOG.verifier.vkey, *names_), Predecessor(other, size, hash_)
    )
    opaque = Genesis(LOG.name, "opaque/1", size, (LOG.verifier.vkey,), Predecessor(name, 1, hash_))
    freeze = Freeze(LOG.name, size, other)
    rotation = Rotation(name, size, (LOG.verifier.vkey, *names_))
    proof = TlogProof(size, (hash_,), other.encode("utf-8", "surrogatepass"), hash_)
    line = NoteSignature(name, hash_[:4], hash_)
    text = other.encode("utf-8", "surrogatepass")
    attempts: list[Callable[[], bool]] = [
        lambda: parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint,
        lambda: parse_genesis(format_genesis(genesis)) == genesis,
        lambda: parse_genesis(format_genesis(opaque)) == opaque,
        lambda: parse_control_note(format_control_note(freeze)) == freeze,
        lambda: parse_control_note(format_control_note(rotation)) == rotation,
        lambda: parse_tlog_proof(format_tlog_proof(proof)) == proof,
        lambda: parse_note_unverified(format_note(text, [line])).signatures == (line,),
        lambda: parse_vkey(Ed25519Verifier(name, hash_).vkey).public_key == hash_,
        lambda: len(key_id(name, 1, hash_)) == 4,
    ]
    for attempt in attempts:
        try:
            assert attempt()
        except MalformedError as error:
            check_message(error)


def values() -> st.SearchStrategy[object]:
    """Give values inside and outside the data model of our CBOR."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**65), 2**65)
        | st.floats()
        | strategies.texts()
        | st.binary(max_size=20)
    )
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.integers() | strategies.texts() | st.booleans(), inner, max_size=4)
        ),
        max_leaves=20,
    )


@settings(deadline=None)
@given(values())
def test_cbor_values_read_back(value: object) -> None:
    """A value is encoded so that it decodes to itself, or is refused."""
    try:
        data = encode_cbor(value)
    except MalformedError:
        return
    assert decode_cbor(data, max_bytes=len(data)) == value
