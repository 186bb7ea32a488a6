"""Ed25519 keys of signed notes. The only importer of cryptography, and only when a key is used.

    NAME+KEYID+base64(0x01 || public key)                 vkey: verifier key
    PRIVATE+KEY+NAME+KEYID+base64(0x01 || seed)           signer key, as other projects write it

KEYID is 8 lowercase hex digits.

Source: C2SP signed-note, "Verifier keys" and "Ed25519 signatures".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tlog_proofs.errors import (
    BadSignatureError,
    MalformedError,
    MalformedKeyError,
    MissingDependencyError,
)
from tlog_proofs.note import KEY_ID_SIZE, check_key_name, key_id
from tlog_proofs.strict import decode_base64, encode_base64, show

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519

ED25519_TYPE = 0x01
MAX_VKEY_BYTES = 8192

_PUBLIC_KEY_SIZE = 32
_SEED_SIZE = 32
_PRIVATE_PREFIX = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """A named Ed25519 public key (32 bytes): a note.Verifier.

    Raises:
        MalformedKeyError: the name or the length of the key is wrong.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if len(self.public_key) != _PUBLIC_KEY_SIZE:
            raise MalformedKeyError(
                f"expected a public key of {_PUBLIC_KEY_SIZE} bytes, got {len(self.public_key)}"
            )

    @property
    def key_id(self) -> bytes:
        """Key id: 4 bytes."""
        return key_id(self.name, ED25519_TYPE, self.public_key)

    @property
    def vkey(self) -> str:
        """The key as text, which parse_vkey reads."""
        blob = encode_base64(bytes([ED25519_TYPE]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{blob}"

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return when `signature` (64 bytes) is this key's over `message`.

        Raises:
            BadSignatureError: it is not.
            MissingDependencyError: cryptography is not installed.
        """
        # Imported here: everything else in this package works without cryptography.
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives.asymmetric import ed25519
        except ImportError as error:
            raise _missing() from error
        public_key = ed25519.Ed25519PublicKey.from_public_bytes(self.public_key)
        try:
            public_key.verify(signature, message)
        except InvalidSignature:
            raise BadSignatureError(self.name, self.key_id) from None


@dataclass(frozen=True, slots=True, eq=False)
class Ed25519Signer:
    """A named Ed25519 private key, held as its 32-byte seed: a note.Signer.

    The seed is not part of repr; `text` holds it and belongs in a file of mode 0600 only.

    Raises:
        MalformedKeyError: the name or the length of the seed is wrong.
        MissingDependencyError: cryptography is not installed.
    """

    name: str
    seed: bytes = field(repr=False)
    verifier: Ed25519Verifier = field(init=False)

    def __post_init__(self) -> None:
        if len(self.seed) != _SEED_SIZE:
            raise MalformedKeyError(f"expected a seed of {_SEED_SIZE} bytes, got {len(self.seed)}")
        check_key_name(self.name)
        public_key = self._private_key().public_key().public_bytes_raw()
        object.__setattr__(self, "verifier", Ed25519Verifier(self.name, public_key))

    @property
    def key_id(self) -> bytes:
        """Key id: 4 bytes."""
        return self.verifier.key_id

    @property
    def text(self) -> str:
        """The private key as text, which parse_signer_key reads. A secret."""
        blob = encode_base64(bytes([ED25519_TYPE]) + self.seed)
        return f"{_PRIVATE_PREFIX}{self.name}+{self.key_id.hex()}+{blob}"

    def sign(self, message: bytes) -> bytes:
        """Sign a note's text: 64 bytes, the same for the same text (RFC 8032)."""
        return self._private_key().sign(message)

    def _private_key(self) -> ed25519.Ed25519PrivateKey:
        try:
            from cryptography.hazmat.primitives.asymmetric import ed25519
        except ImportError as error:
            raise _missing() from error
        return ed25519.Ed25519PrivateKey.from_private_bytes(self.seed)


def parse_vkey(text: str) -> Ed25519Verifier:
    """Read an Ed25519 vkey. Works without cryptography; only its verify needs that.

    Raises:
        MalformedKeyError: it is no vkey, of another type, or its key id is not that of the key.
    """
    name, id_, key_type, public_key = split_vkey(text)
    if key_type != ED25519_TYPE:
        raise MalformedKeyError(
            f"expected a vkey of type 0x{ED25519_TYPE:02x} (Ed25519), got 0x{key_type:02x}"
        )
    verifier = Ed25519Verifier(name, public_key)
    if verifier.key_id != id_:
        raise MalformedKeyError(
            f"expected key id {verifier.key_id.hex()} for this name and key, got {id_.hex()}"
        )
    return verifier


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


def parse_signer_key(text: str) -> Ed25519Signer:
    """Read an Ed25519 signer key, a single line without its newline.

    Raises:
        MalformedKeyError: it is none, of another type, or its key id is not that of the key. The
            error never quotes the text.
        MissingDependencyError: cryptography is not installed.
    """
    # An error from within could quote the seed, so none is shown or chained.
    try:
        signer = _read_signer_key(text)
    except MalformedError:
        signer = None
    if signer is None or signer.text != text:
        raise MalformedKeyError("expected an Ed25519 signer key PRIVATE+KEY+NAME+KEYID+BASE64")
    return signer


def _read_signer_key(text: str) -> Ed25519Signer:
    name, _, _, seed = _split_key(text.removeprefix(_PRIVATE_PREFIX))
    return Ed25519Signer(name, seed)


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


def _missing() -> MissingDependencyError:
    return MissingDependencyError("cryptography", "signatures")
