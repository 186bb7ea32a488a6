"""The server's measures as Prometheus metrics; docs/metrics.md says what they mean.

Nothing is registered: a scrape takes the numbers of a host as they stand, and formats them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import accumulate
from typing import NamedTuple, Protocol

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from tlog.facts import LogFacts
from tlog.measures import (
    DatabaseFacts,
    Distribution,
    HttpHeld,
    LogMeasures,
    ServerMeasures,
    read_process_facts,
)

MEDIA_TYPES = ("text/plain", "application/openmetrics-text")
STATES = ("ready", "starting", "read-only", "stopping", "stopped")


class MeasuredLog(Protocol):
    """What a scrape wants of a log."""

    @property
    def facts(self) -> LogFacts:
        """The log as it stands."""

    @property
    def measures(self) -> LogMeasures:
        """The work on it."""

    @property
    def committed_size(self) -> int:
        """The size up to which it is durable; 0 when that cannot be read."""

    @property
    def queue_age_s(self) -> float:
        """How long the oldest entry that is not committed yet has waited in the queue."""


class MeasuredHost(Protocol):
    """What a scrape wants of a host."""

    @property
    def logs(self) -> Mapping[str, MeasuredLog]:
        """The logs by name."""

    @property
    def measures(self) -> ServerMeasures:
        """What was counted."""

    @property
    def queue_bytes(self) -> int:
        """Bytes that wait for a commit, or arrive."""

    @property
    def disk_free_bytes(self) -> int | None:
        """Free bytes for data, as measured last."""


class Described(NamedTuple):
    """A metric; kind is `counter`, `gauge` or `histogram`."""

    kind: str
    labels: tuple[str, ...]
    help: str


METRICS: Mapping[str, Described] = {
    "tlog_http_requests": Described(
        "counter", ("route", "method", "status"), "Requests by route, method, class of status."
    ),
    "tlog_http_request_duration_seconds": Described(
        "histogram", ("route",), "From a request's header to its answer, before it is sent."
    ),
    "tlog_http_problems": Described("counter", ("type",), "Refusals and failures by problem type."),
    "tlog_http_connections": Described("gauge", (), "Open connections."),
    "tlog_tls_failed_handshakes": Described(
        "counter", (), "Connections that ended before their TLS handshake was done."
    ),
    "tlog_tls_certificate_expiry_timestamp_seconds": Described(
        "gauge", (), "When the TLS certificate in use expires, in seconds since 1970."
    ),
    "tlog_http_bodies": Described("gauge", (), "Request bodies that are being read."),
    "tlog_http_response_bytes": Described("gauge", (), "Held by large answers under way."),
    "tlog_appends": Described(
        "counter", ("log", "result"), "Append requests: accepted, or the problem's name."
    ),
    "tlog_queue_bytes": Described("gauge", (), "Entries that wait for a commit or arrive."),
    "tlog_queue_oldest_seconds": Described("gauge", ("log",), "Age of the oldest queued entry."),
    "tlog_commits": Described("counter", ("log", "result"), "Commits: done or failed."),
    "tlog_committed_entries": Described("counter", ("log",), "Entries made durable."),
    "tlog_committed_entry_bytes": Described("counter", ("log",), "Bytes of those entries."),
    "tlog_commit_entries": Described("histogram", ("log",), "Entries of one commit."),
    "tlog_commit_duration_seconds": Described(
        "histogram", ("log",), "Writing one commit until it is durable."
    ),
    "tlog_index_duration_seconds": Described("histogram", ("log",), "Indexing one commit."),
    "tlog_publication_lag_seconds": Described(
        "histogram", ("log",), "From a commit to the publication that covers it."
    ),
    "tlog_publication_step_seconds": Described(
        "histogram", ("log", "step"), "The steps of a publication."
    ),
    "tlog_committed_size": Described("gauge", ("log",), "Tree size that is durable."),
    "tlog_published_size": Described("gauge", ("log",), "Tree size of the published checkpoint."),
    "tlog_log_state": Described("gauge", ("log", "state"), "1 for the state that the log is in."),
    "tlog_database_files": Described(
        "gauge", ("log", "database", "level"), "Tables of LevelDB, by level."
    ),
    "tlog_database_memory_bytes": Described(
        "gauge", ("log", "database"), "Memory of LevelDB: write buffers and cached blocks."
    ),
    "tlog_database_compaction_seconds": Described(
        "counter", ("log", "database"), "Time in compactions of LevelDB."
    ),
    "tlog_database_compaction_read_bytes": Described(
        "counter", ("log", "database"), "Read by compactions of LevelDB."
    ),
    "tlog_database_compaction_written_bytes": Described(
        "counter", ("log", "database"), "Written by compactions of LevelDB."
    ),
    "tlog_disk_free_bytes": Described("gauge", (), "Free space for data, above what was taken."),
    "tlog_worker_restarts": Described("counter", (), "Worker processes begun again."),
    "process_resident_memory_bytes": Described("gauge", ("process",), "Resident memory."),
    "process_cpu_seconds": Described("counter", ("process",), "CPU time, user and system."),
    "process_open_fds": Described("gauge", ("process",), "Open file descriptors."),
}

# By name of the log and place of the database.
Databases = Mapping[str, Mapping[str, DatabaseFacts]]
_KINDS = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class Scrape:
    """The numbers of a host at one moment; `collect` is what prometheus_client asks of it."""

    def __init__(
        self, host: MeasuredHost, shown: Collection[str], databases: Databases | None = None
    ) -> None:
        """Take the numbers, on the loop that owns them.

        Args:
            shown: the logs whose own numbers are shown.
            databases: what was read of theirs.
        """
        self._families: dict[str, Metric] = {}
        self._http(host.measures)
        self._server(host)
        for (name, result), count in host.measures.http.appends.items():
            if name in shown:
                self._value("tlog_appends", count, name, result)
        for name in shown:
            self._log(name, host.logs[name])
        for name, places in (databases or {}).items():
            for place, facts in places.items():
                self._database(facts, name, place)

    def collect(self) -> Iterable[Metric]:
        """The metrics in the order of their description."""
        return [self._family(name) for name in METRICS]

    def format(self, wanted: str) -> tuple[bytes, str]:
        """The text and its whole media type.

        wanted: one of MEDIA_TYPES, never a client's own header: choose_encoder raises for some.
        """
        encode, media_type = choose_encoder(wanted)
        return encode(self), media_type

    def _family(self, name: str) -> Metric:
        family = self._families.get(name)
        if family is None:
            kind, labels, text = METRICS[name]
            make = HistogramMetricFamily if kind == "histogram" else _KINDS[kind]
            family = self._families[name] = make(name, text, labels=labels)
        return family

    def _value(self, name: str, value: float, *labels: str) -> None:
        family = self._family(name)
        if isinstance(family, CounterMetricFamily | GaugeMetricFamily):
            family.add_metric(labels, value)

    def _distribution(self, name: str, values: Distribution, *labels: str) -> None:
        family = self._family(name)
        bounds = [*(format(bound, "g") for bound in values.bounds), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(values.counts)), strict=True))
        if isinstance(family, HistogramMetricFamily):
            family.add_metric(labels, buckets, values.total)

    def _http(self, measures: ServerMeasures) -> None:
        http = measures.http
        for (route, method, status_class), count in http.requests.items():
            self._value("tlog_http_requests", count, route, method, f"{status_class}xx")
        for route, durations in http.durations.items():
            self._distribution("tlog_http_request_duration_seconds", durations, route)
        for problem, count in http.problems.items():
            self._value("tlog_http_problems", count, problem)
        held: list[HttpHeld] = [http.held, *(each.held for each in measures.workers.values())]
        self._value("tlog_http_connections", sum(each.connections for each in held))
        self._value("tlog_http_bodies", sum(each.bodies for each in held))
        self._value("tlog_http_response_bytes", sum(each.response_bytes for each in held))
        self._value("tlog_tls_failed_handshakes", http.failed_handshakes)
        if measures.certificate_expires is not None:
            self._value(
                "tlog_tls_certificate_expiry_timestamp_seconds", measures.certificate_expires
            )
        self._value("tlog_worker_restarts", measures.worker_restarts)
        processes = {"core": read_process_facts()}
        processes |= {name: each.process for name, each in measures.workers.items()}
        for name, facts in processes.items():
            self._value("process_resident_memory_bytes", facts.resident_bytes, name)
            self._value("process_cpu_seconds", facts.cpu_s, name)
            self._value("process_open_fds", facts.descriptors, name)

    def _server(self, host: MeasuredHost) -> None:
        arriving = sum(each.held.arriving_bytes for each in host.measures.workers.values())
        self._value("tlog_queue_bytes", host.queue_bytes + arriving)
        if host.disk_free_bytes is not None:
            self._value("tlog_disk_free_bytes", host.disk_free_bytes)

    def _log(self, name: str, log: MeasuredLog) -> None:
        measures, facts = log.measures, log.facts
        self._value("tlog_queue_oldest_seconds", log.queue_age_s, name)
        self._value("tlog_commits", measures.commits, name, "done")
        self._value("tlog_commits", measures.failed_commits, name, "failed")
        self._value("tlog_committed_entries", measures.entries, name)
        self._value("tlog_committed_entry_bytes", measures.entry_bytes, name)
        self._distribution("tlog_commit_entries", measures.batch_entries, name)
        self._distribution("tlog_commit_duration_seconds", measures.commit_s, name)
        self._distribution("tlog_index_duration_seconds", measures.index_s, name)
        self._distribution("tlog_publication_lag_seconds", measures.lag_s, name)
        for step, durations in measures.steps_s.items():
            self._distribution("tlog_publication_step_seconds", durations, name, step)
        self._value("tlog_committed_size", log.committed_size, name)
        self._value("tlog_published_size", facts.size, name)
        for state in STATES:
            self._value("tlog_log_state", int(facts.state == state), name, state)

    def _database(self, facts: DatabaseFacts, log: str, place: str) -> None:
        for level, count in enumerate(facts.files):
            self._value("tlog_database_files", count, log, place, str(level))
        self._value("tlog_database_memory_bytes", facts.memory_bytes, log, place)
        compaction = "tlog_database_compaction"
        self._value(f"{compaction}_seconds", facts.compaction_s, log, place)
        self._value(f"{compaction}_read_bytes", facts.compaction_read_bytes, log, place)
        self._value(f"{compaction}_written_bytes", facts.compaction_written_bytes, log, place)
