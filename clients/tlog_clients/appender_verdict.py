"""What an Appender does after a batch that failed: pure."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import TYPE_CHECKING

from tlog_clients.errors import (
    FetchTimeoutError,
    ForkDetectedError,
    HttpStatusError,
    NotReachableError,
    OutcomeUnknownError,
    StateFileError,
)
from tlog_clients.log_client import BatchResult
from tlog_clients.problem import PROBLEM_TYPE_PREFIX
from tlog_clients.submission import EntryTooLargeError
from tlog_proofs import QuorumError, TlogError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tlog_clients.appender_options import AppenderOptions
    from tlog_clients.submission import SubmittedBatch

MAX_LIES = 3
"""How often a batch is sent again after answers in a row that are not those of an honest log."""

_MAX_ASKED_S = 3600
_CLIENT_ERRORS = range(400, 500)
_MAY_NOT_READ = frozenset({401, 403, 405})
_MAY_PASS = frozenset({408, 425, 429})
# These may be about one entry of a batch: too long for a proxy, or refused by a filter before the
# log; the log's own problems say where they are about all.
_MAY_BE_ONE_ENTRY = frozenset({400, 403, 409, 413, 422})
_ABOUT_ALL = frozenset(
    PROBLEM_TYPE_PREFIX + name for name in ("forbidden", "wrong-kind", "no-policy", "refused")
)


class Verdict(StrEnum):
    """What to do next."""

    AGAIN = "again"
    """Send the same after a pause, for ever."""
    FEW = "few"
    """The same, but MAX_LIES times at most; then as STOP."""
    SMALLER = "smaller"
    """Find the entry that it is about by sending fewer; one alone stops the delivery."""
    STOP = "stop"
    """Nothing that the appender can do will help: a human must look."""


def judge(error: TlogError) -> Verdict:
    """Decide what a failed batch calls for.

    A log that refuses the token is not sent to again without a human, and neither is one that
    showed two histories. What else cannot be verified may be a cache's old copy, or its error page
    in place of a tile, and is asked for a few times more. Answers that are none may be those of a
    proxy, and are asked for again.
    """
    if isinstance(error, HttpStatusError) and error.status in _CLIENT_ERRORS:
        problem = error.problem.type if error.problem is not None else ""
        if error.status in _MAY_PASS:
            return Verdict.AGAIN
        if error.status in _MAY_BE_ONE_ENTRY and problem not in _ABOUT_ALL:
            return Verdict.SMALLER
        return Verdict.STOP
    if isinstance(error, StateFileError):
        # What the system refuses, as on a full disk, passes; a damaged file does not.
        return Verdict.AGAIN if isinstance(error.__cause__, OSError) else Verdict.STOP
    if isinstance(error, EntryTooLargeError):
        return Verdict.SMALLER
    if isinstance(error, VerificationError):
        return Verdict.STOP if isinstance(error, ForkDetectedError) else Verdict.FEW
    return Verdict.AGAIN


def took_nothing(error: TlogError) -> bool:
    """Whether it is certain that the failed request appended nothing.

    Of submissions only: OutcomeUnknownError is what a lost answer raises there.
    """
    return isinstance(
        error, HttpStatusError | NotReachableError | FetchTimeoutError | EntryTooLargeError
    )


def missing_proof(sent: BatchResult | SubmittedBatch) -> str:
    """Return what is still missing before the spool may forget a batch that the log took.

    Without a key nothing is. With one, a signed head must cover the entries, and they must be found
    in its tree wherever the token allows reading; no witness's delay hinders the delivery.
    """
    if not isinstance(sent, BatchResult):
        return ""
    if sent.head is None:
        return f"the log has the entries, but no signed head of it covers them yet ({sent.state})"
    if sent.doubt is None or isinstance(sent.doubt, QuorumError):
        return ""
    if isinstance(sent.doubt, HttpStatusError) and sent.doubt.status in _MAY_NOT_READ:
        return ""
    return f"the log has the entries, but its tree could not be read ({sent.doubt})"


def pause_s(
    error: TlogError,
    failed_in_a_row: int,
    options: AppenderOptions,
    jitter: Callable[[float, float], float] = random.uniform,
) -> float:
    """Return how long to wait before the next try, at least as long as the server asks.

    An hour is the longest that a server may ask for.
    """
    # The exponent is bounded: 2 ** 1100 is no float.
    longest_s = options.first_pause_s * 2 ** min(failed_in_a_row - 1, 30)
    longest_s = min(longest_s, options.max_pause_s)
    return max(jitter(longest_s / 2, longest_s), min(_asked_s(error), _MAX_ASKED_S))


def _asked_s(error: BaseException | None) -> int:
    if isinstance(error, OutcomeUnknownError):
        error = error.__cause__
    return (error.retry_after_s or 0) if isinstance(error, HttpStatusError) else 0
