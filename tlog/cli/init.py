"""`tlog init`: a new data directory."""

from __future__ import annotations

from pathlib import Path

import click

from tlog.cli.data_dir import data_option
from tlog.creation import init_directory


@click.command()
@data_option
@click.option(
    "--heads",
    type=click.Path(path_type=Path),
    help="Where the signed heads go: best on another disk.  [default: heads/ in the directory]",
)
def command(*, data_dir: Path, heads: Path | None) -> None:
    """Make a data directory; it must be absent or empty."""
    init_directory(data_dir, heads)
    click.echo(f"initialised {click.format_filename(data_dir)}")
