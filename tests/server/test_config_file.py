"""The reader of TOML files of settings, compared with the standard library's."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlog.config_file import (
    MAX_FILE_BYTES,
    MAX_PROBLEMS,
    MAX_STATEMENT_CHARS,
    describe,
    parse_config,
    read_config_file,
)

TRICKY = st.text(st.sampled_from("ab =#[]{}\"'\\\n\t,."), max_size=12)
LITERAL = st.text(st.sampled_from('ab =#[]{}"\\\n\t,.'), max_size=12)


def _multiline(text: str) -> str:
    return '"""' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""'


SCALARS = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.booleans().map(lambda value: str(value).lower()),
    TRICKY.map(json.dumps),
    TRICKY.map(_multiline),
    LITERAL.map(lambda text: f"'''{text}'''"),
    LITERAL.map(lambda text: "'" + text.replace("\n", "") + "'"),
    st.just("1979-05-27T07:32:00Z"),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3).map(lambda each: "[ # ]\n" + ",\n".join(each) + "]"),
    max_leaves=6,
)
NOISE = st.sampled_from(["", "# a = 1 [\n", "\n", '  # """\n', "\t\n"])


@given(st.lists(st.tuples(NOISE, VALUES), max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_what_is_read_is_what_the_standard_library_reads(
    pairs: list[tuple[str, str]], ending: str
) -> None:
    """Keys and values are those of tomllib, and each line is the one that its key begins."""
    text = "".join(f"{noise}key{i} = {value} # ]\n" for i, (noise, value) in enumerate(pairs))
    text = text.replace("\n", ending)
    file = parse_config(text)
    assert file.problems == ()
    assert {setting.key: setting.value for setting in file.settings} == tomllib.loads(text)
    for setting in file.settings:
        assert text.split("\n")[setting.line - 1].startswith(f"{setting.key} =")


@given(st.text(st.sampled_from("ab.=1# [],{}\"'\\\n\t\r"), max_size=60))
def test_what_the_standard_library_refuses_has_a_problem(text: str) -> None:
    """No text is taken that tomllib refuses, and nothing but problems comes of any text."""
    file = parse_config(text)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        # Flat files are all that is ever accepted: what tomllib refuses between tables may pass.
        nested = any("." in setting.key or setting.value == {} for setting in file.settings)
        assert file.problems or nested
    else:
        lines = text.count("\n") + 1
        assert all(1 <= setting.line <= lines for setting in file.settings)


def test_every_problem_is_told_with_its_line() -> None:
    """An error hides none that comes after it: syntax, a key twice, a table twice."""
    file = parse_config(
        'a = two\nb = 1\n\nc = """\nb = 3\n"""\nb = 2\n= 3\n[t]\nx = 1\n[t]\ny = "open\n'
    )
    assert [(problem.key, problem.line) for problem in file.problems] == [
        ("a", 1),
        ("b", 7),
        (None, 8),
        ("t", 11),
        ("y", 12),
    ]
    assert 'got "two"' in file.problems[0].message
    assert "line 2" in file.problems[1].message
    assert [setting.key for setting in file.settings] == ["b", "c", "t", "t.x"]


@pytest.mark.parametrize("quotes", ['"""', "'''"])
@pytest.mark.parametrize("end", ["", "\\", "\\\\", '"', '\\"', "'"])
def test_a_string_that_is_not_closed_is_all_that_is_left(quotes: str, end: str) -> None:
    """However the file ends: the scan does not begin again behind the quotes, line after line."""
    file = parse_config(f"a = 1\nb = {quotes}\nc = 3\nd = 4\n{end}")
    assert [setting.key for setting in file.settings] == ["a"]
    assert [problem.key for problem in file.problems] == ["b"]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"#" * (MAX_FILE_BYTES + 1), None, "1048576 bytes"),
        (b"a = 1\nb = '\xff'\n", 2, "UTF-8, got the byte 0xff"),
        (b"a = [" + b"[" * 3000, 1, "nested too deeply"),
        (b"a = " + b"1" * MAX_STATEMENT_CHARS, 1, "characters"),
        (b"a." * 400_000 + b"a = 1", 1, "characters"),
    ],
)
def test_bounds_are_problems(tmp_path: Path, content: bytes, line: int | None, words: str) -> None:
    """What is too long, too deep or not UTF-8 is said in one sentence, without a traceback."""
    path = tmp_path / "tlog.toml"
    path.write_bytes(content)
    (problem,) = read_config_file(path).problems
    assert problem.line == line
    assert words in problem.message


def test_a_file_of_the_full_size_is_read(tmp_path: Path) -> None:
    """The bound itself is allowed."""
    path = tmp_path / "tlog.toml"
    path.write_bytes(b"a = 1\n" + b"#" * (MAX_FILE_BYTES - 6))
    assert [setting.value for setting in read_config_file(path).settings] == [1]


def test_problems_are_bounded() -> None:
    """After so many the rest is not looked at, and that is said."""
    problems = parse_config("a = \n" * 10_000).problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert "more" in problems[-1].message


def test_values_are_described_in_bounded_printable_words() -> None:
    """Nothing of a value moves the cursor or fills the screen."""
    assert describe(2**9000) == "an integer of 9001 bits"
    assert describe("\x1b[2J") == r'the string "\x1b[2J"'
    assert len(describe("x" * 4000)) < 120
