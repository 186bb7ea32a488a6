"""Ed25519 keys: what cannot be one, and that errors about signer keys keep their secret."""

from __future__ import annotations

import traceback

import pytest

from tests.vectors import runner
from tests.vectors.keys import LOG
from tlog_proofs import Ed25519Signer, Ed25519Verifier, MalformedKeyError, parse_signer_key


@pytest.mark.parametrize("length", [0, 31, 33])
def test_keys_of_another_length(length: int) -> None:
    """Public keys and seeds have 32 bytes."""
    with pytest.raises(MalformedKeyError):
        Ed25519Verifier("a", bytes(length))
    with pytest.raises(MalformedKeyError):
        Ed25519Signer("a", bytes(length))


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u2003b", "a\nb", "\ud800", "n" * 256, "\u00e8" * 128]
)
def test_names_that_no_key_has(name: str) -> None:
    """Names that are empty, too long in bytes, or hold spaces, controls or plus are refused."""
    with pytest.raises(MalformedKeyError):
        Ed25519Verifier(name, bytes(32))
    with pytest.raises(MalformedKeyError):
        Ed25519Signer(name, bytes(32))


def test_errors_about_signer_keys_keep_the_secret() -> None:
    """The whole traceback of a refused signer key holds no part of it, chained errors included."""
    seed = LOG.text.split("+", 4)[4]
    assert len(seed) == 44
    for case in runner.load("key/signer-keys.json")["cases"]:
        if "wantErr" not in case:
            continue
        with pytest.raises(MalformedKeyError) as caught:
            parse_signer_key(case["input"]["signer_key"])
        shown = "".join(traceback.format_exception(caught.value))
        # The type byte is no secret, and the first four characters hold little more.
        assert seed[4:16] not in shown
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None


def test_signer_keys_read_back() -> None:
    """A signer key's text gives a signer with the same signatures."""
    again = parse_signer_key(LOG.text)
    assert again.sign(b"text\n") == LOG.sign(b"text\n")
    assert again.verifier == LOG.verifier
