from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import tlog.api.errors
import tlog.errors
from tests.api.conftest import Api
from tlog.api.problems import INTERNAL, PROBLEM_PREFIX, PROBLEMS, problem_of
from tlog.tokens import Scope
from tlog_proofs import MalformedProofError, TlogError

SPEC = Path(__file__).parents[2] / "spec" / "problems.md"


def _errors(module: ModuleType) -> list[type[TlogError]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, TlogError)
        and value.__module__ == module.__name__
    ]


@pytest.mark.parametrize(
    "kind", [*_errors(tlog.errors), *_errors(tlog.api.errors)], ids=lambda kind: kind.__name__
)
def test_every_error_of_the_server_has_a_row_of_its_own(kind: type[TlogError]) -> None:
    """No class gets its status by the accident of its base class."""
    assert kind in PROBLEMS


def test_the_table_is_that_of_the_specification() -> None:
    """Names and statuses are those of spec/problems.md, in both directions."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", SPEC.read_text(), re.MULTILINE)
    specified = {name: int(status) for name, status in rows}
    assert list(specified) == sorted(specified)
    assert specified == {problem.name: problem.status for problem in PROBLEMS.values()}


def test_one_name_is_one_problem() -> None:
    """Two rows of one name differ in nothing."""
    by_name = {problem.name: problem for problem in PROBLEMS.values()}
    assert all(problem == by_name[problem.name] for problem in PROBLEMS.values())


def test_what_is_not_in_the_table_is_internal() -> None:
    """Errors of other families, and bugs, tell a client nothing."""
    for error in (MalformedProofError("x"), ValueError("x"), TlogError("x")):
        assert problem_of(error) is INTERNAL


async def test_a_bug_is_answered_by_a_request_id_and_nothing_else(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unexpected exception is a 500 without its words; the log has them, under the id."""
    api.host.logs["private"].read_error = RuntimeError("secret path")
    async with api.http.get("/logs/private/entries/0", headers=api.bearer(Scope.READ)) as response:
        problem = await response.json(content_type="application/problem+json")
        assert response.status == 500
    assert problem.keys() == {"type", "title", "status", "request_id"}
    assert problem["type"] == PROBLEM_PREFIX + "internal"
    log = capsys.readouterr().out
    assert problem["request_id"] in log
    assert "secret path" in log


async def test_every_answer_forbids_sniffing_and_names_no_version(api: Api) -> None:
    """X-Content-Type-Options is nosniff, Server tells the product alone."""
    for path in ("/healthz", "/nothing", "/logs", "/logs/public/checkpoint", "/logs/private/x"):
        async with api.http.get(path) as response:
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Server"] == "tlog"
