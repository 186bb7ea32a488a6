"""Keys as text: one line for a public key, one for a private key, whatever their algorithm.

    NAME+KEYID+base64(type byte || public key)               vkey: verifier key
    PRIVATE+KEY+NAME+KEYID+base64(type byte || seed)         signer key, as other projects write it

KEYID is 8 lowercase hex digits. What the type bytes mean is keys.py's business.

Source: C2SP signed-note, "Signature types" and "Verifier keys".
"""

from __future__ import annotations

from tlog_proofs.errors import MalformedError, MalformedKeyError
from tlog_proofs.note import KEY_ID_SIZE, check_key_name, key_id
from tlog_proofs.strict import decode_base64, encode_base64, show

ED25519_TYPE = 0x01
ED25519_COSIGNATURE_TYPE = 0x04
ML_DSA_44_COSIGNATURE_TYPE = 0x06
MAX_VKEY_BYTES = 8192

_PRIVATE_PREFIX = "PRIVATE+KEY+"


def format_vkey(name: str, key_type: int, public_key: bytes) -> str:
    """Write a vkey, with the key id that signed-note recommends; the inverse of split_vkey.

    Raises:
        MalformedKeyError: the name cannot be a key name.
    """
    id_ = key_id(name, key_type, public_key)
    return f"{name}+{id_.hex()}+{encode_base64(bytes([key_type]) + public_key)}"


def split_vkey(text: str) -> tuple[str, bytes, int, bytes]:
    """Take a vkey of any type apart: name, key id, type byte, public key. The id is not checked.

    Raises:
        MalformedKeyError: it is no vkey.
    """
    try:
        return _split_key(text)
    except MalformedError as error:
        raise MalformedKeyError(
            f"expected a vkey NAME+KEYID+BASE64, got {show(text)}: {error}"
        ) from error


def format_signer_key(name: str, id_: bytes, key_type: int, seed: bytes) -> str:
    """Write a signer key; the inverse of split_signer_key. A secret."""
    blob = encode_base64(bytes([key_type]) + seed)
    return f"{_PRIVATE_PREFIX}{name}+{id_.hex()}+{blob}"


def split_signer_key(text: str) -> tuple[str, bytes, int, bytes]:
    """Take a signer key of any type apart: name, key id, type byte, seed.

    Neither the id is checked, nor the prefix: write the key again and compare.

    Raises:
        MalformedError: it is no signer key. The error may quote the secret: neither show nor
            chain it.
    """
    return _split_key(text.removeprefix(_PRIVATE_PREFIX))


def _split_key(text: str) -> tuple[str, bytes, int, bytes]:
    if len(text) > MAX_VKEY_BYTES:
        raise MalformedKeyError(f"expected at most {MAX_VKEY_BYTES} characters, got {len(text)}")
    # The base64 may hold plus signs of its own: only the first two separate.
    name, _, rest = text.partition("+")
    id_text, _, blob = rest.partition("+")
    check_key_name(name)
    if len(id_text) != 2 * KEY_ID_SIZE or not set(id_text) <= set("0123456789abcdef"):
        raise MalformedKeyError(f"expected a key id of {2 * KEY_ID_SIZE} lowercase hex digits")
    material = decode_base64(blob, max_bytes=MAX_VKEY_BYTES)
    if len(material) <= 1:
        raise MalformedKeyError("expected a type byte and a key")
    return name, bytes.fromhex(id_text), material[0], material[1:]
