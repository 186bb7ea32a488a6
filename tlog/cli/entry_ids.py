"""The ids of the entries of one `tlog append`, and what to say about sending them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tlog_clients import (
    MAX_ENTRY_ID_CHARS,
    MalformedEntryIdError,
    check_entry_id,
    new_entry_id,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_PREFIX_CHARS = MAX_ENTRY_ID_CHARS - len("-") - len(str(2**63))


@dataclass(frozen=True, slots=True)
class EntryIds:
    """The id of each entry of a run: `text` itself for the only one, or TEXT-N.

    `is_fresh`: no run before this one can have sent them.
    """

    text: str
    is_prefix: bool
    is_fresh: bool

    def of(self, number: int) -> str:
        """Return the id of entry `number`, from 1 on."""
        return f"{self.text}-{number}" if self.is_prefix else self.text

    @property
    def advice(self) -> str:
        """How to run the command again so that nothing is appended twice."""
        option = "--id-prefix" if self.is_prefix else "--id"
        return f"run again with {option} {self.text}, it appends nothing twice"


def make_entry_ids(entry_id: str | None, id_prefix: str | None) -> EntryIds:
    """Take the ids from the options; without any they are random.

    Raises:
        click.UsageError: both are given.
    """
    if entry_id is not None and id_prefix is not None:
        raise click.UsageError("--id and --id-prefix exclude each other")
    if entry_id is not None:
        return EntryIds(entry_id, is_prefix=False, is_fresh=False)
    if id_prefix is not None:
        return EntryIds(id_prefix, is_prefix=True, is_fresh=False)
    return EntryIds(new_entry_id(), is_prefix=True, is_fresh=True)


def _checked(
    max_chars: int,
) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    def check(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        try:
            if value is not None:
                check_entry_id(value, max_chars=max_chars)
        except MalformedEntryIdError as error:
            raise click.BadParameter(str(error), ctx, param) from None
        return value

    return check


id_option = click.option(
    "--id",
    "entry_id",
    metavar="TEXT",
    callback=_checked(MAX_ENTRY_ID_CHARS),
    help="The id of the only entry, instead of a random one.",
)
id_prefix_option = click.option(
    "--id-prefix",
    metavar="TEXT",
    callback=_checked(_MAX_PREFIX_CHARS),
    help="Ids TEXT-N for line N (empty ones count, through all FILEs) or FILE N.",
)
