"""What follows a failed batch: again, smaller, or stop; and after which pause."""

from __future__ import annotations

import errno

import pytest

from tests.clients.test_retry import lost, refusal
from tlog_clients import (
    ConsistencyNotProvedError,
    EntryTooLargeError,
    FetchTimeoutError,
    ForkDetectedError,
    LogMisbehaviourError,
    MalformedAnswerError,
    NotReachableError,
    OutcomeUnknownError,
    StateFileError,
    TrustedHeadChangedError,
)
from tlog_clients.appender_options import AppenderOptions
from tlog_clients.appender_verdict import Verdict, judge, pause_s, took_nothing
from tlog_proofs import RootMismatchError, TlogError, UnknownKeyError

NO_SPACE = StateFileError("heads", "cannot be written (No space left on device)")
NO_SPACE.__cause__ = OSError(errno.ENOSPC, "No space left on device")
AGAIN: list[TlogError] = [
    NO_SPACE,
    NotReachableError("refused"),
    FetchTimeoutError("no connection"),
    lost(),
    MalformedAnswerError("a proxy's page"),
    TrustedHeadChangedError(),
    refusal(302),
    refusal(408),
    refusal(429, "queue-full"),
    OutcomeUnknownError("500"),
    refusal(503, "starting"),
    refusal(503, "read-only"),
    refusal(507, "disk-reserve"),
]
SMALLER: list[TlogError] = [
    refusal(400, "malformed"),
    refusal(403),
    refusal(409, "id-conflict"),
    refusal(413),
    EntryTooLargeError("too long"),
]
STOP: list[TlogError] = [
    refusal(401, "unauthorised"),
    refusal(403, "forbidden"),
    refusal(404, "not-found"),
    refusal(405),
    refusal(409, "wrong-kind"),
    refusal(415),
    ForkDetectedError(b"one", b"other", "two roots of one size"),
    StateFileError("heads", "damaged"),
]
FEW: list[TlogError] = [
    LogMisbehaviourError("other bytes"),
    UnknownKeyError("no signature by the key"),
    ConsistencyNotProvedError(b"one", b"other", "no tile"),
    RootMismatchError(bytes(32), bytes(32)),
]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        *((error, Verdict.AGAIN) for error in AGAIN),
        *((error, Verdict.SMALLER) for error in SMALLER),
        *((error, Verdict.FEW) for error in FEW),
        *((error, Verdict.STOP) for error in STOP),
    ],
    ids=str,
)
def test_verdicts(error: TlogError, verdict: Verdict) -> None:
    """What may pass is sent again, what may be one entry is looked for, the rest needs a human."""
    assert judge(error) is verdict


def test_took_nothing() -> None:
    """Only a refusal, or a connection that was never made, is certain to have appended nothing."""
    assert all(map(took_nothing, [refusal(429), NotReachableError("x"), FetchTimeoutError("x")]))
    assert not any(
        map(took_nothing, [lost(), MalformedAnswerError("x"), LogMisbehaviourError("x")])
    )


def test_pauses() -> None:
    """Pauses double up to their bound, however often it failed, and keep to Retry-After."""
    options = AppenderOptions(first_pause_s=0.5, max_pause_s=3.0)

    def longest(error: TlogError, failed: int) -> float:
        return pause_s(error, failed, options, lambda _, longest_s: longest_s)

    assert [longest(lost(), failed) for failed in (1, 2, 3, 4, 5000)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert pause_s(lost(), 2, options, lambda shortest_s, _: shortest_s) == 0.5
    assert longest(refusal(429, "queue-full", 7), 1) == 7
    unknown = OutcomeUnknownError("no answer")
    unknown.__cause__ = refusal(503, "", 9)
    assert longest(unknown, 1) == 9
    assert longest(refusal(503, "starting", 999_999_999), 1) == 3600
