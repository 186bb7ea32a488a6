"""The publisher: the only one that signs, and only what is durable.

Newest commit record -> read the new leaves back and hash them again -> sign, verify the own
signature -> compare-and-set in the head store -> sign for receipts -> store the checkpoint with
that signature -> serve it, wake who waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import pairwise

from tlog.checkpoints import CheckpointStore, Published
from tlog.clock import Clock, steady_s
from tlog.errors import FatalLogError, StoreError
from tlog.heads import HeadStore
from tlog.measures import STEPS, LogMeasures
from tlog.store.base import Store
from tlog.store.commit_record import CommitRecord
from tlog.tree import RightEdge
from tlog_proofs import (
    TILE_WIDTH,
    Checkpoint,
    Ed25519Signer,
    TlogError,
    format_checkpoint,
    leaf_hashes,
    open_checkpoint,
    receipt_text,
    sign_note,
    sign_receipts,
)


def sign_head(signer: Ed25519Signer, size: int, root: bytes) -> bytes:
    """The signed note of a tree head, its signature verified.

    Raises:
        FatalLogError: the signature just made does not verify.
    """
    text = format_checkpoint(Checkpoint(origin=signer.name, size=size, root=root))
    note = sign_note(text, [signer])
    try:
        signed = open_checkpoint(note, signer.verifier)
    except TlogError as error:
        message = f"the log's own signature does not verify: {error}"
        raise FatalLogError(message) from error
    if (signed.size, signed.root) != (size, root):
        message = "the log's own checkpoint does not say what was signed"
        raise FatalLogError(message)
    return note


def sign_receipts_of(signer: Ed25519Signer, size: int, root: bytes) -> bytes:
    """The signature (64 bytes) of all COSE receipts under a tree head, verified.

    Raises:
        FatalLogError: the signature just made does not verify.
    """
    signature = sign_receipts(signer, size, root)
    try:
        signer.verifier.verify(receipt_text(signer.verifier, size, root), signature)
    except TlogError as error:
        message = f"the log's own signature does not verify: {error}"
        raise FatalLogError(message) from error
    return signature


@dataclass(slots=True)
class HeadWriter:
    """The blocking half of a publication; used by one thread at a time.

    edge: the tree as this writer hashed it, apart from the sequencer's. head: the note that the
    head store holds. halted: nothing more may be signed.
    """

    store: Store
    heads: HeadStore
    checkpoints: CheckpointStore
    signer: Ed25519Signer
    clock: Clock
    edge: RightEdge
    head: bytes | None
    halted: bool = False
    measures: LogMeasures = field(default_factory=LogMeasures)

    def publish(self, record: CommitRecord) -> Published:
        """Sign the tree of a commit record and store the checkpoint, durably.

        Raises:
            FatalLogError: what was read back is not what was committed, or nothing may be signed.
            StoreError: a database or the head store failed.
        """
        moments = [steady_s()]
        edge = self._read_back(record)
        moments.append(steady_s())
        if self.halted:
            message = "the publisher was halted"
            raise FatalLogError(message)
        note = sign_head(self.signer, record.size, edge.root)
        moments.append(steady_s())
        self.heads.compare_and_set(self.signer.name, self.head, note)
        self.head = note
        self.edge = edge
        moments.append(steady_s())
        # Of no other head than the one that is stored: this is a promise as much as the note is.
        signature = sign_receipts_of(self.signer, record.size, edge.root)
        moments.append(steady_s())
        now_ms = self.clock.wall_ms()
        published = Published(record.size, edge.root, note, now_ms, signature)
        self.checkpoints.add(published)
        moments.append(steady_s())
        for step, (start, end) in zip(STEPS, pairwise(moments), strict=True):
            self.measures.steps_s[step].observe(end - start)
        return published

    def _read_back(self, record: CommitRecord) -> RightEdge:
        """The tree of the record, hashed again from the stored entries and compared."""
        edge = self.edge
        while edge.size < record.size:
            # Never past the end of a tile: its stored bytes are compared as soon as it is full.
            end = min(record.size, (edge.size // TILE_WIDTH + 1) * TILE_WIDTH)
            leaves = self.store.read_leaves(edge.size, end)
            edge, tiles = edge.extend(leaf_hashes(leaves))
            for tile in tiles:
                if self.store.read_tile(tile.level, tile.index) != tile.data:
                    message = f"tile {tile.level}/{tile.index} is not that of its entries"
                    raise FatalLogError(message)
        if edge.root != record.root or edge.size != record.size:
            message = (
                f"the entries read back for size {record.size} have the root {edge.root.hex()}, "
                f"the commit record says {record.root.hex()}"
            )
            raise FatalLogError(message)
        return edge


class Publisher:
    """Publishes the newest commit: at once when somebody waits, otherwise every interval.

    All fields are owned by the event loop; the HeadWriter is used by one call at a time.
    """

    def __init__(
        self,
        *,
        writer: HeadWriter,
        published: Published,
        newest: CommitRecord,
        interval_s: float,
        executor: Executor,
        on_fatal: Callable[[str], None],
    ) -> None:
        """Start from what is published; `run` does the work until `stop`."""
        self._writer = writer
        self.published = published
        self._newest = newest
        self._interval_s = interval_s
        self._executor = executor
        self._on_fatal = on_fatal
        self._waiters: dict[asyncio.Future[Published | None], int] = {}
        self._wake = asyncio.Event()
        self._somebody_waits = asyncio.Event()
        self._released = False  # who waits is answered at once
        self._stopping = False  # nothing will be committed any more
        self._failed = False
        # When the first commit came that no publication covers, or that under way does not.
        self._behind_since: float | None = None

    def committed(self, record: CommitRecord) -> None:
        """A batch became durable."""
        self._newest = record
        if self._behind_since is None:
            self._behind_since = steady_s()
        self._wake.set()

    async def wait(self, size: int, timeout_s: float) -> Published | None:
        """The first published checkpoint that covers size; None after timeout_s or at shut-down."""
        if self.published.size >= size:
            return self.published
        if self._released or self._failed:
            return None
        waiter: asyncio.Future[Published | None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = size
        self._somebody_waits.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError:
            return None
        finally:
            self._waiters.pop(waiter, None)

    async def run(self) -> None:
        """Publish until `stop` was called and everything committed is published, or a failure."""
        while not self._failed:
            if self._newest.size > self.published.size:
                await self._publish()
                await self._pause()
            elif self._stopping:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def release_waiters(self) -> None:
        """Shut-down has begun: who waits is told that nothing is known yet.

        `run` goes on: the queue is still to be committed, and then published.
        """
        self._released = True
        self._release()

    def stop(self) -> None:
        """No commit will follow: `run` returns after the last publication."""
        self._released = True
        self._stopping = True
        self._wake.set()
        self._somebody_waits.set()

    def fail(self) -> None:
        """Publish nothing more; who waits is told that nothing is known."""
        self._failed = True
        self._release()
        self._wake.set()
        self._somebody_waits.set()

    async def _publish(self) -> None:
        record = self._newest
        behind_since, self._behind_since = self._behind_since, None
        loop = asyncio.get_running_loop()
        try:
            published = await loop.run_in_executor(self._executor, self._writer.publish, record)
            self._serve(published)
            if behind_since is not None:
                self._writer.measures.lag_s.observe(steady_s() - behind_since)
            await loop.run_in_executor(self._executor, self._writer.checkpoints.settle)
        except (StoreError, FatalLogError) as error:
            self._fail(f"publication failed ({error}): restart the server")
        except BaseException:
            self._fail("a publication was interrupted: restart the server")
            raise

    def _serve(self, published: Published) -> None:
        """Let a checkpoint be seen, and wake who waits for it."""
        self.published = published
        for waiter, size in list(self._waiters.items()):
            if size <= published.size and not waiter.done():
                waiter.set_result(published)
        # Who began to wait meanwhile, for more than this, is served by the next publication.
        if not any(size > published.size for size in self._waiters.values()):
            self._somebody_waits.clear()

    async def _pause(self) -> None:
        """Wait for the interval to pass, or less when somebody waits or the end has come."""
        if self._stopping:
            return
        try:
            async with asyncio.timeout(self._interval_s):
                await self._somebody_waits.wait()
        except TimeoutError:
            return

    def _fail(self, reason: str) -> None:
        self.fail()
        self._on_fatal(reason)

    def _release(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
