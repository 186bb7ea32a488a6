"""A TOML file of settings, read strictly: every problem has its line, and none hides another.

tomllib ends at the first error and knows no lines of keys. So the file is split into statements,
each of which tomllib reads by itself.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_BYTES = 1024 * 1024
MAX_STATEMENT_CHARS = 4096  # tomllib takes the square of a dotted key's length in memory
MAX_PROBLEMS = 100
MAX_SHOWN_CHARS = 80
_MAX_DEPTH = 8  # of dotted keys that are told apart
_LONG_INTEGER_BITS = 64

# What can hold a bracket or a line's end that means nothing, and those that do. A string that is
# not closed is taken up to where it would have to be: the scan stays linear.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"{3,5}|\\?\Z)|' + r"'''.*?(?:'{3,5}|\Z)|"
    r'"(?:\\[^\n]|[^"\\\n])*"?|' + r"'[^'\n]*'?|"
    r"#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)
_PLACE = re.compile(r"(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", re.DOTALL)
_KEY = re.compile(r"\s*(?P<key>[A-Za-z0-9_.-]+)\s*=")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, as one sentence; key (dotted) and line (from 1) where there is one."""

    message: str
    key: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """A key (dotted) with its value; of a table's header the value is an empty table."""

    key: str
    value: object
    line: int


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What a file sets, each key once, and what is wrong with it, in the order of its lines."""

    settings: tuple[Setting, ...]
    problems: tuple[Problem, ...]


def read_config_file(path: Path) -> ConfigFile:
    """Read a file of at most MAX_FILE_BYTES; one that cannot be read is a problem like others."""
    try:
        # A pipe in the file's place must not be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return _nothing(Problem("expected a file, got something else"))
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return _nothing(Problem(f"cannot be read: {error.strerror}"))
    if len(data) > MAX_FILE_BYTES:
        return _nothing(Problem(f"expected at most {MAX_FILE_BYTES} bytes, got more"))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"expected UTF-8, got the byte 0x{data[error.start]:02x}"
        return _nothing(Problem(message, line=line))
    return parse_config(text)


def parse_config(text: str) -> ConfigFile:
    """Parse TOML (version 1.0.0); after MAX_PROBLEMS the rest is not looked at."""
    text = text.replace("\r\n", "\n")
    settings: dict[str, Setting] = {}
    problems: list[Problem] = []
    table = ""
    for line, statement in _statements(text):
        if len(problems) >= MAX_PROBLEMS:
            problems.append(Problem("has more errors: mend these first"))
            break
        if len(statement) > MAX_STATEMENT_CHARS:
            message = f"expected at most {MAX_STATEMENT_CHARS} characters, got {len(statement)}"
            problems.append(Problem(message, _key_of(statement), line))
            continue
        try:
            parsed = tomllib.loads(statement)
        except (ValueError, RecursionError) as error:
            problems.append(_syntax_problem(error, statement, line))
            continue
        if statement.lstrip().startswith("["):
            table = ""
            ((table, value),) = _flatten(parsed)
            found = [(table, value)]
        else:
            found = [(f"{table}.{key}" if table else key, value) for key, value in _flatten(parsed)]
        for key, value in found:
            if key in settings:
                first = settings[key].line
                problems.append(Problem(f"expected once, got again after line {first}", key, line))
            else:
                settings[key] = Setting(key, value, line)
    return ConfigFile(tuple(settings.values()), tuple(problems))


def describe(value: object) -> str:
    """A TOML value for an error message, with its type and of bounded length."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            bits = value.bit_length()
            return str(value) if bits <= _LONG_INTEGER_BITS else f"an integer of {bits} bits"
        case float():
            return f"the float {value}"
        case str():
            return f"the string {quoted(value)}"
        case list():
            return "an array"
        case dict():
            return "a table"
        case _:
            return f"the date or time {value}"


def quoted(text: str) -> str:
    """Text in quotes, made printable and shortened."""
    short = text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}..."
    return f'"{ascii(short)[1:-1]}"' if not short.isprintable() else f'"{short}"'


def _nothing(problem: Problem) -> ConfigFile:
    return ConfigFile((), (problem,))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement that is no blank line, with the number of its first line."""
    start, line, next_line, depth = 0, 1, 1, 0
    for token in _TOKEN.finditer(text):
        piece = token[0]
        next_line += piece.count("\n")
        if piece in "[{":
            depth += 1
        elif piece in "]}":
            depth = max(0, depth - 1)
        elif piece == "\n" and depth == 0:
            statement = text[start : token.start()]
            if statement.strip(" \t"):
                yield line, statement
            start, line = token.end(), next_line
    if text[start:].strip(" \t"):
        yield line, text[start:]


def _flatten(parsed: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Dotted key and value of everything that is no table, or an empty one."""
    pending: list[tuple[str, object, int]] = [(key, value, 1) for key, value in parsed.items()]
    while pending:
        key, value, depth = pending.pop(0)
        if isinstance(value, dict) and value and depth < _MAX_DEPTH:
            pending[:0] = [(f"{key}.{name}", inner, depth + 1) for name, inner in value.items()]
        else:
            yield key, value


def _key_of(statement: str) -> str | None:
    """The key of a statement that may be no TOML, where it can be told."""
    match = _KEY.match(statement)
    return match["key"] if match else None


def _syntax_problem(error: Exception, statement: str, line: int) -> Problem:
    """The problem of a statement that is no TOML, with the key where it can be told."""
    key = _key_of(statement)
    if isinstance(error, RecursionError):
        return Problem("expected a value, got one nested too deeply", key, line)
    place = _PLACE.fullmatch(str(error))
    if place is None:
        what = str(error).removesuffix(" (at end of document)")[:MAX_SHOWN_CHARS]
        return Problem(f"no TOML: {what}", key, line)
    row = int(place["line"]) - 1
    rest = statement.split("\n")[row][int(place["column"]) - 1 :]
    got = quoted(rest) if rest else "the end of the line"
    return Problem(f"no TOML: {place['what']}, got {got}", key, line + row)
