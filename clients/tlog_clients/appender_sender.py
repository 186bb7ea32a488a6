"""How an Appender's batches are sent: by a LogClient where there is a key, or without verifying."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from tlog_clients.errors import LogMisbehaviourError
from tlog_clients.log_client import LogClient
from tlog_clients.retry import Retries, RetryPolicy
from tlog_clients.submission import SubmittedBatch, submit_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tlog_clients.fetch import Poster
    from tlog_clients.head_store import HeadStore
    from tlog_clients.log_client import BatchResult, LogAccess
    from tlog_clients.log_trust import LogTrust


class Sender(Protocol):
    """Sends one batch once; trying again is the delivery's part."""

    async def send(
        self, entries: Sequence[bytes], ids: Sequence[str], *, is_fresh: bool
    ) -> BatchResult | SubmittedBatch:
        """Append a batch, all or none.

        Args:
            entries: as submit_batch.
            ids: one for each entry.
            is_fresh: whether none of them was ever sent before.

        Raises:
            TlogError: as LogClient.append_batch, or submit_batch.
        """
        ...


class VerifyingSender:
    """Sends by a LogClient, which verifies the answer."""

    def __init__(self, access: LogAccess, trust: LogTrust, heads: HeadStore) -> None:
        """Bind the log, whom to believe about it, and where the trusted head is kept."""
        self._client = LogClient(access, trust, heads, Retries(RetryPolicy(0)))
        self._trust = trust
        self._heads = heads
        self._fresh_ids: frozenset[str] = frozenset()
        self._known_size = 0

    async def send(
        self, entries: Sequence[bytes], ids: Sequence[str], *, is_fresh: bool
    ) -> BatchResult:
        """Append a batch, as Sender says.

        What this process sent first must stand behind the tree that was known then, in every answer
        to come: a log could give entries of equal bytes, and add none.
        """
        if is_fresh:
            known = await asyncio.to_thread(self._heads.read, self._trust)
            self._fresh_ids = frozenset(ids)
            self._known_size = 0 if known is None else known.size
        sent = await self._client.append_batch(entries, ids=ids, is_fresh=is_fresh)
        if min(sent.indexes) < self._known_size and not self._fresh_ids.isdisjoint(ids):
            raise LogMisbehaviourError(
                f"answer to append: a new entry is said to stand at index {min(sent.indexes)}, "
                f"but the tree had size {self._known_size} before it was sent first"
            )
        return sent


class PlainSender:
    """Sends, and compares what was committed with the bytes sent; signatures are not verified."""

    def __init__(self, poster: Poster) -> None:
        """Bind the log."""
        self._poster = poster
        self._retries = Retries(RetryPolicy(0))

    async def send(
        self,
        entries: Sequence[bytes],
        ids: Sequence[str],
        *,
        is_fresh: bool,  # noqa: ARG002 - without a head nobody can tell
    ) -> SubmittedBatch:
        """Append a batch, as Sender says."""
        return await submit_batch(self._poster, entries, ids=ids, retries=self._retries)


def make_sender(access: LogAccess, trust: LogTrust | None, heads: HeadStore) -> Sender:
    """Return the sender for whom to believe; without anybody one that verifies no signature."""
    return PlainSender(access) if trust is None else VerifyingSender(access, trust, heads)


def token_mark(token: str | None) -> str:
    """Return what tells two tokens apart, and nothing about them.

    A log remembers ids for each token.
    """
    return "" if token is None else sha256(b"tlog/spool/" + token.encode()).hexdigest()[:16]
