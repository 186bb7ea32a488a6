"""What the API needs of the logs behind it, wherever they are: in this process or in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tlog.budget import Reservation
from tlog.checkpoints import Published
from tlog.config import Config
from tlog.control import LogRow
from tlog.facts import LogFacts
from tlog.idempotency import Placed
from tlog.ids import EntryId
from tlog.measures import HttpMeasures
from tlog.tokens import TokenTable
from tlog_proofs import EntryBundle, Tile


class LogBackend(Protocol):
    """One log. Reads answer up to the published size, and raise as tlog.log.Log does."""

    @property
    def row(self) -> LogRow:
        """What never changes."""

    def reserve(self) -> Reservation:
        """A part of the queue's budget for entries that are still arriving."""

    async def check_accepting(self) -> None:
        """Raise the SubmissionError that an append of raw entries would get now, if any."""

    async def append(self, entries: Sequence[bytes], ids: Sequence[EntryId | None] = ()) -> Placed:
        """Make raw entries durable, all or none; those whose ids are known stand."""

    async def wait_published(self, size: int, timeout_s: float) -> Published | None:
        """The first checkpoint served that covers size; None on time-out or at shut-down."""

    async def read_facts(self) -> LogFacts:
        """The log as it stands."""

    async def read_published(self) -> Published:
        """The checkpoint that is served; UnreadableError when none can be read."""

    async def checkpoint_at(self, size: int) -> bytes:
        """The note of the stored published checkpoint of exactly that size, or NotFoundError."""

    async def checkpoint_not_after(self, time_ms: int) -> bytes:
        """The note of the newest stored checkpoint published by a POSIX time, or NotFoundError."""

    async def read_tile(self, tile: Tile) -> bytes:
        """The tile's bytes."""

    async def read_bundle(self, bundle: EntryBundle) -> bytes:
        """The bundle's bytes."""

    async def read_entry(self, index: int) -> bytes:
        """The entry's bytes."""

    async def inclusion(self, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
        """Leaf hash and inclusion proof (32-byte hashes) in the tree of size."""

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The consistency proof between two sizes."""

    async def find_leaf(self, leaf_hash: bytes) -> int:
        """An index at which the leaf hash stands; NotFoundError when there is none."""


class Backend(Protocol):
    """All logs of a server, and who may do what."""

    @property
    def config(self) -> Config:
        """The server's bounds."""

    @property
    def logs(self) -> Mapping[str, LogBackend]:
        """The logs by name."""

    @property
    def tokens(self) -> TokenTable:
        """Every token; one that was revoked is known to be at once."""

    @property
    def http_measures(self) -> HttpMeasures:
        """What is counted of requests."""

    async def is_accepting(self) -> bool:
        """Whether start-up is over, shut-down has not begun, and every log takes appends."""
