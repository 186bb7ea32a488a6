"""Commands with --data: through the server's socket when it runs, else on the directory itself."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import click

from tlog.app import local_client
from tlog.cli.output import print_facts
from tlog.config import Config
from tlog.control import LOG_NAME
from tlog.errors import UsageError
from tlog.local import LOCAL_URL, LocalClient
from tlog.program_log import configure_log
from tlog_clients import HttpFetcher, Retries

Answer = TypeVar("Answer")

data_option = click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    required=True,
    help="The data directory.",
)


def ask(data_dir: Path, question: Callable[[LocalClient], Coroutine[None, None, Answer]]) -> Answer:
    """What the question answers, asked with an operator's rights."""
    configure_log(logging.ERROR)

    async def run() -> Answer:
        async with local_client(Config(data_dir=data_dir)) as client:
            return await question(client)

    return asyncio.run(run())


def print_row(row: dict[str, object], *, as_json: bool) -> None:
    """Print one object on stdout: as JSON, or as lines."""
    print_facts(
        row if as_json else {name: _shown(value) for name, value in row.items()}, as_json=as_json
    )


def print_rows(rows: object, *, as_json: bool) -> None:
    """Print objects on stdout: as one JSON array, or as blocks of lines."""
    found = rows if isinstance(rows, list) else []
    if as_json:
        click.echo(json.dumps(found))
        return
    for number, row in enumerate(found):
        if number:
            click.echo()
        print_row(row, as_json=False)


def _shown(value: object) -> object:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case _:
            return value


@asynccontextmanager
async def open_fetcher(
    data_dir: Path, log_name: str, retries: Retries
) -> AsyncIterator[tuple[HttpFetcher, str]]:
    """A client of one log of a data directory, and the log's vkey as the directory has it.

    Raises:
        HttpStatusError: there is no such log. Otherwise as local_client.
    """
    if not LOG_NAME.fullmatch(log_name):
        message = f"expected a log name of [a-z0-9][a-z0-9-]{{0,62}}, got {log_name!r}"
        raise UsageError(message)
    configure_log(logging.ERROR)
    async with local_client(Config(data_dir=data_dir)) as client:
        facts = await client.request("GET", f"/admin/logs/{log_name}")
        url = f"{LOCAL_URL}/logs/{log_name}"
        async with HttpFetcher(url, connector=client.connector(), retries=retries) as fetcher:
            yield fetcher, str(facts["vkey"])
