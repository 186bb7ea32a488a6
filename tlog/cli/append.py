"""`tlog append`: entries into a log, each answer verified, none appended twice."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from tlog.cli.entry_ids import EntryIds, id_option, id_prefix_option, make_entry_ids
from tlog.cli.entry_lines import read_batches
from tlog.cli.options import (
    access_options,
    json_option,
    make_retries,
    open_fetcher,
    open_heads,
    retry_for_option,
    state_option,
    trust_options,
    url_option,
)
from tlog.cli.output import (
    STDIO,
    Progress,
    print_json,
    read_file,
    run_in_thread,
    stdout_is_shown,
    warn,
)
from tlog_clients import (
    AppendResult,
    BatchResult,
    EntryTooLargeError,
    FetchError,
    LogClient,
    OutcomeUnknownError,
    Retries,
    Trust,
    submit_batch,
    submit_entry,
)
from tlog_proofs import MAX_ENTRY_BYTES, TlogError, encode_base64

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tlog.cli.entry_lines import LineBatch
    from tlog_clients import HeadFile, HttpFetcher, LogTrust


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option("--lines", is_flag=True, help="One entry a line, without its LF.")
@url_option(appends=True)
@trust_options(required=False)
@access_options
@id_option
@id_prefix_option
@retry_for_option
@state_option
@json_option
def command(  # noqa: PLR0913 - one for each option
    *,
    files: tuple[str, ...],
    lines: bool,
    url: str,
    trust: LogTrust | None,
    token: str | None,
    entry_id: str | None,
    id_prefix: str | None,
    retry_for_s: float,
    state_path: str | None,
    as_json: bool,
) -> None:
    """Append each FILE (- is stdin) as one entry, byte for byte, and print the indexes.

    Waits until the entries are published, and verifies that they are. Each entry is sent with an
    id, and sent again with it when its answer is lost or the server has no time, so that it is
    appended once only. With --id-prefix a later run of the same command with the same token appends
    only what is not in the log yet; the log remembers ids for at least a week.
    """
    if files.count(STDIO) > 1:
        raise click.UsageError("stdin can be read once only")
    if entry_id is not None and (lines or len(files) > 1):
        raise click.UsageError("--id is for one entry: use --id-prefix")
    ids = make_entry_ids(entry_id, id_prefix)
    retries = make_retries(retry_for_s)
    heads = open_heads(state_path)
    run = _Run(open_fetcher(url, token, retries), trust, heads, ids, retries, as_json=as_json)
    asyncio.run(run.append_lines(files) if lines else run.append_files(files))


class _Run:
    """One run of the command: what it appended so far, and what it could not verify."""

    def __init__(
        self,
        fetcher: HttpFetcher,
        trust: LogTrust | None,
        heads: HeadFile,
        ids: EntryIds,
        retries: Retries,
        *,
        as_json: bool,
    ) -> None:
        self._fetcher = fetcher
        self._client = None if trust is None else LogClient(fetcher, trust, heads, retries)
        self._ids = ids
        self._retries = retries
        self._as_json = as_json
        self._doubts: dict[str, None] = {}  # an ordered set of sentences
        self._count = 0  # entries that stand

    async def append_files(self, files: Sequence[str]) -> None:
        """Append each file as one entry."""
        async with self._fetcher:
            with self._advised():
                for number, file in enumerate(files, 1):
                    entry = await run_in_thread(partial(read_file, file, MAX_ENTRY_BYTES))
                    if len(entry) > MAX_ENTRY_BYTES:
                        raise EntryTooLargeError(
                            f"{file}: expected an entry of at most {MAX_ENTRY_BYTES} bytes"
                        )
                    with self._named(file):
                        result = await self._append(entry, self._ids.of(number))
                    self._report(result)
                    self._count += 1
        self._print_doubts()

    async def append_lines(self, files: Sequence[str]) -> None:
        """Append each line as one entry, in batches."""
        batches = read_batches(files, self._ids.of)
        empty = 0
        async with self._fetcher:
            # The bar would be torn apart by indexes on the same terminal.
            with self._advised(), Progress("appending", quiet=stdout_is_shown()) as progress:
                while batch := await run_in_thread(partial(next, batches, None)):
                    empty += batch.empty_lines
                    if not batch.entries:
                        continue
                    with self._named(batch.where):
                        result = await self._append_batch(batch)
                    self._report_batch(result)
                    self._count += len(batch.entries)
                    progress.update(self._count)
        if empty:
            warn(f"{empty} empty lines were skipped")
        self._print_doubts()

    async def _append(self, entry: bytes, entry_id: str) -> AppendResult:
        if self._client is not None:
            return await self._client.append(entry, entry_id=entry_id, is_fresh=self._ids.is_fresh)
        submitted = await submit_entry(
            self._fetcher, entry, entry_id=entry_id, retries=self._retries
        )
        return AppendResult(submitted.index, submitted.leaf_hash, submitted.state)

    async def _append_batch(self, batch: LineBatch) -> BatchResult:
        if self._client is not None:
            return await self._client.append_batch(
                batch.entries, ids=batch.ids, is_fresh=self._ids.is_fresh
            )
        submitted = await submit_batch(
            self._fetcher, batch.entries, ids=batch.ids, retries=self._retries
        )
        return BatchResult(
            submitted.indexes, submitted.leaf_hashes, submitted.state, submitted.first_index
        )

    def _report(self, result: AppendResult) -> None:
        self._note_doubts(result)
        if not self._as_json:
            click.echo(result.index)
            return
        leaf = encode_base64(result.leaf_hash)
        facts = _facts(result, verified=result.head is not None)
        print_json({"index": result.index, "leaf_hash": leaf, **facts})

    def _report_batch(self, result: BatchResult) -> None:
        self._note_doubts(result)
        if not self._as_json:
            click.echo("".join(f"{index}\n" for index in result.indexes), nl=False)
            return
        facts = _facts(result, verified=result.head is not None and result.inclusion_verified)
        first, count = result.first_index, len(result.indexes)
        if first is None or result.indexes != tuple(range(first, first + count)):
            facts |= {"indexes": result.indexes}  # some stood in the log before
        print_json({"first_index": first, "count": count, **facts})

    def _note_doubts(self, result: AppendResult | BatchResult) -> None:
        if result.state != "published":
            self._doubts["not verified: committed, but not published within the wait"] = None
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
    def _named(self, where: str) -> Iterator[None]:
        """Name the input in an error, and how to go on; an interruption leaves it open too."""
        try:
            yield
        except asyncio.CancelledError:
            warn(f"{where}: interrupted: unknown: may or may not be in the log; {self._ids.advice}")
            raise
        except TlogError as error:
            error.add_note(f"appending {where}")
            if not self._count and not _is_refusal(error):
                error.add_note(self._ids.advice)
            raise

    @contextmanager
    def _advised(self) -> Iterator[None]:
        """Say in an error how to go on where some entries stand already."""
        try:
            yield
        except (TlogError, OSError) as error:
            if self._count:
                error.add_note(self._ids.advice)
            raise


def _is_refusal(error: TlogError) -> bool:
    """Whether nothing stands because of it; an answer that is wrong says nothing about that."""
    return isinstance(error, EntryTooLargeError) or (
        isinstance(error, FetchError) and not isinstance(error, OutcomeUnknownError)
    )


def _facts(result: AppendResult | BatchResult, *, verified: bool) -> dict[str, object]:
    facts: dict[str, object] = {"state": result.state, "verified": verified}
    if result.head is not None:
        facts |= {"size": result.head.size, "root": encode_base64(result.head.root)}
        facts |= {"trusted": result.trust is Trust.TRUSTED}
    return facts
