"""Request ids, and the lines of the program's log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tests.api.conftest import Api
from tlog.api.request_log import RequestLog, trace_id_of
from tlog.program_log import JSON, configure_log
from tlog.tokens import Scope

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def configured() -> Iterator[None]:
    """What a test configures is undone after it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


async def test_every_answer_has_an_id_of_its_own_that_its_problem_names(api: Api) -> None:
    """X-Request-Id stands on answers and problems; a client's own id is not taken over."""
    ids = set()
    paths = ("/healthz", "/nothing", "/logs", "/logs/public/checkpoint", "/logs/private/x")
    for path in paths:
        async with api.http.get(path, headers={"X-Request-Id": "mine"}) as response:
            request_id = response.headers["X-Request-Id"]
            ids.add(request_id)
            if response.status >= 400:
                problem = await response.json(content_type=None)
                assert problem["request_id"] == request_id
    assert len(ids) == len(paths)
    assert "mine" not in ids


async def test_the_request_log_holds_nothing_that_was_sent(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """No token, path, query, header or body; a log's name only from who may use it."""
    headers = api.bearer(Scope.READ, Scope.APPEND)
    for path in ("/logs/private/entries/7?mark=42", "/logs/private/marked", "/marked"):
        async with api.http.get(path, headers={"X-Mark": "marked"} | headers):
            pass
    async with api.http.post("/logs/private/add", data=b"marked", headers=headers) as response:
        assert response.status == 200
    async with api.http.get("/logs/guessed/checkpoint") as response:
        assert response.status == 401
    log = capsys.readouterr().out
    assert "/logs/{name}/entries/{index}" in log
    assert "/logs/{name}/add" in log
    assert "mark" not in log
    assert "guessed" not in log
    assert "private" in log
    token_id, secret = headers["Authorization"].removeprefix("Bearer tlog_").split("_", 1)
    assert token_id in log
    assert secret not in log


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        (PARENT, TRACE),
        (f"cc{PARENT[2:]}-more", TRACE),
        (None, None),
        ("", None),
        (PARENT.upper(), None),
        (f"ff{PARENT[2:]}", None),
        (PARENT.replace(TRACE, "0" * 32), None),
        (PARENT.replace("00f067aa0ba902b7", "0" * 16), None),
        (PARENT[:-1], None),
        (f"{PARENT}-{'x' * 300}", None),
        (f" {PARENT}", None),
    ],
)
def test_a_trace_id_is_taken_from_a_well_formed_header_only(
    header: str | None, trace_id: str | None
) -> None:
    """W3C Trace Context, section 3.2; nothing else of the header is ever looked at."""
    assert trace_id_of(header) == trace_id


@pytest.mark.usefixtures("configured")
def test_json_lines_hold_one_object_each(capsys: pytest.CaptureFixture[str]) -> None:
    """Our lines, errors with their traceback, and what libraries log: all are JSON."""
    configure_log(logging.INFO, JSON, "worker-1")
    logger = structlog.get_logger().bind()
    logger.info("request", status=200)
    try:
        int("x" * len("secret"))
    except ValueError as error:
        logger.error("request failed", exc_info=error)  # noqa: TRY400 - as the server does
    logging.getLogger("asyncio").error("a %s task", "lost")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["request", "request failed", "a lost task"]
    assert [line["level"] for line in lines] == ["info", "error", "error"]
    assert {line["process"] for line in lines} == {"worker-1"}
    assert "ValueError: invalid literal" in lines[1]["exception"]


@pytest.mark.usefixtures("configured")
def test_nothing_is_formatted_below_the_level() -> None:
    """At level warning a request costs one look at a flag."""
    configure_log(logging.WARNING)
    assert not RequestLog().enabled
    configure_log(logging.INFO)
    assert RequestLog().enabled
