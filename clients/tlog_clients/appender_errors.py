"""What can go wrong in an Appender and its spool.

TlogError
+-- AppenderError             an appender cannot do what was asked
|   +-- BufferFullError       no room for the entry, which was not taken
|   +-- AppenderClosedError   closed, or used in a process that was forked
|   +-- EntrySetAsideError    an entry that the log refused and that was set aside
+-- SpoolError                the spool's file cannot be used
    +-- SpoolLockedError      another appender has it open
    +-- SpoolWriteError       it cannot be written now; nothing that was durable is lost
    +-- SpoolDamagedError     its bytes are not those that were written
"""

from __future__ import annotations

from tlog_clients.printable import printable
from tlog_proofs import TlogError


class AppenderError(TlogError):
    """An appender cannot do what was asked."""


class BufferFullError(AppenderError):
    """There is no room for the entry, in memory or in the spool: it was not taken."""


class AppenderClosedError(AppenderError):
    """The appender is closed, or belongs to the process that this one was forked from."""


class EntrySetAsideError(AppenderError):
    """The log refused the entry, and the operator had it set aside; the spool still has it."""


class SpoolError(TlogError):
    """The spool cannot be used; the message names its file."""

    def __init__(self, path: str, detail: str) -> None:
        super().__init__(f"spool {printable(path)}: {detail}")
        self.path = path
        self.detail = detail

    def __reduce__(self) -> tuple[object, ...]:
        """A copy names the same file: the same error is raised to several callers."""
        return type(self), (self.path, self.detail)


class SpoolLockedError(SpoolError):
    """Another appender, of this process or another, has the spool open."""


class SpoolWriteError(SpoolError):
    """The spool cannot be written now, as on a full disk; what was durable stays so."""


class SpoolDamagedError(SpoolError):
    """The spool's bytes are not those that were written; it is never repaired on its own."""
