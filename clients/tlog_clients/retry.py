"""Trying again, until there is an answer, a refusal that will not pass, or the time is over.

For requests that may be sent twice: reads, and entries with their id, which are appended once only.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tlog_clients.errors import (
    FetchError,
    FetchTimeoutError,
    HttpStatusError,
    NotReachableError,
    OutcomeUnknownError,
    TooLargeError,
)
from tlog_clients.problem import PROBLEM_TYPE_PREFIX
from tlog_proofs import MalformedError

if TYPE_CHECKING:
    from typing import NoReturn

Answer = TypeVar("Answer")
OnRetry = Callable[[FetchError, float], None]
"""Called before each pause with what failed, and the seconds until the next try."""

DEFAULT_RETRY_FOR_S = 60.0
MAX_TRIES = 1_000
_INTERNAL = 500
_MAY_PASS = frozenset({429, 502, 503, 504})
# An operator has to mend these first.
_STAYS = frozenset({PROBLEM_TYPE_PREFIX + "read-only", PROBLEM_TYPE_PREFIX + "unreadable"})
_ID_CONFLICT = PROBLEM_TYPE_PREFIX + "id-conflict"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often to try again.

    Another try begins only within `total_s` seconds of the first failure; 0 is never. Pauses double
    from `first_pause_s` up to `max_pause_s`, each shortened at random by up to a half, so that
    clients that failed together do not come back together.
    """

    total_s: float = DEFAULT_RETRY_FOR_S
    first_pause_s: float = 0.1
    max_pause_s: float = 5.0


class Retries:
    """Sends to one server; knows whether it ever answered.

    Only then a refused connection is waited for: it may be starting again. An address where nobody
    ever answered is more likely wrong.
    """

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        *,
        on_retry: OnRetry | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now_s: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Bind the bounds; sleep, now_s and jitter are the outside world."""
        self._policy = policy or RetryPolicy()
        self._on_retry = on_retry
        self._sleep = sleep
        self._now_s = now_s
        self._jitter = jitter
        self._answered = False

    async def run(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what send() gives, calling it again while a failure may pass.

        Raises:
            OutcomeUnknownError: a try may have taken effect, and none said whether it did.
            FetchError: the last failure; nothing took effect.
        """
        doubt: OutcomeUnknownError | None = None
        deadline_s: float | None = None
        tries = 0
        while True:
            tries += 1
            try:
                answer = await send()
            except FetchError as error:
                if isinstance(error, OutcomeUnknownError):
                    doubt = doubt or error
                self._answered |= isinstance(error, HttpStatusError | OutcomeUnknownError)
                failed_s = self._now_s()
                if deadline_s is None:
                    deadline_s = failed_s + self._policy.total_s
                pause_s = self._pause_s(error, tries)
                is_over = tries >= MAX_TRIES or failed_s + pause_s >= deadline_s
                if is_over or not self._may_pass(error):
                    _give_up(error, doubt)
                if self._on_retry is not None:
                    self._on_retry(error, pause_s)
            else:
                self._answered = True
                return answer
            await self._sleep(pause_s)

    def _may_pass(self, error: FetchError) -> bool:
        match error:
            case OutcomeUnknownError():
                cause = error.__cause__
                return not (
                    isinstance(cause, TooLargeError | MalformedError)
                    or (isinstance(cause, HttpStatusError) and cause.status == _INTERNAL)
                )
            case HttpStatusError():
                return error.status in _MAY_PASS and _type_of(error) not in _STAYS
            case NotReachableError() | FetchTimeoutError():
                return self._answered
            case _:
                return False

    def _pause_s(self, error: FetchError, tries: int) -> float:
        # The exponent is bounded: 2 ** 1000 is no float that can be multiplied with.
        longest_s = min(
            self._policy.max_pause_s, self._policy.first_pause_s * 2 ** min(tries - 1, 30)
        )
        pause_s = self._jitter(longest_s / 2, longest_s)
        # A proxy's refusal leaves the outcome open, and asks for time all the same.
        answer = error.__cause__ if isinstance(error, OutcomeUnknownError) else error
        asked_s = answer.retry_after_s if isinstance(answer, HttpStatusError) else None
        return pause_s if asked_s is None else max(pause_s, asked_s)


def _give_up(error: FetchError, doubt: OutcomeUnknownError | None) -> NoReturn:
    """Raise the last failure; as unknown outcome when an earlier try may have taken effect.

    An id that stands with other bytes says that this entry does not.
    """
    if doubt is None or isinstance(error, OutcomeUnknownError) or _type_of(error) == _ID_CONFLICT:
        raise error
    raise OutcomeUnknownError(f"{doubt}; sent again: {error}") from error


def _type_of(error: FetchError) -> str:
    problem = error.problem if isinstance(error, HttpStatusError) else None
    return "" if problem is None else problem.type
