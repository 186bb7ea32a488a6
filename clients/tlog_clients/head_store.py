"""Where a client keeps the heads it trusts: the contract, and one store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tlog_clients.log_trust import LogTrust

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tlog_clients.log_trust import LogKey
    from tlog_proofs import SignedCheckpoint


class HeadStore(Protocol):
    """Keeps, for each log key, the newest head that was verified and proved consistent.

    A log with several keys has one head for each: the largest is what is trusted, and every one of
    them is compared with what is served.
    """

    def read(self, log_key: LogKey | LogTrust) -> SignedCheckpoint | None:
        """Return the trusted head of the log, its signature verified again; None at first use.

        Of several keys, the largest.

        Raises:
            StateFileError: what is kept cannot be read or is damaged.
        """
        ...

    def replace(
        self, log_key: LogKey, expected: SignedCheckpoint | None, new: SignedCheckpoint
    ) -> bool:
        """Keep `new`, signed by this key, if the head kept is still `expected`; False if not.

        False says that nothing changed; when it returns True, `new` is durable. Two processes that
        move one log's head at the same time so cannot lose the head that one of them had proved.

        Raises:
            StateFileError: it could not be kept.
        """
        ...


class MemoryHeads:
    """A HeadStore that forgets with the process."""

    def __init__(self) -> None:
        """Begin without any head."""
        self._heads: dict[str, SignedCheckpoint] = {}

    def read(self, log_key: LogKey | LogTrust) -> SignedCheckpoint | None:
        """Return the trusted head, as HeadStore says."""
        return largest(self._heads.get(vkey) for vkey in LogTrust.of(log_key).vkeys)

    def replace(
        self, log_key: LogKey, expected: SignedCheckpoint | None, new: SignedCheckpoint
    ) -> bool:
        """Keep `new` in place of `expected`, as HeadStore says."""
        if self._heads.get(log_key.vkey) != expected:
            return False
        self._heads[log_key.vkey] = new
        return True


def largest(heads: Iterable[SignedCheckpoint | None]) -> SignedCheckpoint | None:
    """Return the head of the largest tree; None where there is none."""
    known = [head for head in heads if head is not None]
    return max(known, key=lambda head: head.size) if known else None
