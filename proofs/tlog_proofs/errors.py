"""Errors of tlog_proofs: one tree, so that `except TlogError` catches whatever bytes can cause.

    TlogError                             never raised itself
    +- MalformedError                     also a ValueError: cannot be what it claims to be
    |  +- MalformedProofError             counts, lengths or positions that no proof can have
    |  +- MalformedTileError              tile paths, widths, lengths, tiles that hang in the air
    |  +- MalformedNoteError              signed notes
    |  +- MalformedKeyError               key names, vkeys, signer keys
    |  +- MalformedCheckpointError        checkpoint texts
    |  +- MalformedCosignatureError       timestamps that no cosignature can have
    |  +- MalformedPolicyError            tlog-policy files
    |  +- MalformedTlogProofError         .tlog-proof files
    |  +- MalformedGenesisError           entry 0, origins and kinds
    |  +- MalformedControlNoteError       control notes: rotations and freezes
    |  +- MalformedCborError              CBOR that is not deterministic, or out of bounds
    |  +- MalformedReceiptError           COSE receipts
    +- VerificationError                  well-formed, and not true
    |  +- RootMismatchError               hashes lead to another root
    |  +- BadSignatureError               a known key's signature fails
    |  +- UnknownKeyError                 no signature by a known key
    |  +- OriginMismatchError             signed, but by or for another log
    |  +- IndexMismatchError              signed, but for another index
    |  +- UnsignedExtensionError          extension lines that the log's signature does not cover
    |  +- QuorumError                     too few cosignatures for a policy
    +- MissingDependencyError             an extra of this package is not installed

Errors hold the fields that a caller may want to print; they never hold secrets.
"""

from __future__ import annotations

_NAMES_SHOWN = 8


class TlogError(Exception):
    """Root of every error that input from outside can cause; never raised itself."""


class MalformedError(TlogError, ValueError):
    """Input that cannot be what it claims to be, whatever keys and roots one trusts."""


class MalformedProofError(MalformedError):
    """A proof, index, size or hash with a count or length that its position rules out."""


class MalformedTileError(MalformedError):
    """A tile or entry bundle with a wrong path, width or length, or not tied to a root."""


class MalformedNoteError(MalformedError):
    """Bytes that are not a signed note."""


class MalformedKeyError(MalformedError):
    """A key name, vkey or signer key that does not keep the rules."""


class MalformedCheckpointError(MalformedError):
    """Bytes that are not the text of a checkpoint."""


class MalformedCosignatureError(MalformedError):
    """A timestamp that no cosignature can have, or not that one."""


class MalformedPolicyError(MalformedError):
    """Bytes that are not a tlog-policy file."""


class MalformedTlogProofError(MalformedError):
    """Bytes that are not a .tlog-proof file."""


class MalformedGenesisError(MalformedError):
    """An origin, kind or entry 0 that does not keep the rules."""


class MalformedControlNoteError(MalformedError):
    """Bytes that are not the text of a control note."""


class MalformedCborError(MalformedError):
    """CBOR that is not deterministic, holds a type that is not allowed, or is out of bounds."""


class MalformedReceiptError(MalformedError):
    """Bytes that are not a COSE receipt, or fields that none can have."""


class VerificationError(TlogError):
    """Well-formed input that is not true: the other side is wrong."""


class RootMismatchError(VerificationError):
    """Hashes lead to `actual` where `expected` was demanded (32 bytes each)."""

    def __init__(self, expected: bytes, actual: bytes) -> None:
        super().__init__(expected, actual)
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        """Both hashes in hex."""
        return f"expected root hash {self.expected.hex()}, computed {self.actual.hex()}"


class BadSignatureError(VerificationError):
    """A signature by the known key (`name`, `key_id`) does not verify."""

    def __init__(self, name: str, key_id: bytes) -> None:
        super().__init__(name, key_id)
        self.name = name
        self.key_id = key_id

    def __str__(self) -> str:
        """The key, as in a vkey."""
        return f"signature by key {self.name}+{self.key_id.hex()} does not verify"


class UnknownKeyError(VerificationError):
    """A note carries no signature by any of the keys that were given."""


class OriginMismatchError(VerificationError):
    """A checkpoint is about the log `actual` where `expected` was demanded."""

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(expected, actual)
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        """Both origins."""
        return f"expected a checkpoint of origin {self.expected!a}, got one of {self.actual!a}"


class IndexMismatchError(VerificationError):
    """A control note is about the index `actual` where `expected` was demanded."""

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(expected, actual)
        self.expected = expected
        self.actual = actual

    def __str__(self) -> str:
        """Both indexes."""
        return f"expected a control note of index {self.expected}, got one of {self.actual}"


class UnsignedExtensionError(VerificationError):
    """A checkpoint has extension lines, and what the log signed does not cover them."""


class QuorumError(VerificationError):
    """The cosignatures by `witnesses` (names in a policy) do not make up its `quorum`."""

    def __init__(self, quorum: bytes, witnesses: tuple[bytes, ...]) -> None:
        super().__init__(quorum, witnesses)
        self.quorum = quorum
        self.witnesses = witnesses

    def __str__(self) -> str:
        """The quorum's name, and who cosigned."""
        shown = [ascii(name[:40])[1:] for name in (self.quorum, *self.witnesses[:_NAMES_SHOWN])]
        names = ", ".join(shown[1:]) or "nobody"
        more = "" if len(self.witnesses) <= _NAMES_SHOWN else " and others"
        return f"expected a quorum of {shown[0]}, got cosignatures by {names}{more}"


class MissingDependencyError(TlogError):
    """A function needs `package`, which the extra `extra` of this distribution installs."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(package, extra)
        self.package = package
        self.extra = extra

    def __str__(self) -> str:
        """What to install."""
        return f"this needs the package {self.package}: install tlog-proofs[{self.extra}]"
