"""Reading keys from their text: which type byte is which kind of key.

    0x01  Ed25519 over the text                    logs, and all other notes
    0x04  Ed25519, timestamped cosignature/v1      witnesses
    0x06  ML-DSA-44, timestamped subtree/v1        witnesses and logs

Other types are refused. Works without cryptography, but for signer keys.

Source: C2SP signed-note, "Signature types" and "Verifier keys"; tlog-cosignature.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from tlog_proofs.cosignature import Ed25519CosignatureVerifier, MlDsa44CosignatureVerifier
from tlog_proofs.cosigner import Ed25519Cosigner, MlDsa44Cosigner
from tlog_proofs.ed25519 import Ed25519Signer, Ed25519Verifier
from tlog_proofs.errors import MalformedError, MalformedKeyError
from tlog_proofs.key_text import (
    ED25519_COSIGNATURE_TYPE,
    ED25519_TYPE,
    ML_DSA_44_COSIGNATURE_TYPE,
    split_signer_key,
    split_vkey,
)

_Key = TypeVar("_Key", Ed25519Signer, Ed25519Cosigner | MlDsa44Cosigner)

VerifierKey = Ed25519Verifier | Ed25519CosignatureVerifier | MlDsa44CosignatureVerifier
"""What a vkey can be: a note.Verifier with `public_key` and `vkey`."""

_VERIFIERS: dict[int, type[VerifierKey]] = {
    ED25519_TYPE: Ed25519Verifier,
    ED25519_COSIGNATURE_TYPE: Ed25519CosignatureVerifier,
    ML_DSA_44_COSIGNATURE_TYPE: MlDsa44CosignatureVerifier,
}
_COSIGNERS: dict[int, type[Ed25519Cosigner | MlDsa44Cosigner]] = {
    ED25519_COSIGNATURE_TYPE: Ed25519Cosigner,
    ML_DSA_44_COSIGNATURE_TYPE: MlDsa44Cosigner,
}


def parse_vkey(text: str) -> VerifierKey:
    """Read a vkey. Works without cryptography; only its verify needs that.

    Raises:
        MalformedKeyError: it is no vkey, of another type, or its key id is not that of the key.
    """
    name, id_, key_type, public_key = split_vkey(text)
    kind = _VERIFIERS.get(key_type)
    if kind is None:
        raise MalformedKeyError(
            "expected a vkey of type 0x01 (Ed25519), 0x04 (Ed25519 cosignatures) or "
            f"0x06 (ML-DSA-44 cosignatures), got 0x{key_type:02x}"
        )
    verifier = kind(name, public_key)
    if verifier.key_id != id_:
        raise MalformedKeyError(
            f"expected key id {verifier.key_id.hex()} for this name and key, got {id_.hex()}"
        )
    return verifier


def parse_signer_key(text: str) -> Ed25519Signer:
    """Read a signer key of type 0x01, a log's, a single line without its newline.

    Raises:
        MalformedKeyError: it is none, of another type, or its key id is not that of the key. The
            error never quotes the text.
        MissingDependencyError: cryptography is not installed.
    """
    signer = _read_signer_key(text, {ED25519_TYPE: Ed25519Signer})
    if signer is None:
        raise MalformedKeyError("expected an Ed25519 signer key PRIVATE+KEY+NAME+KEYID+BASE64")
    return signer


def parse_cosigner_key(text: str) -> Ed25519Cosigner | MlDsa44Cosigner:
    """Read a signer key of type 0x04 or 0x06, a cosigner's, a single line without its newline.

    Raises:
        MalformedKeyError: it is none, of another type, or its key id is not that of the key. The
            error never quotes the text.
        MissingDependencyError: cryptography is not installed.
    """
    signer = _read_signer_key(text, _COSIGNERS)
    if signer is None:
        raise MalformedKeyError(
            "expected a cosigner key PRIVATE+KEY+NAME+KEYID+BASE64 of type 0x04 (Ed25519) or "
            "0x06 (ML-DSA-44)"
        )
    return signer


def _read_signer_key(text: str, kinds: Mapping[int, type[_Key]]) -> _Key | None:
    """Read a signer key of one of the kinds; None for whatever else."""
    # An error from within could quote the seed, so none is shown or chained.
    try:
        name, _, key_type, seed = split_signer_key(text)
        kind = kinds.get(key_type)
        signer = None if kind is None else kind(name, seed)
    except MalformedError:
        signer = None
    return signer if signer is not None and signer.text == text else None
