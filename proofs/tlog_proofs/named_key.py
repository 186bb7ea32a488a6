"""Keys under a name: what public keys of every kind have in common, and private ones.

A kind says its type byte and the lengths that it allows; a key's name, id and text follow.

Source: C2SP signed-note, "Signatures" and "Verifier keys".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from tlog_proofs.errors import MalformedKeyError
from tlog_proofs.key_text import format_signer_key, format_vkey
from tlog_proofs.note import check_key_name, key_id
from tlog_proofs.signatures import SEED_SIZE


@dataclass(frozen=True, slots=True)
class NamedPublicKey:
    """A public key under a name; each kind of verifier is one.

    Raises:
        MalformedKeyError: the name or the length of the key is wrong.
    """

    key_type: ClassVar[int]
    public_key_size: ClassVar[int]

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if len(self.public_key) != self.public_key_size:
            raise MalformedKeyError(
                f"expected a public key of {self.public_key_size} bytes, got {len(self.public_key)}"
            )

    @property
    def key_id(self) -> bytes:
        """Key id: 4 bytes."""
        return key_id(self.name, self.key_type, self.public_key)

    @property
    def vkey(self) -> str:
        """The key as text, which parse_vkey reads."""
        return format_vkey(self.name, self.key_type, self.public_key)


PublicKey = TypeVar("PublicKey", bound=NamedPublicKey)


@dataclass(frozen=True, slots=True, eq=False)
class NamedPrivateKey(ABC, Generic[PublicKey]):
    """A private key under a name, held as its 32-byte seed; each kind of signer is one.

    The seed is not part of repr; `text` holds it and belongs in a file of mode 0600 only.

    Raises:
        MalformedKeyError: the name or the length of the seed is wrong.
        MissingDependencyError: cryptography is not installed.
    """

    name: str
    seed: bytes = field(repr=False)
    verifier: PublicKey = field(init=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_SIZE:
            raise MalformedKeyError(f"expected a seed of {SEED_SIZE} bytes, got {len(self.seed)}")
        check_key_name(self.name)
        object.__setattr__(self, "verifier", self._make_verifier())

    @property
    def key_id(self) -> bytes:
        """Key id: 4 bytes."""
        return self.verifier.key_id

    @property
    def text(self) -> str:
        """The private key as text, which the readers of keys.py read. A secret."""
        return format_signer_key(self.name, self.key_id, self.verifier.key_type, self.seed)

    @abstractmethod
    def _make_verifier(self) -> PublicKey:
        """Compute the public key."""
