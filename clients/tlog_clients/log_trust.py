"""Whom a client believes about one log: its key, several keys of it, or a policy.

The keys say which heads the log signed: that is enough to remember a head, and to hold the log to
it. A policy also says which witnesses must have cosigned a head before it is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tlog_proofs import (
    MAX_POLICY_BYTES,
    MalformedError,
    Policy,
    SignedCheckpoint,
    TlogError,
    TlogProof,
    UnknownKeyError,
    Verifier,
    open_checkpoint,
    parse_policy,
    parse_vkey,
    verify_tlog_proof,
)

if TYPE_CHECKING:
    from typing import Self

MAX_LOG_KEYS = 16


class LogKey(Verifier, Protocol):
    """The public key of a log, with its text form."""

    @property
    def vkey(self) -> str:
        """The key as text, `name+id+base64` (C2SP signed-note)."""
        ...


TrustSource = str | LogKey | Sequence[str | LogKey] | Policy | Path
"""A vkey or key, several of one log, a policy, or the file of one."""


@dataclass(frozen=True, slots=True)
class LogTrust:
    """The keys of one log, all of its origin's name, and the policy where there is one.

    The policy has no other log's keys.
    """

    keys: tuple[LogKey, ...]
    policy: Policy | None = None

    @classmethod
    def of(cls, source: TrustSource | LogTrust, *, origin: str | None = None) -> Self:
        """Read whom to believe.

        Args:
            source: a vkey or key; several keys of one log, any of which may sign; a policy, or the
                path of a policy file. A text is a vkey, never a path.
            origin: the log's; needed where a policy has several logs.

        Raises:
            MalformedKeyError, MalformedPolicyError: a vkey or a policy that is none.
            MalformedError: no key, too many, or of different origins.
            UnknownKeyError: the policy has no log of that origin, or several and none was named.
            OSError: the policy file cannot be read.
        """
        if isinstance(source, LogTrust):
            trust = cls(source.keys, source.policy)
        elif isinstance(source, Path):
            trust = cls._of_policy(_read_policy(source), origin)
        elif isinstance(source, Policy):
            trust = cls._of_policy(source, origin)
        elif isinstance(source, Sequence) and not isinstance(source, str):
            trust = cls(tuple(map(_read_key, source)))
        else:
            trust = cls((_read_key(source),))
        trust._check(origin)
        return trust

    @classmethod
    def _of_policy(cls, policy: Policy, origin: str | None) -> Self:
        origins = {log.key.name for log in policy.logs}
        if origin is None and len(origins) == 1:
            (origin,) = origins
        if origin is None:
            raise UnknownKeyError(
                f"expected a policy of one log, or the log's origin: it has {len(origins)} logs"
            )
        own = policy.for_origin(origin)
        return cls(tuple(log.key for log in own.logs), own)

    def _check(self, origin: str | None) -> None:
        if not 1 <= len(self.keys) <= MAX_LOG_KEYS:
            raise MalformedError(
                f"expected 1 to {MAX_LOG_KEYS} keys of the log, got {len(self.keys)}"
            )
        for key in self.keys:
            if key.name != (origin or self.origin):
                raise MalformedError(f"expected keys of {origin or self.origin}, got {key.name}")

    @property
    def origin(self) -> str:
        """The log's origin, which is the name of its keys."""
        return self.keys[0].name

    @property
    def vkey(self) -> str:
        """The text of the first key, under which what is kept of the log alone is filed."""
        return self.keys[0].vkey

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The texts of the log's keys, as given."""
        return tuple(key.vkey for key in self.keys)

    def open_head(self, note: bytes) -> SignedCheckpoint:
        """Verify a checkpoint by all that is asked: a key of the log, and the policy's quorum.

        Raises: as tlog_proofs.open_checkpoint.
        """
        opened = open_checkpoint(note, self.keys if self.policy is None else self.policy)
        # Always of the same class: the heads that a store keeps are compared with it.
        return SignedCheckpoint(opened.checkpoint, opened.note)

    def open_signed(self, note: bytes) -> SignedCheckpoint:
        """Verify that the log signed a checkpoint, and no more.

        Raises: as tlog_proofs.open_checkpoint, but for QuorumError.
        """
        return open_checkpoint(note, self.keys)

    def check_quorum(self, signed: SignedCheckpoint) -> None:
        """Return when the policy, if there is one, is content with a head that the log signed.

        Raises:
            QuorumError: more cosignatures are asked for.
            BadSignatureError: a cosignature is wrong.
        """
        if self.policy is not None:
            open_checkpoint(signed.note, self.policy)

    def has_quorum(self, signed: SignedCheckpoint) -> bool:
        """Whether check_quorum would return."""
        try:
            self.check_quorum(signed)
        except TlogError:  # a wrong cosignature too: others keep heads that carry one
            return False
        return True

    def verify_signed(self, proof: TlogProof, leaf_hash: bytes) -> SignedCheckpoint:
        """Verify a proof under a head that the log signed, without the quorum.

        Raises: as tlog_proofs.verify_tlog_proof, but for QuorumError.
        """
        return verify_tlog_proof(proof, leaf_hash, self.keys)

    def verify(self, proof: TlogProof, leaf_hash: bytes) -> SignedCheckpoint:
        """Verify a proof under a head by all that is asked.

        Raises: as tlog_proofs.verify_tlog_proof.
        """
        trusted = self.keys if self.policy is None else self.policy
        return verify_tlog_proof(proof, leaf_hash, trusted)

    def signing_keys(self, note: bytes) -> tuple[LogKey, ...]:
        """Return those keys that alone verify the checkpoint."""
        return tuple(key for key in self.keys if _is_signed_by(note, key))


def _is_signed_by(note: bytes, key: LogKey) -> bool:
    try:
        open_checkpoint(note, key)
    except TlogError:
        return False
    return True


def _read_key(source: str | LogKey) -> LogKey:
    return parse_vkey(source.strip()) if isinstance(source, str) else source


def _read_policy(path: Path) -> Policy:
    with path.open("rb") as file:
        return parse_policy(file.read(MAX_POLICY_BYTES + 1))
