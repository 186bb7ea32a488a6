"""Opening checkpoints: what a log signed, and by a policy also what a quorum cosigned.

Whom to trust is said by a log's key, by several keys of one log (where it changes them, old and new
sign side by side for a while, and either is enough), or by a policy.

Source: C2SP tlog-checkpoint, "Signatures"; tlog-policy; tlog-proof, "Verifying a tlog proof".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, overload

from tlog_proofs.checkpoint import Checkpoint, parse_checkpoint
from tlog_proofs.cosignature import MlDsa44CosignatureVerifier, cosignature_timestamp
from tlog_proofs.errors import OriginMismatchError, UnknownKeyError, UnsignedExtensionError
from tlog_proofs.note import OpenedNote, Verifier, open_note
from tlog_proofs.policy import LogKey, Policy, WitnessKey, check_quorum


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint whose log signature was verified, with the note that says so, byte for byte."""

    checkpoint: Checkpoint
    note: bytes

    @property
    def origin(self) -> str:
        """Origin of the log."""
        return self.checkpoint.origin

    @property
    def size(self) -> int:
        """Tree size."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """Root hash: 32 bytes."""
        return self.checkpoint.root


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: the witness's name in the policy, its key, the time that it states.

    `timestamp` is in POSIX seconds, 0 where an ML-DSA-44 cosignature states none.
    """

    witness: bytes
    key: WitnessKey
    timestamp: int


@dataclass(frozen=True, slots=True)
class CosignedCheckpoint(SignedCheckpoint):
    """A checkpoint valid by a policy: the keys of the log that signed it, and all cosignatures.

    Both in the order of the note's lines; what other keys signed is left out.
    """

    log_keys: tuple[LogKey, ...]
    cosignatures: tuple[Cosignature, ...]


_Key = TypeVar("_Key", bound=Verifier)

Trust = Verifier | Sequence[Verifier] | Policy
"""A log's key, several keys of one log, or a policy."""


@overload
def open_checkpoint(note: bytes, trust: Policy) -> CosignedCheckpoint: ...
@overload
def open_checkpoint(note: bytes, trust: Trust) -> SignedCheckpoint: ...
def open_checkpoint(note: bytes, trust: Trust) -> SignedCheckpoint:
    """Verify a checkpoint's log signature and origin, and by a policy also its quorum.

    The name of a log's key is the log's origin. A policy of several logs accepts any of them: see
    Policy.for_origin.

    Raises:
        MalformedNoteError: it is no signed note.
        MalformedKeyError: two different keys have the same name and key id.
        UnknownKeyError: it is not signed by a key of the log.
        BadSignatureError: a signature by one of the known keys fails, whatever the others do.
        MalformedCheckpointError: the signed text is no checkpoint.
        OriginMismatchError: a log's key signed a checkpoint of another origin.
        UnsignedExtensionError: it has extension lines, and the log signed it with ML-DSA-44 alone.
        QuorumError: the policy asks for more cosignatures.
    """
    if isinstance(trust, Policy):
        return _open_by_policy(note, trust)
    keys = trust if isinstance(trust, Sequence) else [trust]
    opened = open_note(note, keys)
    return SignedCheckpoint(_checkpoint_of(opened, _signers(opened, keys)), note)


def _open_by_policy(note: bytes, policy: Policy) -> CosignedCheckpoint:
    log_keys = [log.key for log in policy.logs]
    witnesses = {(witness.key.name, witness.key.key_id): witness for witness in policy.witnesses}
    opened = open_note(note, [*log_keys, *(witness.key for witness in policy.witnesses)])
    signers = _signers(opened, log_keys)
    checkpoint = _checkpoint_of(opened, signers)
    cosignatures = tuple(
        Cosignature(witness.name, witness.key, cosignature_timestamp(line))
        for line in opened.verified
        if (witness := witnesses.get((line.name, line.key_id))) is not None
    )
    check_quorum(policy, (cosignature.witness for cosignature in cosignatures))
    own = tuple(key for key in signers if key.name == checkpoint.origin)
    return CosignedCheckpoint(checkpoint, note, own, cosignatures)


def _checkpoint_of(opened: OpenedNote, signers: Sequence[Verifier]) -> Checkpoint:
    """Read the checkpoint that these keys signed, if one of them may speak for its origin."""
    if not signers:
        raise UnknownKeyError("expected a signature by a key of the log, the note has none")
    checkpoint = parse_checkpoint(opened.text)
    own = [key for key in signers if key.name == checkpoint.origin]
    if not own:
        raise OriginMismatchError(signers[0].name, checkpoint.origin)
    # ML-DSA-44 signs no extension lines: whoever carries the note could have written them.
    if checkpoint.extensions and all(isinstance(key, MlDsa44CosignatureVerifier) for key in own):
        raise UnsignedExtensionError(
            "expected no extension lines in a checkpoint that the log signed with ML-DSA-44 alone"
        )
    return checkpoint


def _signers(opened: OpenedNote, keys: Iterable[_Key]) -> list[_Key]:
    """List those of the keys that signed, each once, in the order of the lines."""
    known = {(key.name, key.key_id): key for key in keys}
    lines = dict.fromkeys((line.name, line.key_id) for line in opened.verified)
    return [known[line] for line in lines if line in known]
