"""What can go wrong in a client, as branches of the tree under TlogError.

TlogError
+-- FetchError                     the answer could not be had
|   +-- NotReachableError          no connection, or one that broke
|   +-- FetchTimeoutError          no whole answer in time
|   +-- TooLargeError              an answer over the bound of its kind
|   +-- HttpStatusError            another status than asked for; may carry a Problem
|   +-- OutcomeUnknownError        sent, but whether it took effect is not known
|   +-- BeyondSizeError            an index beyond the verified size
+-- MalformedError
|   +-- MalformedAnswerError       an answer that no honest server writes
|   +-- MalformedEntryIdError      an idempotency id that is none (entry_ids.py)
+-- VerificationError
|   +-- LogMisbehaviourError       the log said something that cannot be true
|       +-- EntryMismatchError     entry bytes that are not those of the signed tree
|       +-- AuditMismatchError     a tile or bundle that differs from the rebuilt tree
|       +-- ConsistencyNotProvedError   two signed heads that the log could not reconcile
|           +-- ForkDetectedError       two signed heads that no one tree can have
+-- StateFileError                 the file of trusted heads is damaged or unusable
+-- TrustedHeadChangedError        other clients kept moving the trusted head meanwhile

FetchError means "we could not get it", LogMisbehaviourError means "they lied": the second is
never retried. No message holds a token.
"""

from __future__ import annotations

from dataclasses import dataclass

from tlog_clients.printable import printable, printable_note
from tlog_proofs import MalformedError, TlogError, VerificationError


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem, bounded and free of control characters."""

    type: str
    title: str
    detail: str


class FetchError(TlogError):
    """The answer could not be had; nothing is known against the log."""


class NotReachableError(FetchError):
    """No connection could be made, or it broke."""


class FetchTimeoutError(FetchError):
    """The whole answer did not arrive in time."""


class TooLargeError(FetchError):
    """An answer was longer than `max_bytes`; reading stopped there."""

    def __init__(self, path: str, max_bytes: int) -> None:
        super().__init__(f"{path}: expected at most {max_bytes} bytes, the answer is longer")
        self.path = path
        self.max_bytes = max_bytes


class HttpStatusError(FetchError):
    """The server answered `path` with `status`, and perhaps a `problem` that says why.

    `retry_after_s`: the seconds that it asks to wait; None when it does not say.
    """

    def __init__(
        self,
        path: str,
        status: int,
        problem: Problem | None = None,
        *,
        retry_after_s: int | None = None,
    ) -> None:
        if problem is None:
            reason = f"HTTP status {status}"
            if status // 100 == 3:  # noqa: PLR2004 - the class of redirects
                reason += " (redirects are not followed)"
        else:
            reason = problem.title or f"HTTP status {status}"
            if problem.detail and problem.detail != problem.title:
                reason += f": {problem.detail}"
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s


class OutcomeUnknownError(FetchError):
    """A request was sent, and its outcome is unknown: the entries may or may not stand."""


class BeyondSizeError(FetchError):
    """`index` lies at or beyond `size`, the size of the newest verified head."""

    def __init__(self, index: int, size: int) -> None:
        super().__init__(f"the log has no entry {index}: its newest verified size is {size}")
        self.index = index
        self.size = size


class MalformedAnswerError(MalformedError):
    """An answer is not what the interface promises."""


class LogMisbehaviourError(VerificationError):
    """The log said something that cannot be true."""


class EntryMismatchError(LogMisbehaviourError):
    """The bytes served as entry `index` are not those under the signed root."""

    def __init__(self, index: int, where: str) -> None:
        super().__init__(
            f"entry {index}: the bytes served by {where} do not hash to the leaf of the signed tree"
        )
        self.index = index


class AuditMismatchError(LogMisbehaviourError):
    """What is served at `path` is not of the rebuilt tree; `index` is the first leaf concerned."""

    def __init__(self, path: str, index: int, detail: str) -> None:
        super().__init__(f"{path}: {detail} (first concerned entry: {index})")
        self.path = path
        self.index = index


class ConsistencyNotProvedError(LogMisbehaviourError):
    """The log signed two heads and did not show that one continues the other.

    `old_note` was trusted before, `new_note` was served now; both carry the log's verified
    signature. Without more, the cause may also be damaged or missing tiles.
    """

    def __init__(self, old_note: bytes, new_note: bytes, detail: str) -> None:
        super().__init__(f"{self._verdict}: {detail}")
        self.old_note = old_note
        self.new_note = new_note
        self.detail = detail

    _verdict = "consistency with the trusted head is not proved"

    @property
    def evidence(self) -> str:
        """Both signed heads as printable text, the trusted one first."""
        return (
            f"trusted before:\n\n{printable_note(self.old_note)}\n"
            f"served now:\n\n{printable_note(self.new_note)}"
        )


class ForkDetectedError(ConsistencyNotProvedError):
    """The log signed two heads that no one append-only tree can have: proof of misbehaviour."""

    _verdict = "FORK: the log signed two conflicting histories"


class StateFileError(TlogError):
    """The state file is damaged or cannot be used; it is never reset on its own."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"state file {printable(path)}: {detail}")
        self.path = path


class TrustedHeadChangedError(TlogError):
    """Other clients moved the trusted head of the log while this one was checking against it."""

    def __init__(self) -> None:
        super().__init__("other clients moved the trusted head meanwhile: run this again")
