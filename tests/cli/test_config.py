"""`tlog serve --config`, `tlog config check` and `tlog config example`."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest
import structlog
from click.testing import CliRunner, Result

import tlog.cli.serve
from tests.make_configuration import PAGE, with_table
from tlog.app import Addresses
from tlog.cli import main
from tlog.cli.serve import command as serve
from tlog.cli.settings import keys_of
from tlog.config import Config
from tlog.lock import DirectoryLock

# What each option can be given as, on the command line and in the file, and is not by default.
# An option that is not here fails the tests below: it is to be added with a value.
GIVEN: dict[str, tuple[str | None, object]] = {
    "data": ("{dir}/data", "data"),
    "listen": ("127.0.0.1:4711", "127.0.0.1:4711"),
    "admin_listen": ("[::1]:4712", "[::1]:4712"),
    "behind_tls_proxy": (None, True),
    "tls_cert": ("{dir}/cert.pem", "cert.pem"),
    "tls_key": ("{dir}/tls/key.pem", "tls/key.pem"),
    "tls_client_ca": ("{dir}/ca.pem", "./ca.pem"),
    "tls_client_required": (None, True),
    "disk_reserve": ("12345", 12345),
    "workers": ("3", 3),
    "log_level": ("error", "error"),
    "log_format": ("json", "json"),
}


@pytest.fixture(autouse=True)
def _own_log_configuration() -> Iterator[None]:
    """Commands direct the program's log to their stderr; later tests shall not write there."""
    yield
    structlog.reset_defaults()


def run(*arguments: object, code: int = 0, env: dict[str, str | None] | None = None) -> Result:
    """Run `tlog` in this process and check its exit code."""
    result = CliRunner(env=env).invoke(main, list(map(str, arguments)))
    assert (result.exit_code, result.stderr) == (code, result.stderr), result.output
    assert "Traceback" not in result.output
    return result


def written(path: Path, settings: Mapping[str, object]) -> Path:
    """A file with these settings."""
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, Addresses]]:
    """What `tlog serve` would have served: Config and addresses, instead of serving it."""
    calls: list[tuple[Config, Addresses]] = []

    async def note(config: Config, addresses: Addresses) -> None:
        calls.append((config, addresses))

    monkeypatch.setattr(tlog.cli.serve, "_run", note)
    return calls


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory `data`, beside which files may lie."""
    run("init", "--data", tmp_path / "data")
    return tmp_path / "data"


def test_no_option_is_without_its_key() -> None:
    """Each option of `tlog serve`, as click has them, is a key; no two share one."""
    options = [
        option
        for option in serve.params
        if isinstance(option, click.Option) and option.name != "config"
    ]
    assert [f"--{key.replace('_', '-')}" for key in keys_of(serve)] == [
        option.opts[0] for option in options
    ]
    assert set(keys_of(serve)) == set(GIVEN)


def test_every_key_does_what_its_option_does(
    tmp_path: Path, served: list[tuple[Config, Addresses]]
) -> None:
    """A server with every setting from a file is the one with every option, relative paths too."""
    options: list[str] = []
    for key, (value, _) in GIVEN.items():
        options.append(f"--{key.replace('_', '-')}")
        options.extend([] if value is None else [value.format(dir=tmp_path)])
    run("serve", *options)
    file = written(tmp_path / "tlog.toml", {key: value for key, (_, value) in GIVEN.items()})
    run("serve", "--config", file)
    run("serve", env={"TLOG_CONFIG": str(file)})
    assert len(served) == 3
    assert served[1] == served[0]
    assert served[2] == served[0]
    # Each value differs from the default: a key that reached nothing would show.
    run("serve", "--data", tmp_path / "data", "--listen", "127.0.0.1:0")
    defaults = serve.make_context("serve", ["--data", "x", "--listen", "127.0.0.1:0"]).params
    for key, option in keys_of(serve).items():
        given = serve.make_context("serve", ["--config", str(file)]).params[str(option.name)]
        assert given != defaults[str(option.name)], key


def test_what_is_typed_wins_over_the_file(
    tmp_path: Path, served: list[tuple[Config, Addresses]]
) -> None:
    """One option on the command line replaces one key of the file, and no other."""
    file = written(tmp_path / "f", {"data": "d", "listen": "127.0.0.1:1", "workers": 3})
    run("serve", "--config", file, "--workers", 2)
    ((config, addresses),) = served
    assert (config.workers, addresses.public.port, config.data_dir) == (2, 1, tmp_path / "d")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("workers = 0", ("workers", "of 1 to 64", "got 0")),
        ("workers = 65", ("workers", "of 1 to 64", "got 65")),
        ("workers = true", ("workers", "an integer", "got true")),
        ("workers = 2.0", ("workers", "an integer", "the float 2.0")),
        ('workers = "2"', ("workers", "an integer", 'the string "2"')),
        ("workers = [2]", ("workers", "an integer", "an array")),
        ("[workers]", ("workers", "an integer", "a table")),
        ("workers = 2024-01-01", ("workers", "an integer", "date")),
        (f"workers = 0x{'f' * 4000}", ("workers", "of 1 to 64", "an integer of 16000 bits")),
        (f"disk_reserve = 0x{'f' * 4000}", ("disk_reserve", "an integer of 16000 bits")),
        ("worker = 2", ("worker", "unknown key", "nearest is workers")),
        ("log-level = 2", ("log-level", "unknown key", "nearest is log_level")),
        ("tls.cert = 2", ("tls.cert", "unknown key", "nearest is tls_cert")),
        ("zzz = 2", ("zzz", "unknown key")),
        ("config = 'x'", ("config", "unknown key")),
        ("help = true", ("help", "unknown key")),
        ("[tls]", ("tls", "unknown table")),
        ('"\\u001b[2J" = 1', (r'"\x1b[2J"', "unknown key")),
        ("disk_reserve = -1", ("disk_reserve", "at least 0", "got -1")),
        ("disk_reserve = '2 GiB'", ("disk_reserve", "at least 0", "2 GiB")),
        ("behind_tls_proxy = 1", ("behind_tls_proxy", "true or false", "got 1")),
        ("log_level = 'loud'", ("log_level", "one of", '"warning"', '"loud"')),
        ("admin_listen = 'localhost'", ("admin_listen", "HOST:PORT", "localhost")),
        ("admin_listen = 'localhost:65536'", ("admin_listen", "65535")),
        ("tls_cert = ''", ("tls_cert", "neither empty")),
        ('tls_cert = "a\\u0000"', ("tls_cert", "NUL")),
        ("listen = 'localhost:1'", ("listen", "expected once", "line 2")),
        ("workers = ", ("workers", "no TOML")),
    ],
)
def test_a_wrong_line_is_named_with_what_was_expected_and_what_came(
    tmp_path: Path, line: str, words: tuple[str, ...]
) -> None:
    """Serve and check say the same: file, line, key, what was expected, what came; exit 2."""
    file = tmp_path / "tlog.toml"
    file.write_text(f"data = 'd'\nlisten = '127.0.0.1:0'\n\n{line}\n", encoding="utf-8")
    for command in (("serve", "--config"), ("config", "check")):
        first, *rest = run(*command, file, code=2).stderr.splitlines()
        assert first.startswith(f"{file}:4: {words[0]}: ")
        assert all(word in first for word in words)
        assert rest == ["tlog: 1 error in the settings"]


def test_all_errors_come_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    """Syntax, unknown keys and wrong values of one file, and what is missing; as JSON too."""
    file = tmp_path / "tlog.toml"
    file.write_text("workers = 0\nlog_level = warning\nlisen = 1\nlisten = 1\n", encoding="utf-8")
    lines = run("config", "check", file, code=2).stderr.splitlines()
    assert [line.split(": ")[1] for line in lines[:-1]] == [
        "workers",
        "log_level",
        "lisen",
        "listen",
        "data",
    ]
    found = json.loads(run("config", "check", file, "--json", code=2).stdout)
    assert found["settings"] == {}
    assert [(problem["key"], problem["line"]) for problem in found["problems"]] == [
        ("workers", 1),
        ("log_level", 2),
        ("lisen", 3),
        ("listen", 4),
        ("data", None),
    ]


def test_a_file_that_cannot_be_read_is_a_wrong_file(tmp_path: Path) -> None:
    """Absent, a directory, or a pipe, which is not waited for: one sentence and exit 2."""
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "absent", "cannot be read: "),
        (tmp_path, "expected a file"),
        (tmp_path / "pipe", "expected a file"),
    ):
        for command in (("serve", "--config"), ("config", "check")):
            lines = run(*command, path, code=2).stderr.splitlines()
            assert lines[0].startswith(f"{path}: {words}")
            assert len(lines) == 2


def test_unknown_keys_are_not_told_of_without_end(tmp_path: Path) -> None:
    """Of a file of any size a hundred lines are enough."""
    file = tmp_path / "tlog.toml"
    file.write_text("".join(f"k{number} = 1\n" for number in range(5000)), encoding="utf-8")
    lines = run("config", "check", file, code=2).stderr.splitlines()
    assert len(lines) < 110
    assert f"{file}: has more errors: mend these first" in lines


def test_check_prints_every_setting_and_where_it_comes_from(data: Path) -> None:
    """The effective settings: of the file with their lines, of the defaults without."""
    file = written(data.parent / "tlog.toml", {"listen": "127.0.0.1:0", "data": "data"})
    result = json.loads(run("config", "check", file, "--json").stdout)
    assert (result["problems"], result["notes"]) == ([], [])
    assert list(result["settings"]) == list(keys_of(serve))
    assert result["settings"]["data"] == {"value": str(data), "source": "file", "line": 2}
    assert result["settings"]["workers"] == {"value": 1, "source": "default", "line": None}
    shown = run("config", "check", file).stdout
    assert '"127.0.0.1:0"  (line 1)' in shown
    assert len(shown.splitlines()) == len(keys_of(serve))
    # Where another file is named by the environment, the one that is named here is checked.
    run("config", "check", file, env={"TLOG_CONFIG": "/absent"})


def test_check_looks_at_what_the_settings_name(data: Path) -> None:
    """Plaintext off loopback, files of TLS, the data directory and its heads, all at once."""
    directory = data.parent
    plain = written(directory / "plain", {"listen": "0.0.0.0:1", "data": "absent", "tls_key": "k"})
    result = json.loads(run("config", "check", plain, "--json", code=2).stdout)
    assert [(problem["key"], problem["line"]) for problem in result["problems"]] == [
        ("tls_cert", None),
        ("listen", 1),
        ("data", 2),
    ]
    (directory / "data" / "heads").rename(directory / "moved")
    settings = {"listen": "127.0.0.1:0", "data": "data", "tls_cert": "c", "tls_key": "k"}
    errors = run("config", "check", written(directory / "tls", settings), code=2).stderr
    assert f"{directory / 'tls'}:3: tls_cert: " in errors
    assert str(directory / "c") in errors
    assert f"{directory / 'tls'}:2: data: " in errors
    assert "heads" in errors


def test_check_leaves_a_directory_that_is_in_use(data: Path) -> None:
    """While somebody has the directory the heads are not looked for, and that is said."""
    file = written(data.parent / "tlog.toml", {"listen": "127.0.0.1:0", "data": "data"})
    with DirectoryLock(data):
        result = run("config", "check", file)
    assert "heads were not looked for" in result.stderr


def test_the_example_has_every_key_with_its_default(tmp_path: Path) -> None:
    """As it is printed it sets what must be set; without the marks, every key to its default."""
    text = run("config", "example").stdout
    required = {key for key, option in keys_of(serve).items() if option.required}
    assert set(tomllib.loads(text)) == required
    lines = [
        line.removeprefix("#") if not line.startswith("# ") else "" for line in text.splitlines()
    ]
    everything = tomllib.loads("\n".join(lines))
    assert list(everything) == list(keys_of(serve))
    defaults = serve.make_context("serve", ["--data", "x", "--listen", "127.0.0.1:0"]).params
    for key, option in keys_of(serve).items():
        default = defaults[str(option.name)]
        if key not in required and default is not None:
            assert everything[key] == default
        assert option.help is not None
        assert f"# {option.help}\n" in text
    # Every value can stand as it is.
    path = tmp_path / "example.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    serve.make_context("serve", ["--config", str(path)])


def test_the_page_has_the_table_of_keys() -> None:
    """docs/configuration.md is as `make configuration` writes it."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page)
    for key in keys_of(serve):
        assert f"| `{key}` |" in page
