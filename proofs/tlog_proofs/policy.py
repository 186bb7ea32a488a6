"""Trust policies: which logs, which witnesses, and how many of these make up a quorum.

A checkpoint is valid by a policy when one of its logs signed it and its quorum cosigned it. This
module says what a policy is; policy_text.py reads the file, signed_checkpoint.py applies it.

Source: C2SP tlog-policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tlog_proofs.cosignature import Ed25519CosignatureVerifier, MlDsa44CosignatureVerifier
from tlog_proofs.ed25519 import Ed25519Verifier
from tlog_proofs.errors import QuorumError, UnknownKeyError
from tlog_proofs.strict import show

LogKey = Ed25519Verifier | MlDsa44CosignatureVerifier
WitnessKey = Ed25519CosignatureVerifier | MlDsa44CosignatureVerifier


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A key of a log, whose name is the log's origin, and its URL as it stands in the file."""

    key: LogKey
    url: bytes | None = None


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness: its name within the policy, its key, and its URL as it stands in the file."""

    name: bytes
    key: WitnessKey
    url: bytes | None = None


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """A group, which witnesses what `threshold` of its members (witnesses or groups) witness."""

    name: bytes
    threshold: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as from parse_policy; names are octets without meaning outside of it.

    A log with several keys has several entries in `logs`. Each group stands after its members.
    `quorum` names a witness or a group; None asks for no cosignature.
    """

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: bytes | None

    def for_origin(self, origin: str) -> Policy:
        """Give the same policy with the keys of one log alone.

        Whoever asks one log for its checkpoint wants this: any other log's would be valid, too.

        Raises:
            UnknownKeyError: the policy has no key of a log of that origin.
        """
        logs = tuple(log for log in self.logs if log.key.name == origin)
        if not logs:
            raise UnknownKeyError(f"expected a policy with a key of {show(origin)}, it has none")
        return replace(self, logs=logs)


def check_quorum(policy: Policy, witnesses: Iterable[bytes]) -> None:
    """Return when the witnesses of these names (in the policy) make up its quorum.

    open_checkpoint has done this for all cosignatures of a note; do it again for those that are
    recent enough, say.

    Raises:
        QuorumError: they do not.
    """
    names = tuple(dict.fromkeys(witnesses))
    agreed = {witness.name for witness in policy.witnesses}.intersection(names)
    for group in policy.groups:
        if len(agreed.intersection(group.members)) >= group.threshold:
            agreed.add(group.name)
    if policy.quorum is not None and policy.quorum not in agreed:
        raise QuorumError(policy.quorum, names)
