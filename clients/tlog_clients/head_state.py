"""What a newly served head means for the one trusted so far: pure, without any I/O.

1. The first verified head of a log is trusted on first use.
2. A head of the same size must have the same root.
3. A larger head must be proved to continue the trusted one; then it is trusted.
4. A smaller head must be proved to be continued by the trusted one; it is a stale answer, no
   alarm, and does not replace the trusted one.
5. Anything else is a fork: two signed heads that no one append-only tree can have.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tlog_clients.errors import (
    ConsistencyNotProvedError,
    ForkDetectedError,
)
from tlog_proofs import MalformedProofError, RootMismatchError, verify_consistency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tlog_proofs import SignedCheckpoint


class Step(StrEnum):
    """How a served head stands to the one trusted before."""

    FIRST = "first"
    SAME = "same"
    FORWARD = "forward"
    BACKWARD = "backward"


@dataclass(frozen=True, slots=True)
class TrustedHead:
    """The verified head to trust from now on, and the step that led to it from the last one."""

    signed: SignedCheckpoint
    step: Step

    @property
    def is_new(self) -> bool:
        """Whether the head is another than the one trusted before, and is to be kept."""
        return self.step in (Step.FIRST, Step.FORWARD)


def consistency_sizes(
    trusted: SignedCheckpoint | None, served: SignedCheckpoint
) -> tuple[int, int] | None:
    """Return the sizes 0 < old < new whose consistency proof advance() needs, None for no proof."""
    if trusted is None or trusted.size == served.size:
        return None
    old, new = sorted((trusted.size, served.size))
    return (old, new) if old > 0 else None


def advance(
    trusted: SignedCheckpoint | None, served: SignedCheckpoint, proof: Sequence[bytes] = ()
) -> TrustedHead:
    """Decide which head to trust after `served`.

    Args:
        trusted: the head trusted so far, None at first use; of the same log key as `served`.
        served: the head served now; its signature is verified.
        proof: the consistency proof between consistency_sizes(trusted, served), made from tiles
            that are verified against the root of the larger head; empty when that is None.

    Raises:
        ForkDetectedError: same size and another root, or the larger head's tree does not
            continue the smaller one's.
        ConsistencyNotProvedError: the proof is not one for these sizes.
    """
    if trusted is None:
        return TrustedHead(served, Step.FIRST)
    if trusted.size == served.size:
        check_same_root(trusted, served)
        return TrustedHead(served, Step.SAME)
    if consistency_sizes(trusted, served) is not None:
        _check_consistency(trusted, served, proof)
    if served.size > trusted.size:
        return TrustedHead(served, Step.FORWARD)
    return TrustedHead(trusted, Step.BACKWARD)


def check_same_root(trusted: SignedCheckpoint, served: SignedCheckpoint) -> None:
    """Compare two heads of one size.

    Raises:
        ForkDetectedError: their roots differ.
    """
    if trusted.root != served.root:
        detail = f"size {served.size} was signed with two roots"
        raise ForkDetectedError(trusted.note, served.note, detail)


def _check_consistency(
    trusted: SignedCheckpoint, served: SignedCheckpoint, proof: Sequence[bytes]
) -> None:
    old, new = sorted((trusted, served), key=lambda head: head.size)
    try:
        verify_consistency(old.size, new.size, proof, old.root, new.root)
    except MalformedProofError as error:
        raise ConsistencyNotProvedError(trusted.note, served.note, str(error)) from error
    except RootMismatchError as error:
        detail = f"the tree of size {new.size} does not continue the one of size {old.size}"
        raise ForkDetectedError(trusted.note, served.note, detail) from error
