"""The settings of an Appender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ssl import SSLContext

    from tlog_clients.head_store import HeadStore


@dataclass(frozen=True, slots=True)
class AppenderOptions:
    """Bounds in bytes, pauses in seconds, and whom to tell; bytes count 128 more for each entry.

    Pauses between tries double from first_pause_s to max_pause_s, each shortened at random by up to
    a half. timeout_s: for one whole answer.

    ssl: whom to trust, and which certificate to show, as HttpFetcher.
    heads: where the trusted head is kept; by default in a file beside the spool.
    on_stopped: called with the reason when the delivery stops; from another thread.
    on_possible_duplicates: called with the indexes of entries that may stand twice.
    """

    max_queue_bytes: int = 16 * 1024 * 1024
    max_spool_bytes: int = 1024 * 1024 * 1024
    first_pause_s: float = 0.1
    max_pause_s: float = 30.0
    timeout_s: float = 60.0
    ssl: SSLContext | None = None
    heads: HeadStore | None = None
    on_stopped: Callable[[str], None] | None = None
    on_possible_duplicates: Callable[[Sequence[int]], None] | None = None
