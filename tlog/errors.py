"""What can go wrong in the server, as one tree under TlogError.

ServerError
+-- SubmissionError              an append was not taken
|   +-- EntryTooLargeError       an entry over 65,535 bytes
|   +-- BatchTooLargeError       over the count or the bytes of one batch
|   +-- EmptyBatchError          a batch without an entry
|   +-- IdConflictError          an id was sent before with other bytes
|   +-- QueueFullError           the queue is at its bound; try again later
|   +-- WrongKindError           a raw entry for a log of another kind
|   +-- DiskReserveError         free space is down to the reserve, or too little
|   +-- ReadOnlyError            the log refuses to sign, and says why
|   |   +-- DiskFullError        because a write found no space
|   +-- StartingError            start-up is not over
|   +-- StoppingError            shut-down has begun
|   +-- OutcomeUnknownError      the commit failed: the entries may or may not stand
|   +-- NoPolicyError            a wait for witnesses that the log does not have
+-- NotPublishedError            an index or size beyond the published one
+-- NotFoundError                nothing by that name
+-- NoReceiptError               no COSE receipt can be made of what is published
+-- UnreadableError              the log's databases cannot be opened, and why
+-- OutOfRangeError              numbers that cannot go together
+-- StoreError                   the databases failed or hold what they should not
|   +-- HeadConflictError        the head store holds another head than was expected
+-- FatalLogError                the log must not sign: carries the sentence that says why
|   +-- UnknownIdsError          control.db lacks the key of ids that stand in the log
+-- DataDirectoryError           DIR is not what the operation needs
|   +-- ControlDatabaseError     control.db cannot be read
|   +-- LockHeldError            another process holds DIR
+-- UsageError                   a request that can never succeed as it stands
    +-- AlreadyExistsError       the name or the origin is taken, or the key known already
    +-- TlsFileError             a certificate or key file that TLS cannot be done with
"""

from __future__ import annotations

from tlog_proofs import TlogError


class ServerError(TlogError):
    """Any failure of the server (never raised itself)."""


class SubmissionError(ServerError):
    """An append was not taken."""


class EntryTooLargeError(SubmissionError):
    """An entry is longer than the tiles can hold."""


class BatchTooLargeError(SubmissionError):
    """A batch is over the bound of entries or of bytes."""


class EmptyBatchError(SubmissionError):
    """A batch holds no entry."""


class IdConflictError(SubmissionError):
    """An id stands, or is under way, with other bytes."""


class QueueFullError(SubmissionError):
    """The queue of appends is full; `retry_after_s` whole seconds may help."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class WrongKindError(SubmissionError):
    """The log is of a kind that does not take this entry."""


class DiskReserveError(SubmissionError):
    """Free space is down to the reserve, or less than the entries need."""


class ReadOnlyError(SubmissionError):
    """The log is read-only; `reason` is the one sentence shown everywhere."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DiskFullError(ReadOnlyError):
    """The log is read-only since a write found no space left."""


class StartingError(SubmissionError):
    """The log is still starting."""


class StoppingError(SubmissionError):
    """The server is shutting down."""


class OutcomeUnknownError(SubmissionError):
    """The commit failed in a way that leaves open whether the entries stand."""


class NoPolicyError(SubmissionError):
    """The log has no witness policy to wait for."""


class NotPublishedError(ServerError):
    """An index or a size lies beyond the published size."""


class NotFoundError(ServerError):
    """Nothing by that name or hash."""


class NoReceiptError(ServerError):
    """Under the published checkpoint there is no COSE receipt of that entry; says until when."""


class UnreadableError(ServerError):
    """The log's databases cannot be opened; the message is the log's reason."""


class OutOfRangeError(ServerError):
    """Index, size, old and new cannot go together."""


class StoreError(ServerError):
    """A database failed, or holds what it should not."""


class HeadConflictError(StoreError):
    """The head store does not hold the head that the publisher stored last."""


class FatalLogError(ServerError):
    """The log must not sign any more; the message is the sentence that says why."""


class UnknownIdsError(FatalLogError):
    """Ids that stand in the log cannot be found with control.db's keys; key_week says of when."""

    def __init__(self, message: str, key_week: int) -> None:
        super().__init__(message)
        self.key_week = key_week


class DataDirectoryError(ServerError):
    """The data directory is not what the operation needs."""


class ControlDatabaseError(DataDirectoryError):
    """control.db cannot be read, or a row of it is damaged."""


class LockHeldError(DataDirectoryError):
    """Another process holds the data directory."""


class UsageError(ServerError):
    """A request that can never succeed as it stands."""


class AlreadyExistsError(UsageError):
    """The name or the origin is taken, or the key is known already."""


class TlsFileError(UsageError):
    """A file of a certificate, a key or authorities cannot be used; names it and says why."""
