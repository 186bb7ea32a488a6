"""Where a client keeps the heads it trusts: the contract, and one store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tlog_clients.log_trust import LogTrust

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tlog_clients.log_trust import LogKey
    from tlog_proofs import SignedCheckpoint


class HeadStore(Protocol):
    """Keeps, for each log key, the newest head that was verified and proved consistent.

    Of a log with several keys it is the largest head that is kept under one of them.
    """

    def read(self, log_key: LogKey | LogTrust) -> SignedCheckpoint | None:
        """Return the trusted head of the log, its signature verified again; None at first use.

        Raises:
            StateFileError: what is kept cannot be read or is damaged.
        """
        ...

    def replace(
        self, log_key: LogKey | LogTrust, expected: SignedCheckpoint | None, new: SignedCheckpoint
    ) -> bool:
        """Keep `new` if the head kept is still `expected`; False, and nothing changed, if not.

        Of several keys it is kept under each that signed it, but for those under which another head
        is kept, to which that key's users still hold the log.

        When it returns True, `new` is durable. Two processes that move one log's head at the same
        time so cannot lose the head that one of them had proved.

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
        self, log_key: LogKey | LogTrust, expected: SignedCheckpoint | None, new: SignedCheckpoint
    ) -> bool:
        """Keep `new` in place of `expected`, as HeadStore says."""
        if self.read(log_key) != expected:
            return False
        for vkey in vkeys_to_move(LogTrust.of(log_key), self._heads, expected, new):
            self._heads[vkey] = new
        return True


def largest(heads: Iterable[SignedCheckpoint | None]) -> SignedCheckpoint | None:
    """Return the head of the largest tree; None where there is none."""
    known = [head for head in heads if head is not None]
    return max(known, key=lambda head: head.size) if known else None


def vkeys_to_move(
    trust: LogTrust,
    heads: Mapping[str, SignedCheckpoint | None],
    expected: SignedCheckpoint | None,
    new: SignedCheckpoint,
) -> tuple[str, ...]:
    """Return the vkeys under which `new` is to be kept in place of `expected`."""
    if len(trust.keys) == 1:
        return trust.vkeys
    signing = trust.signing_vkeys(new.note)
    # Another head was not compared with the new one: it goes only where nothing else can.
    return tuple(v for v in signing if heads.get(v) in (None, expected)) or tuple(signing)
