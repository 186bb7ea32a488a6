"""Write the table of docs/configuration.md from the options of `tlog serve`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tlog.cli.serve import command as serve
from tlog.cli.settings import expected, keys_of

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
HEAD = "| key | expected | default | meaning |\n| --- | --- | --- | --- |\n"


def table() -> str:
    """The table of keys."""
    rows = []
    for key, option in keys_of(serve).items():
        value = option.get_default(click.Context(serve))
        known = isinstance(value, bool | int | float | str)
        default = f"`{json.dumps(value)}`" if known else "required" if option.required else "unset"
        words = expected(option) + (f" `{option.metavar}`" if option.metavar else "")
        rows.append(f"| `{key}` | {words} | {default} | {option.help} |\n")
    return HEAD + "".join(rows)


def with_table(page: str) -> str:
    """A page with its table replaced by that of now."""
    before, _, rest = page.partition(HEAD)
    rows = rest.splitlines(keepends=True)
    after = next((i for i, row in enumerate(rows) if not row.startswith("|")), len(rows))
    return before + table() + "".join(rows[after:])


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
