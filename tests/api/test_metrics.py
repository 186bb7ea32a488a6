"""What `/metrics` shows, and that the documentation says the same."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import NoReturn

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import Api
from tlog.api import metrics as api_metrics
from tlog.errors import StoreError
from tlog.measures import STEPS, Distribution, HttpMeasures
from tlog.metrics import METRICS, Scrape
from tlog.tokens import Scope

ROOT = Path(__file__).parents[2]
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(text: str) -> Samples:
    """Every sample by its name and labels, as Prometheus' own parser reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(api: Api) -> Samples:
    """The samples of one scrape at the socket."""
    async with api.local.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parse(await response.text())


def measures_of(api: Api) -> HttpMeasures:
    """Those of the process that serves TCP."""
    return api.app.service.backend.http_measures


def test_the_documentation_has_exactly_the_metrics_that_there_are() -> None:
    """Names, kinds and labels of docs/metrics.md are those of the code, in its order."""
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    documented = [(name, kind, re.findall(r"`(\w+)`", labels)) for name, kind, labels in rows]
    assert documented == [(name, each.kind, list(each.labels)) for name, each in METRICS.items()]


async def test_alerts_use_metrics_that_there_are(api: Api) -> None:
    """Every sample that a documented alert looks at is one that a scrape can give."""
    async with api.local.get("/metrics"):
        pass
    text = (ROOT / "docs/metrics.md").read_text()
    used = set(re.findall(r"\btlog_[a-z_]+", "\n".join(re.findall(r"expr: (.*)", text))))
    endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    given = {name + ending for name, each in METRICS.items() for ending in endings[each.kind]}
    assert used
    assert used <= given


async def test_requests_are_counted_by_route_and_outcome(api: Api) -> None:
    """Appends, refusals and durations are counted once each, under words of the server's own."""
    headers = api.bearer(Scope.APPEND, Scope.READ)
    for _ in range(3):
        async with api.http.post("/logs/private/add", data=b"x", headers=headers) as response:
            assert response.status == 200
    async with api.http.get("/secret-path", headers=headers) as response:
        assert response.status == 404
    async with api.http.post("/logs/private/add", data=b"x" * 65_536, headers=headers) as response:
        assert response.status == 413
    if api.app.service.backend is not api.host:
        api.host.measures.reported("worker-0", measures_of(api).take())
    samples = await scrape(api)
    route = ("route", "/logs/{name}/add")
    requests = "tlog_http_requests_total"
    assert samples[requests, (("method", "POST"), route, ("status", "2xx"))] == 3
    assert samples[requests, (("method", "POST"), route, ("status", "4xx"))] == 1
    assert samples[requests, (("method", "GET"), ("route", "none"), ("status", "4xx"))] == 1
    assert samples["tlog_http_request_duration_seconds_count", (route,)] == 4
    assert samples["tlog_http_problems_total", (("type", "not-found"),)] == 1
    log = ("log", "private")
    assert samples["tlog_appends_total", (log, ("result", "accepted"))] == 3
    assert samples["tlog_appends_total", (log, ("result", "body-too-large"))] == 1
    assert samples["tlog_http_connections", ()] >= 1
    assert samples["tlog_log_state", (log, ("state", "ready"))] == 1
    assert samples["tlog_committed_size", (log,)] == 4
    text = str(samples)
    assert "secret" not in text
    assert headers["Authorization"].split("_")[1] not in text


async def test_databases_are_shown_by_log_and_place(api: Api) -> None:
    """Tables by level, memory and compactions; of a log that does not tell, everything else."""
    api.host.logs["events"].databases_error = StoreError("index/ is closed")
    samples = await scrape(api)
    place = (("database", "log"), ("log", "private"))
    assert samples["tlog_database_files", (*place[:1], ("level", "1"), *place[1:])] == 2
    assert samples["tlog_database_memory_bytes", place] == 4096
    assert samples["tlog_database_compaction_seconds_total", place] == 5
    assert samples["tlog_database_compaction_read_bytes_total", place] == 6 << 20
    assert samples["tlog_database_compaction_written_bytes_total", place] == 7 << 20
    told = {dict(labels)["log"] for name, labels in samples if name.startswith("tlog_database")}
    assert told == {"public", "private"}
    assert samples["tlog_committed_size", (("log", "events"),)] == 1


async def test_databases_that_do_not_answer_hold_nothing_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scrape waits for them for a bounded time, and shows the rest."""
    monkeypatch.setattr(api_metrics, "DATABASES_TIMEOUT_S", 0.05)

    async def hang() -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(api.host.logs["private"], "read_database_facts", hang)
    async with asyncio.timeout(20):
        samples = await scrape(api)
    assert samples["tlog_committed_size", (("log", "private"),)] == 1
    assert ("tlog_database_memory_bytes", (("database", "log"), ("log", "private"))) not in samples


async def test_openmetrics_is_given_to_who_asks_for_it(api: Api) -> None:
    """By Accept, and ended as that format wants."""
    headers = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with api.local.get("/metrics", headers=headers) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (["application/openmetrics-text;version=abc"], "application/openmetrics-text"),
        (["application/openmetrics-text;version=1..0;escaping=x"], "application/openmetrics-text"),
        (["text/plain;version=abc"], "text/plain"),
        (["text/html", "application/openmetrics-text;q=0.1"], "application/openmetrics-text"),
        (
            ["application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2,*/*;q=0.1"],
            "application/openmetrics-text",
        ),
        (["text/html,*/*;q=0.8"], "text/plain"),
        (["text/html"], None),
    ],
)
async def test_any_accept_has_an_answer(api: Api, accept: list[str], given: str | None) -> None:
    """Whatever parameters a media type has, and in however many lines; 406 if there is none."""
    headers = [("Accept", line) for line in accept]
    async with api.local.get("/metrics", headers=headers) as response:
        assert response.status == (406 if given is None else 200)
        assert response.content_type == (given or "application/problem+json")


async def test_nobody_but_the_operator_sees_metrics(api: Api) -> None:
    """On TCP there is no such resource, whatever the token."""
    async with api.http.get("/metrics", headers=api.bearer(*Scope)) as response:
        assert response.status == 404


def test_a_distribution_counts_up_to_each_bound() -> None:
    """A value at a bound counts below it, one above all bounds in the last place."""
    values = Distribution((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 99.0):
        values.observe(value)
    assert (values.counts, values.total) == ([2, 1, 1], 102.0)


def test_reports_add_up_and_gauges_end_with_their_process(api: Api) -> None:
    """Two reports of one worker count twice, what it holds counts once, and not after its end."""
    worker = HttpMeasures()
    worker.watch_connections([1, 2])
    measures = api.host.measures
    for _ in range(2):
        worker.answered("/x", "GET", 200, 0.001)
        measures.reported("worker-9", worker.take())
    assert measures.http.requests["/x", "GET", 2] == 2
    assert sum(measures.http.durations["/x"].counts) == 2
    assert worker.take().requests == []
    before = parse(Scrape(api.host, []).format("text/plain")[0].decode())[
        "tlog_http_connections", ()
    ]
    measures.forget("worker-9")
    after = parse(Scrape(api.host, []).format("text/plain")[0].decode())[
        "tlog_http_connections", ()
    ]
    assert before - after == 2


def test_steps_are_all_documented() -> None:
    """The table names each step of a publication."""
    text = (ROOT / "docs/metrics.md").read_text()
    assert all(f"`{step}`" in text for step in STEPS)
