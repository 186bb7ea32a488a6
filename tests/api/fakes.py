"""A host in memory with the interface of tlog.host.Host, and knobs for what goes wrong.

Trees are hashed by RFC 6962's recursion, written down here once more: an oracle of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import cast

from tlog.budget import QueueBudget, Reservation
from tlog.checkpoints import Published
from tlog.config import Config
from tlog.control import LogRow
from tlog.creation import NewLog
from tlog.errors import EmptyBatchError, NotFoundError, NotPublishedError, OutOfRangeError
from tlog.facts import LogFacts
from tlog.host import Host
from tlog.idempotency import Placed
from tlog.ids import EntryId
from tlog.measures import DatabaseFacts, HttpMeasures, LogMeasures, ServerMeasures
from tlog.tokens import DEFAULT_LIFETIME_S, Scope, TokenRow, TokenTable, hash_token, make_token
from tlog_proofs import (
    Checkpoint,
    Ed25519Signer,
    EntryBundle,
    Tile,
    format_checkpoint,
    format_entry_bundle,
    sign_note,
    sign_receipts,
)

NOW_S = 1_700_000_000
GENESIS = b"genesis"


def leaf(entry: bytes) -> bytes:
    """RFC 6962 section 2.1: the hash of a leaf."""
    return sha256(b"\0" + entry).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1: MTH, over leaf hashes."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\1" + root(hashes[:k]) + root(hashes[k:])).digest()


def path(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """RFC 6962 section 2.1.1: PATH."""
    if len(hashes) == 1:
        return []
    k = 1 << (len(hashes) - 1).bit_length() - 1
    if index < k:
        return [*path(index, hashes[:k]), root(hashes[k:])]
    return [*path(index - k, hashes[k:]), root(hashes[:k])]


def subproof(old: int, hashes: Sequence[bytes], *, known: bool = True) -> list[bytes]:
    """RFC 6962 section 2.1.2: SUBPROOF."""
    if old == len(hashes):
        return [] if known else [root(hashes)]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= k:
        return [*subproof(old, hashes[:k], known=known), root(hashes[k:])]
    return [*subproof(old - k, hashes[k:], known=False), root(hashes[:k])]


class FakeClock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def wall_ms(self) -> int:
        return self.now_s * 1000

    def boot_s(self) -> float:
        return float(self.now_s)


class FakeLog:
    """Knobs: `refusal` comes before a body is read, `error` after it.

    Appends wait for `gate`; `publishing` may be off; `budget` is what may be queued.
    """

    def __init__(self, name: str, *, public: bool, kind: str = "opaque/1") -> None:
        self.signer = Ed25519Signer(f"example.com/{name}", sha256(name.encode()).digest())
        vkey = self.signer.verifier.vkey
        self.row = LogRow(name, self.signer.name, kind, public, vkey, NOW_S)
        self.measures = LogMeasures()
        self.queue_age_s = 0.0
        self.entries = [GENESIS]
        self.notes: dict[int, bytes] = {}
        self.published_ms = NOW_S * 1000
        self.times: list[tuple[int, bytes]] = []  # of publications, with their notes
        self.signs_receipts = True
        self.refusal: Exception | None = None
        self.error: Exception | None = None
        self.budget = QueueBudget(64 * 1024 * 1024)
        self.reserved_at_append = -1
        self.read_error: Exception | None = None
        self.databases_error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.committed = asyncio.Event()
        self.publishing = True
        self.released = asyncio.Event()
        self.state = "ready"
        self.reason: str | None = None
        self.clock_confirmed = False
        self.publish()

    async def read_database_facts(self) -> dict[str, DatabaseFacts]:
        if self.databases_error is not None:
            raise self.databases_error
        return {"log": DatabaseFacts((1, 2, 0, 0, 0, 0, 0), 4096, 5, 6 << 20, 7 << 20)}

    @property
    def committed_size(self) -> int:
        return len(self.entries)

    @property
    def hashes(self) -> list[bytes]:
        return [leaf(entry) for entry in self.entries]

    def publish(self) -> None:
        size, top = len(self.entries), root(self.hashes)
        text = format_checkpoint(Checkpoint(origin=self.row.origin, size=size, root=top))
        note = sign_note(text, [self.signer])
        self.notes[size] = note
        signature = sign_receipts(self.signer, size, top) if self.signs_receipts else None
        self.published = Published(size, top, note, self.published_ms, signature)
        self.times.append((self.published_ms, note))

    @property
    def facts(self) -> LogFacts:
        return LogFacts(
            name=self.row.name,
            origin=self.row.origin,
            kind=self.row.kind,
            public=self.row.public,
            vkey=self.row.vkey,
            size=self.published.size,
            root=self.published.root,
            state=self.state,
            reason=self.reason,
        )

    async def read_facts(self) -> LogFacts:
        return self.facts

    async def read_published(self) -> Published:
        return self.published

    async def check_accepting(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def reserve(self) -> Reservation:
        return Reservation(self.budget)

    async def append(self, entries: Sequence[bytes], ids: Sequence[EntryId | None] = ()) -> Placed:
        assert not any(ids), "ids are tested against a real log"
        self.reserved_at_append = self.budget.used_bytes
        if self.error is not None:
            raise self.error
        if not entries:
            raise EmptyBatchError("no entry")
        return await asyncio.shield(asyncio.create_task(self._commit(list(entries))))

    async def _commit(self, entries: list[bytes]) -> Placed:
        self.entered.set()
        await self.gate.wait()
        first = len(self.entries)
        self.entries += entries
        self.committed.set()
        if self.publishing:
            self.publish()
        indexes = range(first, len(self.entries))
        return Placed(indexes, tuple(leaf(entry) for entry in entries), first)

    async def wait_published(self, size: int, timeout_s: float) -> Published | None:
        if self.published.size >= size:
            return self.published
        try:
            async with asyncio.timeout(timeout_s):
                await self.released.wait()
        except TimeoutError:
            pass
        return None

    async def read_tile(self, tile: Tile) -> bytes:
        if tile.level > 0 or tile.end > self.published.size:
            raise NotPublishedError("beyond")
        return b"".join(self.hashes[tile.start : tile.end])

    async def read_bundle(self, bundle: EntryBundle) -> bytes:
        if bundle.end > self.published.size:
            raise NotPublishedError("beyond")
        return format_entry_bundle(self.entries[bundle.start : bundle.end])

    async def read_entry(self, index: int) -> bytes:
        if self.read_error is not None:
            raise self.read_error
        if index >= self.published.size:
            raise NotPublishedError("beyond")
        return self.entries[index]

    async def inclusion(self, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
        if index >= size:
            raise OutOfRangeError("index >= size")
        if size > self.published.size:
            raise NotPublishedError("beyond")
        return self.hashes[index], tuple(path(index, self.hashes[:size]))

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        if not 0 < old <= new:
            raise OutOfRangeError("old and new")
        if new > self.published.size:
            raise NotPublishedError("beyond")
        return tuple(subproof(old, self.hashes[:new]))

    async def find_leaf(self, leaf_hash: bytes) -> int:
        if leaf_hash not in self.hashes[: self.published.size]:
            raise NotFoundError("no such leaf")
        return self.hashes.index(leaf_hash)

    async def checkpoint_at(self, size: int) -> bytes:
        if size not in self.notes:
            raise NotFoundError("no such checkpoint")
        return self.notes[size]

    async def checkpoint_not_after(self, time_ms: int) -> bytes:
        for published_ms, note in reversed(self.times):
            if published_ms <= time_ms:
                return note
        raise NotFoundError("nothing by that time")


class FakeHost:
    """Logs `public`, `private`, `events` (an event log) and whatever is created."""

    def __init__(self, data_dir: Path) -> None:
        self.config = Config(data_dir=data_dir, wait_default_s=0.05)
        self.clock = FakeClock()
        self.measures = ServerMeasures()
        self.queue_bytes = 0
        self.disk_free_bytes: int | None = 1 << 30
        self.accepting = True
        self.logs: dict[str, FakeLog] = {
            "public": FakeLog("public", public=True),
            "private": FakeLog("private", public=False),
            "events": FakeLog("events", public=False, kind="event/1"),
        }
        self.tokens = TokenTable([], self.clock)
        self.creator: str | None = None
        self.on_new_log: Callable[[], None] | None = None

    @property
    def http_measures(self) -> HttpMeasures:
        return self.measures.http

    async def is_accepting(self) -> bool:
        return self.accepting

    def as_host(self) -> Host:
        return cast("Host", self)

    def log(self, name: str) -> FakeLog:
        return self.logs[name]

    def token(self, logs: Sequence[str], *scopes: Scope, lifetime_s: int = 3600) -> str:
        token_id, text = make_token()
        self.tokens.add(
            TokenRow(
                id=token_id,
                token_hash=hash_token(text),
                scopes=frozenset(scopes),
                logs=frozenset(logs),
                created=NOW_S,
                expires=NOW_S + lifetime_s,
            )
        )
        return text

    async def create_log(
        self, new: NewLog, creator: str | None = None, check: Callable[[], None] = lambda: None
    ) -> LogFacts:
        self.creator = creator
        self.logs[new.name] = FakeLog(new.name, public=new.public, kind=new.kind)
        if self.on_new_log is not None:
            self.on_new_log()
        return self.logs[new.name].facts

    async def create_token(
        self, logs: Sequence[str], scopes: Sequence[Scope], lifetime_s: int = DEFAULT_LIFETIME_S
    ) -> str:
        return self.token(logs, *scopes, lifetime_s=lifetime_s)

    async def create_certificate(
        self,
        key_hash: bytes,
        logs: Sequence[str],
        scopes: Sequence[Scope],
        lifetime_s: int = DEFAULT_LIFETIME_S,
    ) -> str:
        row_id, _ = make_token()
        self.tokens.add(
            TokenRow(
                id=row_id,
                token_hash=key_hash,
                scopes=frozenset(scopes),
                logs=frozenset(logs),
                created=NOW_S,
                expires=NOW_S + lifetime_s,
                certificate=True,
            )
        )
        return row_id

    async def revoke_token(self, token_id: str) -> None:
        self.tokens.add(self.tokens.revoked(token_id))

    async def confirm_clock(self, name: str) -> None:
        self.logs[name].clock_confirmed = True
