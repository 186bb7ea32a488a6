"""Thinning the stored checkpoints: the older they are, the fewer of them are kept.

All of the last hour, one a minute of the last day, one an hour of the last 90 days, one a day for
ever: of each minute, hour or day of UTC the last one. Ages are counted from the newest checkpoint,
so that a clock that jumps while nothing is published removes nothing. The newest stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from itertools import pairwise

import structlog

from tlog.checkpoints import CheckpointStore, Published
from tlog.errors import StoreError
from tlog_proofs import MAX_SIZE

INTERVAL_S = 30.0
PAUSE_S = 0.05  # between two runs: the publisher writes to the same database
RUN_ROWS = 1000  # looked at in one run

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
# Of what is older than the first, one for each period of the second is kept.
_PERIODS = ((90 * _DAY_MS, _DAY_MS), (_DAY_MS, _HOUR_MS), (_HOUR_MS, _MINUTE_MS))

_logger = structlog.get_logger("tlog.thinning")


def superseded(rows: Sequence[Published], now_ms: int) -> Iterator[int]:
    """Yield the sizes of the rows that are not to be kept, of rows with ascending sizes.

    The last row is kept, whatever follows it. Where the clock went back between two rows, both are
    kept.
    """
    for row, following in pairwise(rows):
        period_ms = _period_ms(now_ms - row.published_ms)
        if period_ms and row.published_ms // period_ms == following.published_ms // period_ms:
            yield row.size


def _period_ms(age_ms: int) -> int:
    """For how long one row of an age stands; 0: each for itself."""
    return next((period for older_than, period in _PERIODS if age_ms > older_than), 0)


class Thinner:
    """Goes through the older checkpoints of one log, over and over, a bounded number each time."""

    def __init__(
        self,
        log_name: str,
        checkpoints: CheckpointStore,
        executor: Executor,
        run_rows: int = RUN_ROWS,
    ) -> None:
        """Thin in a thread of the executor, at least two rows in one run; `run` does the work."""
        self._log_name = log_name
        self._checkpoints = checkpoints
        self._executor = executor
        self._run_rows = run_rows
        self._position = -1  # the next run begins above this size; owned by the run under way

    async def run(self) -> None:
        """Thin until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                has_more = await loop.run_in_executor(self._executor, self.thin_some)
            except StoreError as error:
                # Too many rows harm nobody; whether the log can go on shows when it publishes.
                _logger.warning("thinning failed", log=self._log_name, reason=str(error))
                has_more = False
            await asyncio.sleep(PAUSE_S if has_more else INTERVAL_S)

    def thin_some(self) -> bool:
        """Look at the next rows, and remove those of them that are superseded. Blocks.

        A damaged row is neither removed nor a reason to remove another one. Returns whether there
        are more rows of an age at which some are removed; otherwise the next run begins anew.

        Raises:
            StoreError: the newest row is damaged, or the database failed.
        """
        newest = self._checkpoints.newest(MAX_SIZE)
        found = self._checkpoints.above(self._position, self._run_rows)
        rows = [row for _, row in found if row is not None]
        self._position = -1
        if newest is None:
            return False
        sizes = list(superseded(rows, newest.published_ms))
        if sizes:
            self._checkpoints.remove(sizes)
        is_full = len(found) == self._run_rows
        if not is_full or (rows and not _period_ms(newest.published_ms - rows[-1].published_ms)):
            return False
        # The last row of a full run is the first of the next: what follows decides about it.
        self._position = found[-2][0]
        return True
