"""Every example of docs/appender.md, and those of the clients' README about it, run as written."""

from __future__ import annotations

import asyncio
import inspect
import re
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from pathlib import Path

import pytest

from tlog_clients import Appender, AppenderOptions
from tlog_clients.testing import FakeLog

ROOT = Path(__file__).resolve().parents[2]


def examples() -> list[str]:
    """The Python blocks."""
    page = (ROOT / "docs/appender.md").read_text(encoding="utf-8")
    readme = (ROOT / "clients/README.md").read_text(encoding="utf-8")
    section = readme[readme.index("## In the background") : readme.index("## Errors")]
    return re.findall(r"```python\n(.*?)```", page + section, flags=re.DOTALL)


@pytest.mark.parametrize("example", examples(), ids=lambda text: text.splitlines()[0][:40])
def test_example(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs, and what it appends stands in the log."""
    monkeypatch.chdir(tmp_path)
    with FakeLog(token="secret") as log:
        given = Appender(log.url, trust=log.vkey, token="secret", spool="given.spool")
        names = {
            "Appender": Appender,
            "AppenderOptions": AppenderOptions,
            "FakeLog": FakeLog,
            "appender": given,
            "token": "secret",
            "url": log.url,
            "vkey": log.vkey,
        }
        code = compile(example, "docs", "exec", flags=PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, names)  # noqa: S307 - our own documentation
        if inspect.iscoroutine(running):
            asyncio.run(running)
        assert given.close() == 0
        has_own_log = "FakeLog()" in example
        assert bool(log.entries) is (".append(" in example and not has_own_log)


def test_there_are_examples() -> None:
    """The search for them finds both files'."""
    assert len(examples()) == 9
