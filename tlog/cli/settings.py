"""`--config FILE`: the options of a command as keys of a TOML file.

A key is the long name of an option with _ for -, and its value goes the way of the option's: one
validation for both. So an option of `tlog serve` is a key of the file as soon as it is there.
What is typed wins over the environment, which wins over the file, which wins over the default.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from tlog.config_file import (
    MAX_PROBLEMS,
    Problem,
    Setting,
    describe,
    quoted,
    read_config_file,
)
from tlog_clients import printable

_MAX_LINE_CHARS = 1000
_MAX_COMPARED_CHARS = 64
_INTEGER_BITS = 64
_Command = TypeVar("_Command", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Settings:
    """What a file sets, by the name of the parameter, ready for the option; and what is wrong."""

    values: Mapping[str, object]
    lines: Mapping[str, int]  # by key
    problems: tuple[Problem, ...]


class ConfigFileError(click.ClickException):
    """A file of settings is wrong: one line a problem, and exit code 2."""

    exit_code = 2

    def __init__(self, path: Path, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(format_problem(path, problem) for problem in problems))
        self.problems = problems

    def show(self, file: object = None) -> None:
        """Print the problems on stderr."""
        del file
        click.echo(self.message, err=True)
        count = len(self.problems)
        click.echo(f"tlog: {count} {'error' if count == 1 else 'errors'} in the settings", err=True)


def config_option(command: _Command) -> _Command:
    """--config FILE, or TLOG_CONFIG: whatever the file sets need not be given."""
    return click.option(
        "--config",
        metavar="FILE",
        type=click.Path(path_type=Path),
        callback=_load,
        envvar="TLOG_CONFIG",
        show_envvar=True,
        is_eager=True,  # the others look into it
        expose_value=False,
        help="Take options from this TOML file; those given here win.",
    )(command)


def keys_of(command: click.Command) -> dict[str, click.Option]:
    """The keys of a command's file, each with its option, in the order of the command's help."""
    return {
        key_of(option): option
        for option in command.params
        if isinstance(option, click.Option) and option.expose_value
    }


def key_of(option: click.Option) -> str:
    """The key of an option."""
    return max(option.opts, key=len).lstrip("-").replace("-", "_")


def read_settings(path: Path, command: click.Command) -> Settings:
    """Read a file of settings for a command; every value has been through its option."""
    file = read_config_file(path)
    options = keys_of(command)
    context = click.Context(command, info_name=command.name)
    values: dict[str, object] = {}
    lines: dict[str, int] = {}
    problems = list(file.problems)
    for setting in file.settings:
        if len(problems) > MAX_PROBLEMS:
            break  # parse_config, or the line below, has said that there are more
        if len(problems) == MAX_PROBLEMS:
            problems.append(Problem("has more errors: mend these first"))
            break
        option = options.get(setting.key)
        if option is None:
            problems.append(_unknown(setting, options))
            continue
        lines[setting.key] = setting.line
        value = _relative_to(path.absolute().parent, option, setting.value)
        sentence = _refusal(context, option, setting.value, value)
        if sentence is None and option.name is not None:
            values[option.name] = value
        elif sentence is not None:
            problems.append(Problem(sentence, setting.key, setting.line))
    return Settings(values, lines, tuple(sorted(problems, key=_line)))


def format_problem(path: Path, problem: Problem) -> str:
    """A problem as one line: FILE:LINE: KEY: SENTENCE."""
    parts = [str(path) if problem.line is None else f"{path}:{problem.line}"]
    if problem.key is not None:
        parts.append(shown_key(problem.key))
    return printable(": ".join([*parts, problem.message]), max_chars=_MAX_LINE_CHARS)


def shown_key(key: str) -> str:
    """A key of bounded length, in quotes where it holds what is not printable."""
    plain = key.isprintable() and len(key) <= _MAX_COMPARED_CHARS
    return key if plain else quoted(key)


def expected(option: click.Option) -> str:
    """What an option takes as the value of its key, in words."""
    words = _expected_one(option)
    return f"an array, each {words}" if option.multiple else words


def _expected_one(option: click.Option) -> str:
    if option.is_flag:
        return "true or false"
    match option.type:
        case click.IntRange(min=low, max=high) | click.FloatRange(min=low, max=high):
            noun = "an integer" if isinstance(option.type, click.IntRange) else "a number"
            if low is not None and high is not None:
                return f"{noun} of {low} to {high}"
            bound = f" of at least {low}" if low is not None else f" of at most {high}"
            return noun + (bound if (low, high) != (None, None) else "")
        case click.Choice(choices=choices):
            return "one of " + ", ".join(json.dumps(choice) for choice in choices)
        case click.types.IntParamType():
            return "an integer"
        case click.types.FloatParamType():
            return "a number"
        case _:
            return "a string"


def _load(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    del param
    if value is None or ctx.default_map is not None:  # `tlog config check` has read the file
        return
    settings = read_settings(value, ctx.command)
    if settings.problems:
        raise ConfigFileError(value, settings.problems)
    ctx.default_map = dict(settings.values)


def _unknown(setting: Setting, options: Mapping[str, click.Option]) -> Problem:
    """The problem of a key that no option has, with the nearest one that there is."""
    wanted = setting.key[:_MAX_COMPARED_CHARS].lower().replace(".", "_").replace("-", "_")
    nearest = difflib.get_close_matches(wanted, options, n=1)
    hint = f", the nearest is {nearest[0]}" if nearest else ""
    if isinstance(setting.value, dict):
        message = "unknown table: every key stands by itself, outside of tables"
        return Problem(message, setting.key, setting.line)
    return Problem(f"unknown key{hint}", setting.key, setting.line)


def _relative_to(directory: Path, option: click.Option, value: object) -> object:
    """The value, where it is a path not relative to this process but to the file."""
    if not isinstance(option.type, click.Path):
        return value
    if isinstance(value, list):
        return [_relative_to(directory, option, each) for each in value]
    return str(directory / value) if isinstance(value, str) and value else value


def _refusal(
    context: click.Context, option: click.Option, written: object, value: object
) -> str | None:
    """Why an option does not take a value, as one sentence; None when it does.

    written: as it stands in the file.
    """
    values = written if option.multiple and isinstance(written, list) else [written]
    if option.multiple and not isinstance(written, list):
        return f"expected {expected(option)}, got {describe(written)}"
    for each in values:
        if not _has_type(option, each):
            return f"expected {expected(option)}, got {describe(each)}"
        if isinstance(each, str) and (not each or "\0" in each):
            return f"expected a string that is neither empty nor holds NUL, got {describe(each)}"
    try:
        option.process_value(context, value)
    except click.BadParameter as error:
        if isinstance(option.type, click.IntRange | click.FloatRange | click.Choice):
            return f"expected {expected(option)}, got {describe(written)}"
        return error.message
    return None


def _has_type(option: click.Option, value: object) -> bool:
    if option.is_flag:
        return isinstance(value, bool)
    if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
        return False  # larger ones have no text in messages, and no float
    if isinstance(option.type, click.types.IntParamType):
        return isinstance(value, int) and not isinstance(value, bool)
    if isinstance(option.type, click.types.FloatParamType):
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
    return isinstance(value, str)


def _line(problem: Problem) -> int:
    return problem.line or 0
