"""`tlog config`: the file of settings of `tlog serve --config`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tlog.cli.options import json_option
from tlog.cli.output import print_json, warn
from tlog.cli.serve import command as serve
from tlog.cli.serve_checks import combination_problems, directory_problems, tls_problems
from tlog.cli.settings import ConfigFileError, Settings, expected, keys_of, read_settings
from tlog.config_file import Problem
from tlog.errors import LockHeldError
from tlog_clients import printable

_SOURCES: dict[ParameterSource | None, str] = {
    ParameterSource.DEFAULT_MAP: "file",
    ParameterSource.ENVIRONMENT: "environment",
}
# Of keys that have no default, as they would stand in a file.
_EXAMPLES: dict[str, object] = {
    "data": "/var/lib/tlog",
    "listen": "127.0.0.1:8080",
    "admin_listen": "127.0.0.1:8081",
    "disk_reserve": 2 * 1024**3,
    "tls_cert": "/etc/tlog/cert.pem",
    "tls_key": "/etc/tlog/key.pem",
    "tls_client_ca": "/etc/tlog/clients.pem",
}

_INTRODUCTION = """\
# Settings of `tlog serve --config FILE`. Options on the command line win over them.
# Relative paths are relative to this file. `tlog config check FILE` checks it.
"""


@dataclass(frozen=True, slots=True)
class Effective:
    """What a key comes to, where that comes from (file, environment or default), and its line."""

    value: object
    source: str
    line: int | None


@click.group()
def command() -> None:
    """Check a file of settings, or print one to begin with."""


@command.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@json_option
def check(*, path: Path, as_json: bool) -> None:
    """Print the settings that `tlog serve --config FILE` would run with, or what is wrong."""
    settings, problems, notes = _check(path)
    if as_json:
        rows = {key: asdict(effective) for key, effective in settings.items()}
        found = [asdict(problem) for problem in problems]
        print_json({"file": str(path), "settings": rows, "problems": found, "notes": notes})
        if problems:
            click.get_current_context().exit(ConfigFileError.exit_code)
        return
    if problems:
        raise ConfigFileError(path, problems)
    width = max(map(len, settings))
    for key, effective in settings.items():
        shown = "-" if effective.value is None else json.dumps(effective.value, ensure_ascii=False)
        where = effective.source if effective.line is None else f"line {effective.line}"
        click.echo(f"{key:<{width}}  {printable(shown)}  ({where})")
    for note in notes:
        warn(note)


@command.command()
def example() -> None:
    """Print a file with every key, its meaning and its default."""
    click.echo(format_example(), nl=False)


def format_example() -> str:
    """A file of settings that says what each key means; what has a default is commented out."""
    blocks = [_INTRODUCTION]
    for key, option in keys_of(serve).items():
        default = option.get_default(click.Context(serve))
        value = _as_file_value(default)
        mark = "" if option.required else "#"
        if value is None:
            value = _EXAMPLES.get(key, option.metavar or key.upper())
        what = f"# {option.help}\n# Expected: {expected(option)}."
        unset = "" if default is not None or option.required else " Not set by default."
        blocks.append(f"{what}{unset}\n{mark}{key} = {json.dumps(value)}\n")
    return "\n".join(blocks)


def _check(path: Path) -> tuple[dict[str, Effective], tuple[Problem, ...], list[str]]:
    """The effective settings, unless something is wrong; every problem; what is worth a line."""
    read = read_settings(path, serve)
    problems = [*read.problems, *_missing(read)]
    if problems:
        return {}, tuple(problems), []
    try:
        context = serve.make_context("serve", [], default_map=dict(read.values))
    except click.BadParameter as error:  # of the environment: the file's have been looked at
        return {}, (Problem(f"in the environment: {error.format_message()}"),), []
    notes: list[str] = []
    problems = [
        Problem(message, key, read.lines.get(key)) for key, message in _found(context.params, notes)
    ]
    settings = {
        key: _effective(context, str(option.name), read, key)
        for key, option in keys_of(serve).items()
    }
    return settings, tuple(problems), notes


def _missing(read: Settings) -> Iterator[Problem]:
    """What has no default, and stands neither in the file nor in the environment."""
    wrong = {problem.key for problem in read.problems}
    if None in wrong:  # not every key is known
        return
    context = click.Context(serve)
    for key, option in keys_of(serve).items():
        given = option.name in read.values or option.value_from_envvar(context) is not None
        if option.required and not given and key not in wrong:
            yield Problem("missing, and has no default", key)


def _effective(context: click.Context, name: str, read: Settings, key: str) -> Effective:
    source = _SOURCES.get(context.get_parameter_source(name), "default")
    if source == "file":
        return Effective(read.values[name], source, read.lines[key])
    return Effective(_as_file_value(context.params[name]), source, None)


def _found(values: Mapping[str, Any], notes: list[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with settings that are right one by one."""
    try:
        yield from combination_problems(values)
    except OSError as error:
        yield "listen", f"does not resolve: {error.strerror}"
    yield from tls_problems(values)
    try:
        yield from directory_problems(values["data_dir"])
    except LockHeldError:
        notes.append("the heads were not looked for: a server or a command has the data directory")


def _as_file_value(value: object) -> object:
    return value if isinstance(value, bool | int | float | str) else None
