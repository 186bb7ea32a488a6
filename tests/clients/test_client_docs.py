"""Every example of docs/client.md and the clients' README, run as written against a real server."""

from __future__ import annotations

import asyncio
import inspect
import re
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.site import Site

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A real server with an empty log; the examples' files are in a directory of their own."""
    (tmp_path / "site").mkdir()
    site = Site(tmp_path / "site")
    (tmp_path / "user").mkdir()
    monkeypatch.chdir(tmp_path / "user")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with site.server:
        yield site


def run_examples(text: str, site: Site, capsys: pytest.CaptureFixture[str]) -> int:
    """Run the Python blocks in order, compare what each prints, and return how many there are."""
    names: dict[str, object] = {"url": site.url, "vkey": site.vkey, "token": site.token}
    blocks = BLOCKS.findall(text)
    with asyncio.Runner() as runner:
        for code, printed in blocks:
            running = eval(  # noqa: S307 - our own documentation
                compile(code, "docs", "exec", flags=PyCF_ALLOW_TOP_LEVEL_AWAIT), names
            )
            if inspect.iscoroutine(running):
                runner.run(running)
            assert capsys.readouterr().out == printed, code
    return len(blocks)


def test_page(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The examples of the page print what stands under them."""
    page = (ROOT / "docs/client.md").read_text(encoding="utf-8")
    assert run_examples(page, site, capsys) == page.count("```python") == 11


def test_readme(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The first examples of the clients' README, those up to the appender's."""
    readme = (ROOT / "clients/README.md").read_text(encoding="utf-8")
    own = readme[: readme.index("## In the background")]
    assert run_examples(own, site, capsys) == own.count("```python") == 2
