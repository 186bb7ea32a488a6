"""AsyncLog: all of one log in one object, for programs that run an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Self

from tlog_clients.entry_batches import join_results, note_before, split_batches
from tlog_clients.entry_proof import EntryProof, verify_entry
from tlog_clients.entry_range import EntryRange, Stretch
from tlog_clients.errors import BeyondSizeError
from tlog_clients.fetch import DEFAULT_TIMEOUT_S, HttpFetcher
from tlog_clients.log_client import AppendResult, BatchResult, LogClient
from tlog_clients.log_places import CachePlace, StatePlace, open_cache, open_state
from tlog_clients.log_trust import LogTrust, TrustSource
from tlog_clients.log_url import is_tlog_url
from tlog_clients.patience import Patience, Stop
from tlog_clients.retry import DEFAULT_RETRY_FOR_S, Retries, RetryPolicy
from tlog_clients.submission import EntryTooLargeError
from tlog_proofs import TlogProof

if TYPE_CHECKING:
    from ssl import SSLContext
    from types import TracebackType

    from tlog_proofs import SignedCheckpoint

DEFAULT_POLL_S = 1.0


class AsyncLog:
    """Appends to, reads and follows one log, and verifies every answer: an async context manager.

    The newest head that was verified is remembered, and each later one proved to continue it.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, all but trust with a default
        self,
        url: str,
        *,
        trust: TrustSource | LogTrust,
        origin: str | None = None,
        token: str | None = None,
        state: StatePlace = True,
        cache: CachePlace = True,
        retry_for_s: float = DEFAULT_RETRY_FOR_S,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        ssl: SSLContext | None = None,
    ) -> None:
        """Check the settings; nothing is asked of the server before the context is entered.

        Args:
            url: the log's address, http(s)://HOST/logs/NAME or another project's.
            trust: the log's vkey, several of them, a policy, or the pathlib.Path of a policy file.
            origin: the log's, where a policy has several.
            token: for a private log, or one that is appended to.
            state: the file of the trusted heads, or a HeadStore; True: the one of the command line,
                $XDG_STATE_HOME/tlog/heads.json; False: heads are forgotten with this object.
            cache: the directory of verified tiles, or a TileCache; True: $XDG_CACHE_HOME/tlog;
                False: none.
            retry_for_s: how long to try again what was lost or put off; 0 is never.
            timeout_s: seconds for one whole answer.
            ssl: for authorities or a client's certificate of your own; as HttpFetcher.

        Raises:
            MalformedUrlError: url is no log's address.
            MalformedError: trust or token is none; UnknownKeyError: the policy has no such log.
            StateFileError: there is no home directory for the state file.
            OSError: the policy file cannot be read.
        """
        self._trust = LogTrust.of(trust, origin=origin)
        retries = Retries(RetryPolicy(retry_for_s))
        self._fetcher = HttpFetcher(url, token=token, timeout_s=timeout_s, retries=retries, ssl=ssl)
        self._cache = open_cache(cache)
        heads = open_state(state)
        self._client = LogClient(self._fetcher, self._trust, heads, retries, self._cache)

    @property
    def url(self) -> str:
        """The log's address, without trailing slash."""
        return self._fetcher.url

    @property
    def trust(self) -> LogTrust:
        """Whom this object believes about the log."""
        return self._trust

    async def __aenter__(self) -> Self:
        """Open the session."""
        await self._fetcher.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self._fetcher.__aexit__(exc_type, exc, traceback)

    async def append(
        self,
        entry: bytes,
        *,
        id: str | None = None,  # noqa: A002 - the word of the interface
    ) -> AppendResult:
        """Append one entry, wait until it is published, and verify that it stands there.

        Args:
            entry: 0 to 65,535 bytes.
            id: one of your own, of 1 to 255 printable ASCII characters, where the same entry may be
                sent again by a later run: with the same token it is appended once.

        Raises: as LogClient.append.
        """
        return await self._client.append(entry, entry_id=id)

    async def append_many(
        self, entries: Iterable[bytes], *, ids: Iterable[str] | None = None
    ) -> BatchResult:
        """Append entries in order, as many requests as it takes, each of them all or none.

        Raises:
            EntryTooLargeError: there is none, or one is too large.
            ValueError: not as many ids as entries; nothing was sent where both have a length.
            TlogError: as LogClient.append_batch.

        A note (PEP 678) of any error, also one of the iterables, says which entries stand.
        """
        joined: BatchResult | None = None
        try:
            for batch, batch_ids in split_batches(entries, ids):
                result = await self.append_batch(batch, batch_ids, is_fresh=ids is None)
                joined = join_results(joined, result)
        except Exception as error:
            note_before(error, joined)
            raise
        if joined is None:
            raise EntryTooLargeError("expected at least one entry, got none")
        return joined

    async def append_batch(
        self, entries: list[bytes], ids: list[str], *, is_fresh: bool
    ) -> BatchResult:
        """Append one batch; as LogClient.append_batch."""
        return await self._client.append_batch(entries, ids=ids, is_fresh=is_fresh)

    async def read(self, index: int) -> bytes:
        """Return the bytes of an entry, as they stand in the signed tree.

        Raises:
            BeyondSizeError: the log has no such entry.
            TlogError: as LogReader.get.
        """
        return await self._client.get(index)

    async def read_range(self, start: int, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the entries [start, end), up to the newest without `end`; each is verified.

        Raises:
            BeyondSizeError: start or end lies beyond the newest verified size.
            TlogError: as LogReader.get.
        """
        async with aclosing(self.stretches(start, end)) as stretches:
            async for _, entries in stretches:
                for entry in entries:
                    yield entry

    async def stretches(self, start: int, end: int | None = None) -> AsyncGenerator[Stretch, None]:
        """Yield the entries [start, end) as (index, entries), at most 256 each; as read_range."""
        head = await self.head()
        stop = head.size if end is None else end
        for index in (start, stop):
            if not 0 <= index <= head.size:
                raise BeyondSizeError(index, head.size)
        async with aclosing(self._range(head).stretches(start, stop)) as stretches:
            async for stretch in stretches:
                yield stretch

    async def prove(self, index: int) -> EntryProof:
        """Return a proof that the entry at index stands in the log, to be kept.

        Raises:
            BeyondSizeError: the log has no such entry.
            TlogError: as LogReader.prove.
        """
        return EntryProof(await self._client.prove(index))

    def verify(self, proof: EntryProof | TlogProof | bytes, entry: bytes) -> SignedCheckpoint:
        """Verify offline that the log has the entry at the proof's index; as verify_entry."""
        return verify_entry(proof, entry, self._trust)

    async def head(self) -> SignedCheckpoint:
        """Return the newest verified head, consistent with every head seen before.

        Raises: as LogReader.check_head.
        """
        return await self._client.head()

    async def follow(
        self,
        start: int = 0,
        *,
        poll_s: float = DEFAULT_POLL_S,
        timeout_s: float | None = None,
        stop: Stop | None = None,
    ) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield (index, entry) of everything published from `start` on, and wait for more.

        Each entry is verified under a head that continues every one before. To go on later, start
        at the index after the last one that was dealt with.

        Args:
            start: the first index, which may lie beyond the newest entry.
            poll_s: seconds between two questions for a newer head.
            timeout_s: ends when nothing new came for so long, and a second later where the server
                does not answer; 0: at the newest entry. None: never.
            stop: asked before each entry, and five times a second while there is none; ends when it
                is true.

        Raises:
            ValueError: start is negative.
            TlogError: as LogReader.get; also FetchError, when retry_for_s was not enough.
        """
        following = self.follow_stretches(start, poll_s=poll_s, timeout_s=timeout_s, stop=stop)
        async with aclosing(following) as stretches:
            async for stretch in stretches:
                for index, entry in numbered(stretch):
                    if stop is not None and stop():
                        return
                    yield index, entry

    async def follow_stretches(
        self, start: int, *, poll_s: float, timeout_s: float | None, stop: Stop | None
    ) -> AsyncGenerator[Stretch, None]:
        """Yield what follow yields as (index, entries), up to 256 at a time."""
        if start < 0:
            raise ValueError(f"expected an index from 0 on, got {start}")
        position, patience = start, Patience(stop, timeout_s)
        while not patience.is_told_to_end():
            patience.ask()
            head = await patience.unless_over(self.head())
            if head is None:
                return
            if head.size > position:
                patience.note_news()
                async with aclosing(self._range(head).stretches(position, head.size)) as stretches:
                    while (part := await patience.unless_over(_next(stretches))) is not None:
                        yield part
                        patience.note_news()
                        position += len(part[1])
            if position < head.size or patience.is_without_news():
                return
            await patience.pause(poll_s)

    def _range(self, head: SignedCheckpoint) -> EntryRange:
        has_entries = is_tlog_url(self.url)
        return EntryRange(self._fetcher, head, self._cache, has_entries=has_entries)


async def _next(stretches: AsyncGenerator[Stretch, None]) -> Stretch | None:
    return await anext(stretches, None)


def numbered(stretch: Stretch) -> Iterator[tuple[int, bytes]]:
    """Yield (index, entry) of a stretch."""
    first, entries = stretch
    return enumerate(entries, first)
