"""`tlog completion`: what the shells make of its scripts."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tlog.cli import main
from tlog.cli.log_names import MAX_SHOWN

TIMEOUT_S = 60
ROOT = Path(__file__).resolve().parents[2]
# What the shell does when TAB is pressed at the end of the words, as `complete -p` tells it to.
PRESS_TAB = """
source <(tlog completion bash)
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
$(complete -p tlog | sed 's/.*-F \\([^ ]*\\).*/\\1/') tlog
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """An environment in which `tlog` is the program of this checkout."""
    folder = tmp_path / "bin"
    folder.mkdir()
    code = "from tlog.cli import main; main(prog_name='tlog')"
    tlog = folder / "tlog"
    tlog.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{code}" "$@"\n')
    tlog.chmod(0o700)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folders of the logs `audit`, `audit-2` and `web`, and what is no log."""
    directory = tmp_path / "data"
    for name in ("audit", "audit-2", "web", "Other", ".hidden"):
        (directory / "logs" / name).mkdir(parents=True)
    return directory


def press_tab(environment: dict[str, str], *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    finished = subprocess.run(
        ["bash", "--norc", "-c", PRESS_TAB, "bash", "tlog", *words],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=environment,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert finished.stderr == ""
    return finished.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("pro",), ["prove"]),
        (("log", "c"), ["create", "confirm-clock", "confirm-ids"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("token", "create", "--scope", "a"), ["append", "admin"]),
        (("fsck", "--js"), ["--json"]),
        (("fsck", "--data", "DATA", "--log", "a"), ["audit", "audit-2"]),
        (("audit", "--data", "DATA", "--log", "w"), ["web"]),
        (("token", "create", "--data", "DATA", "--log", ""), ["audit", "audit-2", "web"]),
        (("token", "create", "--data", "~/data", "--log", "w"), ["web"]),
        (("log", "show", "--data", "DATA", "audit-"), ["audit-2"]),
        (("log", "create", "--data", "DATA", "a"), []),
        (("fsck", "--log", "a"), []),
        (("fsck", "--data", "DATA/absent", "--log", "a"), []),
    ],
    ids=lambda value: " ".join(value) or "nothing",
)
def test_bash_completes(
    program: dict[str, str], data: Path, words: tuple[str, ...], offered: list[str]
) -> None:
    """Commands, options, choices, and names of existing logs where --data stands before."""
    typed = [word.replace("DATA", str(data)) for word in words]
    assert sorted(press_tab(program, *typed)) == sorted(offered)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_of_that_shell(shell: str) -> None:
    """It is about `tlog`, and where the shell is there it can read it."""
    result = CliRunner().invoke(main, ["completion", shell])
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"_TLOG_COMPLETE={shell}_complete" in result.stdout
    if shutil.which(shell) is not None:
        subprocess.run([shell, "-n"], input=result.stdout, check=True, text=True, timeout=TIMEOUT_S)


def test_another_shell_is_a_usage_error() -> None:
    """The three that there are, are named."""
    result = CliRunner().invoke(main, ["completion", "tcsh"])
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_folder_of_anything_is_not_read_to_its_end(
    program: dict[str, str], tmp_path: Path
) -> None:
    """However much lies there, so much is looked at."""
    for number in range(MAX_SHOWN + 50):
        (tmp_path / "logs" / f"n{number}").mkdir(parents=True)
    assert len(press_tab(program, "fsck", "--data", str(tmp_path), "--log", "n")) == MAX_SHOWN
