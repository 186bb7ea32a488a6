"""`tlog append`: entries into a log, each answer verified."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tlog.cli.entry_lines import read_batches
from tlog.cli.options import (
    json_option,
    open_fetcher,
    open_heads,
    state_option,
    token_option,
    url_option,
    vkey_option,
)
from tlog.cli.output import STDIO, Progress, print_json, read_file, stdout_is_shown, warn
from tlog_clients import (
    AppendResult,
    BatchResult,
    EntryTooLargeError,
    LogClient,
    Trust,
    submit_batch,
    submit_entry,
)
from tlog_proofs import MAX_ENTRY_BYTES, TlogError, encode_base64

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tlog_clients import HeadFile, HttpFetcher, LogKey


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option("--lines", is_flag=True, help="One entry a line, without its LF.")
@url_option(appends=True)
@vkey_option(required=False)
@token_option
@state_option
@json_option
def command(
    *,
    files: tuple[str, ...],
    lines: bool,
    url: str,
    log_key: LogKey | None,
    token: str | None,
    state_path: str | None,
    as_json: bool,
) -> None:
    """Append each FILE (- is stdin) as one entry, byte for byte, and print the indexes.

    Waits until the entries are published, and verifies that they are.
    """
    if files.count(STDIO) > 1:
        raise click.UsageError("stdin can be read once only")
    run = _Run(open_fetcher(url, token), log_key, open_heads(state_path), as_json=as_json)
    asyncio.run(run.append_lines(files) if lines else run.append_files(files))


class _Run:
    """One run of the command: what it appended so far, and what it could not verify."""

    def __init__(
        self, fetcher: HttpFetcher, log_key: LogKey | None, heads: HeadFile, *, as_json: bool
    ) -> None:
        self._fetcher = fetcher
        self._client = None if log_key is None else LogClient(fetcher, log_key, heads)
        self._as_json = as_json
        self._doubts: dict[str, None] = {}  # an ordered set of sentences

    async def append_files(self, files: Sequence[str]) -> None:
        """Append each file as one entry."""
        async with self._fetcher:
            for file in files:
                entry = await asyncio.to_thread(read_file, file, MAX_ENTRY_BYTES)
                if len(entry) > MAX_ENTRY_BYTES:
                    raise EntryTooLargeError(
                        f"{file}: expected an entry of at most {MAX_ENTRY_BYTES} bytes"
                    )
                with _named(file):
                    result = await self._append(entry)
                self._report(result.index, (result.leaf_hash,), result, batch=False)
        self._print_doubts()

    async def append_lines(self, files: Sequence[str]) -> None:
        """Append each line as one entry, in batches."""
        batches = read_batches(files)
        count = empty = 0
        async with self._fetcher:
            # The bar would be torn apart by indexes on the same terminal.
            with Progress("appending", quiet=stdout_is_shown()) as progress:
                while batch := await asyncio.to_thread(next, batches, None):
                    empty += batch.empty_lines
                    if not batch.entries:
                        continue
                    with _named(batch.where):
                        result = await self._append_batch(batch.entries)
                    self._report(result.first_index, result.leaf_hashes, result, batch=True)
                    count += len(batch.entries)
                    progress.update(count)
        if empty:
            warn(f"{empty} empty lines were skipped")
        self._print_doubts()

    async def _append(self, entry: bytes) -> AppendResult:
        if self._client is not None:
            return await self._client.append(entry)
        submitted = await submit_entry(self._fetcher, entry)
        return AppendResult(submitted.index, submitted.leaf_hash, submitted.state)

    async def _append_batch(self, entries: Sequence[bytes]) -> BatchResult:
        if self._client is not None:
            return await self._client.append_batch(entries)
        submitted = await submit_batch(self._fetcher, entries)
        return BatchResult(submitted.first_index, submitted.leaf_hashes, submitted.state)

    def _report(
        self,
        first_index: int,
        leaf_hashes: Sequence[bytes],
        result: AppendResult | BatchResult,
        *,
        batch: bool,
    ) -> None:
        verified = result.head is not None and (
            not isinstance(result, BatchResult) or result.inclusion_verified
        )
        self._note_doubts(result)
        if not self._as_json:
            click.echo("".join(f"{first_index + i}\n" for i in range(len(leaf_hashes))), nl=False)
            return
        facts: dict[str, object] = {"state": result.state, "verified": verified}
        if result.head is not None:
            facts |= {"size": result.head.size, "root": encode_base64(result.head.root)}
            facts |= {"trusted": result.trust is Trust.TRUSTED}
        if batch:
            print_json({"first_index": first_index, "count": len(leaf_hashes), **facts})
        else:
            leaf = encode_base64(leaf_hashes[0])
            print_json({"index": first_index, "leaf_hash": leaf, **facts})

    def _note_doubts(self, result: AppendResult | BatchResult) -> None:
        if result.state != "published":
            self._doubts[f"committed, but not published within the wait: {result.state}"] = None
        if self._client is None:
            self._doubts["not verified: no --vkey"] = None
        elif result.trust is Trust.REPORTED:
            self._doubts[f"the new head is reported, not trusted: {result.reason}"] = None
        if isinstance(result, BatchResult) and result.head and not result.inclusion_verified:
            self._doubts["not verified: that the entries stand in the tree of the new head"] = None

    def _print_doubts(self) -> None:
        for doubt in self._doubts:
            warn(doubt)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Name the input in an error; an interruption while it is under way leaves it open."""
    try:
        yield
    except asyncio.CancelledError:
        warn(f"{where}: interrupted: unknown: may or may not be in the log")
        raise
    except TlogError as error:
        error.add_note(f"appending {where}")
        raise
