"""How far an audit has come: what is kept of it, so that another run can go on from there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tlog_clients.errors import StateFileError
from tlog_proofs import TILE_WIDTH

if TYPE_CHECKING:
    from collections.abc import Collection

    from tlog_clients.audit_run import AuditRun
    from tlog_clients.log_trust import LogKey, LogTrust
    from tlog_proofs import SignedCheckpoint

_MAX_BUNDLES_BETWEEN = 256
_SAVES_PER_RUN = 64


@dataclass(frozen=True, slots=True)
class AuditProgress:
    """The entries [0, size) were compared, up to a full tile, in the tree of `head`.

    `edge` is the right edge of the tree rebuilt so far: for each level from 1 on, the hashes of its
    last tile. `begun_s` is when the first run began, POSIX seconds. `kind` and `warnings` are what
    its genesis told.
    """

    head: SignedCheckpoint
    size: int
    edge: tuple[bytes, ...]
    begun_s: int
    kind: str | None
    warnings: tuple[str, ...]


class ProgressStore(Protocol):
    """Keeps, for each log key, how far an unfinished audit has come."""

    def read(self, log_key: LogKey | LogTrust) -> AuditProgress | None:
        """Return what was kept, its head's signature verified again; None when there is nothing.

        Raises:
            StateFileError: it is damaged or cannot be read.
        """
        ...

    def write(
        self,
        log_key: LogKey | LogTrust,
        progress: AuditProgress,
        known: Collection[SignedCheckpoint],
    ) -> None:
        """Keep progress in place of what was kept, if that worked towards one of the known heads.

        Perhaps nothing else knows another head, which another run left meanwhile.

        Raises:
            StateFileError: it could not be kept, or another head is.
        """
        ...

    def drop(self, log_key: LogKey | LogTrust, known: Collection[SignedCheckpoint]) -> None:
        """Keep nothing of the log any more, unless it worked towards another head than these.

        Raises:
            StateFileError: what was kept cannot be removed.
        """
        ...


class ProgressKeeper:
    """Keeps the progress of one audit; what goes wrong with that is worth a warning, no more."""

    def __init__(
        self, log_key: LogKey | LogTrust, store: ProgressStore | None, begun_s: int
    ) -> None:
        """Begin at begun_s; without a store nothing is kept."""
        self._log_key = log_key
        self._store = store
        self._silent_below = 0
        self._known: set[SignedCheckpoint] = set()
        self.begun_s = begun_s
        self.warnings: list[str] = []

    async def read(self) -> AuditProgress | None:
        """Return what an interrupted run left."""
        if self._store is None:
            return None
        try:
            progress = await asyncio.to_thread(self._store.read, self._log_key)
        except StateFileError as error:
            self.warnings.append(f"{error}: everything was compared again")
            return None
        if progress is not None:
            self._known.add(progress.head)
        return progress

    def begin_again(
        self, before: AuditProgress | None, newest: SignedCheckpoint, *, asked: bool
    ) -> None:
        """Take note that a run begins with the first entry, whether or not that was asked for."""
        if before is None:
            return
        if not asked:
            self.warnings.append(
                "what an interrupted run left is of no use: all was compared again"
            )
        if before.head.size < newest.size:
            # Perhaps nothing but the store knows that head: it stays until the tree has passed it.
            self._silent_below = before.head.size

    async def save(self, run: AuditRun, newest: SignedCheckpoint) -> None:
        """Keep how far the run has come, after a full bundle now and then.

        Often enough to lose 1/64 of the work, and with at most 65,536 entries, a few seconds of
        work, in between.
        """
        bundles, rest = divmod(run.size, TILE_WIDTH)
        between = min(newest.size // TILE_WIDTH // _SAVES_PER_RUN, _MAX_BUNDLES_BETWEEN)
        if (
            self._store is None
            or rest
            or bundles % max(between, 1)
            or run.size < self._silent_below
        ):
            return
        self._known.add(newest)
        progress = AuditProgress(
            newest, run.size, run.edge(), self.begun_s, run.kind, tuple(run.warnings)
        )
        try:
            await asyncio.to_thread(self._store.write, self._log_key, progress, self._known)
        except StateFileError as error:
            self.warnings.append(f"{error}: an interrupted audit begins again")
            self._store = None

    async def drop(self) -> None:
        """Forget it all: the audit is done."""
        if self._store is None:
            return
        try:
            await asyncio.to_thread(self._store.drop, self._log_key, self._known)
        except StateFileError as error:
            self.warnings.append(str(error))
