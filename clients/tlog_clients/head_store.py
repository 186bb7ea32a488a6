"""Where a client keeps the heads it trusts: the contract, and one store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tlog_proofs import Verifier

if TYPE_CHECKING:
    from tlog_proofs import SignedCheckpoint


class LogKey(Verifier, Protocol):
    """The public key of a log, with its text form."""

    @property
    def vkey(self) -> str:
        """The key as text, `name+id+base64` (C2SP signed-note)."""
        ...


class HeadStore(Protocol):
    """Keeps, for each log key, the newest head that was verified and proved consistent."""

    def read(self, log_key: LogKey) -> SignedCheckpoint | None:
        """Return the trusted head of the log, its signature verified again; None at first use.

        Raises:
            StateFileError: what is kept cannot be read or is damaged.
        """
        ...

    def replace(
        self, log_key: LogKey, expected: SignedCheckpoint | None, new: SignedCheckpoint
    ) -> bool:
        """Keep `new` if the head kept is still `expected`; False, and nothing changed, if not.

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

    def read(self, log_key: LogKey) -> SignedCheckpoint | None:
        """Return the trusted head, as HeadStore says."""
        return self._heads.get(log_key.vkey)

    def replace(
        self, log_key: LogKey, expected: SignedCheckpoint | None, new: SignedCheckpoint
    ) -> bool:
        """Keep `new` in place of `expected`, as HeadStore says."""
        if self._heads.get(log_key.vkey) != expected:
            return False
        self._heads[log_key.vkey] = new
        return True
