"""The only reader of time, and the rule that a log's time moves forward.

t is whole POSIX seconds and never decreases by index. CLOCK_BOOTTIME counts suspends, so a
machine that slept is not taken for a clock that jumped.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from tlog.errors import FatalLogError


def steady_s() -> float:
    """Seconds from some moment on, which only go forward: for durations; in any thread."""
    return time.monotonic()


class Clock(Protocol):
    """What the server knows of time."""

    def wall_ms(self) -> int:
        """POSIX time in milliseconds, as the machine's clock claims."""

    def boot_s(self) -> float:
        """Seconds since the machine started, suspends included."""


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> int:
        """See Clock."""
        return time.time_ns() // 1_000_000

    def boot_s(self) -> float:
        """See Clock."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class LogTime:
    """The time of one log; owned by its sequencer.

    newest_t: t of the newest commit record (seconds). max_behind_s: how far behind it the clock
    may be and is waited for. max_ahead_s: how far it may jump ahead of CLOCK_BOOTTIME.
    """

    clock: Clock
    newest_t: int
    max_behind_s: int
    max_ahead_s: int

    def __post_init__(self) -> None:
        # How long the server was down nobody knows; what passes from now on is measured.
        self._asked = self._now()  # (wall, boot) seconds of the t that was given last
        self._confirmed: tuple[int, float] | None = None  # (wall, boot) when it was vouched for
        self._set_mark(self._asked)

    def problem(self) -> str | None:
        """Why nothing may be stamped now, as one sentence, or None."""
        now = self.clock.wall_ms() // 1000
        behind = self.newest_t - now
        if behind <= 0 and self._mark_wrong:
            self._set_mark(self._now())
        if behind > self.max_behind_s and not self._is_confirmed(now):
            return (
                f"the clock is {behind} s behind the newest entry: set it right, "
                "or run `tlog log confirm-clock`"
            )
        wall, boot = self._mark
        ahead = (now - wall) - (self.clock.boot_s() - boot)
        if ahead > self.max_ahead_s:
            return (
                f"the clock jumped {int(ahead)} s ahead of the time that has passed since "
                "the last batch: set it right, or run `tlog log confirm-clock`"
            )
        if behind <= 0:
            self._confirmed = None  # it has caught up
        return None

    def next_t(self) -> int | None:
        """The t of a batch made now, or None: the clock is a little behind, ask again soon.

        Raises:
            FatalLogError: there is a `problem`.
        """
        problem = self.problem()
        if problem is not None:
            raise FatalLogError(problem)
        self._asked = self._now()
        now, _ = self._asked
        if now < self.newest_t:
            return None if self._confirmed is None else self.newest_t
        return now

    def stamped(self, t: int) -> None:
        """Note that the batch with the t that was given last became durable."""
        self.newest_t = t
        self._set_mark(self._asked)

    def confirm(self) -> None:
        """An operator vouches for the clock as it stands: t stays at newest_t until it is there."""
        self._confirmed = self._now()
        self._set_mark(self._confirmed)

    def _is_confirmed(self, now: int) -> bool:
        """Whether the clock shows what was vouched for and what has passed since, or later."""
        if self._confirmed is None:
            return False
        wall, boot = self._confirmed
        return (now - wall) - (self.clock.boot_s() - boot) >= -self.max_behind_s

    def _set_mark(self, moment: tuple[int, float]) -> None:
        """Measure from a moment on; by a clock that was behind no jump can be measured.

        Unless somebody vouched for it. A mark that was right stays one while the clock is behind:
        what follows is measured by it.
        """
        self._mark = moment
        is_behind = self.newest_t - moment[0] > self.max_behind_s
        self._mark_wrong = is_behind and self._confirmed is None

    def _now(self) -> tuple[int, float]:
        return self.clock.wall_ms() // 1000, self.clock.boot_s()
