"""What an Appender tells about itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DeliveryState(StrEnum):
    """What the delivery is doing."""

    DELIVERING = "delivering"
    """Sending, or with nothing to send."""
    WAITING = "waiting"
    """The last try failed; another follows."""
    STOPPED = "stopped"
    """The log refused, or lied: resume() goes on, when somebody has looked."""
    CLOSED = "closed"
    """The appender is closed."""


@dataclass(frozen=True, slots=True)
class AppenderStats:
    """Counts since the appender was opened, and what it holds now.

    appended: entries taken. refused: entries not taken, because the queue or spool was full.
    committed: entries that the log has, those of earlier processes too. trusted: those of them
    under a head that is trusted. included: those that were found in its tree. batches, failures:
    tries that succeeded and that failed. may_be_duplicate: entries that may stand twice.
    set_aside: entries in the table set_aside, of earlier processes too.

    queued, queued_bytes: taken and not durable yet. spooled, spooled_bytes: durable and not
    delivered yet. oldest_age_s: for how long the oldest of these has waited; 0 when there is none.
    Bytes count 128 for each entry beside its own.

    reason: why the delivery waits or stopped, or the spool cannot be written; else empty.
    """

    state: DeliveryState
    reason: str
    appended: int
    refused: int
    committed: int
    trusted: int
    included: int
    batches: int
    failures: int
    may_be_duplicate: int
    set_aside: int
    queued: int
    queued_bytes: int
    spooled: int
    spooled_bytes: int
    oldest_age_s: float
