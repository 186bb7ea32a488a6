"""How a failed command ends: one friendly sentence on stderr, and an exit code.

0 done; 1 a check failed, the other side is wrong; 2 usage; 3 not reachable, or an input/output
error; 4 refused by the server; 130 interrupted.
"""

from __future__ import annotations

import os
import sys

import click

from tlog.errors import (
    AlreadyExistsError,
    ControlDatabaseError,
    DataDirectoryError,
    LockHeldError,
    NotFoundError,
    NotPublishedError,
    OutOfRangeError,
    StoreError,
    SubmissionError,
    UsageError,
)
from tlog_clients import (
    BeyondSizeError,
    ConsistencyNotProvedError,
    EntryTooLargeError,
    FetchError,
    HttpStatusError,
    MalformedUrlError,
    OutcomeUnknownError,
    StateFileError,
    TooLargeError,
    TrustedHeadChangedError,
    printable,
)
from tlog_proofs import MalformedError, MissingDependencyError, TlogError, VerificationError

CHECK_FAILED = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4

# The first class that an error is an instance of decides: subclasses stand before their bases.
_EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (EntryTooLargeError, USAGE),
    (MalformedUrlError, USAGE),
    (BeyondSizeError, REFUSED),
    (TooLargeError, CHECK_FAILED),
    (FetchError, UNREACHABLE),
    (StateFileError, UNREACHABLE),
    (TrustedHeadChangedError, UNREACHABLE),
    (VerificationError, CHECK_FAILED),
    (MalformedError, CHECK_FAILED),
    (MissingDependencyError, UNREACHABLE),
    (AlreadyExistsError, REFUSED),
    (LockHeldError, REFUSED),
    (NotFoundError, REFUSED),
    (NotPublishedError, REFUSED),
    (OutOfRangeError, REFUSED),
    (SubmissionError, REFUSED),
    (ControlDatabaseError, UNREACHABLE),
    (DataDirectoryError, USAGE),
    (UsageError, USAGE),
    (StoreError, UNREACHABLE),
    (OSError, UNREACHABLE),
)
_GATEWAY_STATUSES = frozenset({502, 504})


class Failure(Exception):  # noqa: N818 - not every failed command is an error of somebody
    """Ends the command with a sentence on stderr and the exit code."""

    def __init__(self, message: str, exit_code: int, evidence: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.evidence = evidence

    def show(self) -> None:
        """Print the sentence, and below it the evidence where there is some."""
        click.echo(f"tlog: {self.message}", err=True)
        if self.evidence:
            click.echo(f"\n{self.evidence}", err=True)


def exit_code(error: Exception) -> int | None:
    """Return the exit code of an error, None for one that is a defect of ours."""
    if isinstance(error, HttpStatusError):
        return UNREACHABLE if error.status in _GATEWAY_STATUSES else REFUSED
    if isinstance(error, DataDirectoryError) and isinstance(error.__cause__, OSError):
        # What the operating system refused is no wrong usage; a held lock is refused by its holder.
        return REFUSED if isinstance(error, LockHeldError) else UNREACHABLE
    for kind, code in _EXIT_CODES:
        if isinstance(error, kind):
            return code
    return CHECK_FAILED if isinstance(error, TlogError) else None


def as_failure(error: Exception) -> Failure | None:
    """Turn an error into a Failure; None for a defect, which deserves its traceback."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, BrokenPipeError):
        # What is still buffered can go nowhere; without this Python complains when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    code = exit_code(error)
    if code is None:
        return None
    sentences = [_sentence(error), *getattr(error, "__notes__", ())]
    evidence = error.evidence if isinstance(error, ConsistencyNotProvedError) else ""
    return Failure("; ".join(printable(text, max_chars=2000) for text in sentences), code, evidence)


def _sentence(error: Exception) -> str:
    if isinstance(error, HttpStatusError) and exit_code(error) == REFUSED:
        return f"refused by the server: {error}"
    if isinstance(error, OutcomeUnknownError):
        return f"unknown: may or may not be in the log: {error}"
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
        return f"{error.filename}: {reason}" if error.filename else reason
    return str(error)
