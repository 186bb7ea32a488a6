"""`tlog fsck`: every stored row of a log checked, with its server stopped."""

from __future__ import annotations

from pathlib import Path

import click

from tlog.app import check_log
from tlog.cli.data_dir import data_option
from tlog.cli.errors import CHECK_FAILED, Failure
from tlog.cli.log_names import complete_log_name
from tlog.cli.options import json_option
from tlog.cli.output import Progress, print_facts, print_json, warn
from tlog.fsck.damage import DamageError, Report
from tlog_proofs import encode_base64


@click.command()
@data_option
@click.option(
    "--log",
    "log_name",
    metavar="NAME",
    required=True,
    shell_complete=complete_log_name,
    help="The log's name.",
)
@json_option
def command(*, data_dir: Path, log_name: str, as_json: bool) -> None:
    """Check every stored row of a log, and name the first wrong one.

    The server must be stopped. Nothing is mended. Exit code 1 when a row is wrong.
    """
    try:
        with Progress("checking") as progress:
            report = check_log(data_dir, log_name, progress.update)
    except DamageError as error:
        if as_json:
            print_json(_damage_facts(error))
        raise Failure(str(error), CHECK_FAILED) from error
    _print_report(report, as_json=as_json)


def _damage_facts(error: DamageError) -> dict[str, object]:
    place = error.place
    return {
        "clean": False,
        "file": place.file,
        "kind": place.kind,
        "key": None if place.key is None else place.key.hex(),
        "index": place.index,
        "what": error.what,
    }


def _print_report(report: Report, *, as_json: bool) -> None:
    facts: dict[str, object] = {
        "origin": report.origin,
        "size": report.size,
        "root": encode_base64(report.root),
        "commits": report.commits,
        "tiles": report.tiles,
        "checkpoints": report.checkpoints,
        "months": len(report.months),
        "bodies": report.bodies,
        "index_rows": report.index_rows,
        "tokens": report.tokens,
    }
    if as_json:
        print_json({"clean": True, **facts, "notes": report.notes})
        return
    print_facts(facts, as_json=False)
    for note in report.notes:
        warn(note)
    click.echo("clean: every stored row is right")
