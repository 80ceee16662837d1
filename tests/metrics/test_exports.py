"""prometheus-client, OpenTelemetry, and the notes of processes."""

import os
import time

import pytest

import rome
from rome import metrics
from rome.database.registry import open_database, release_database
from rome.errors import NotSupportedError
from rome.metrics.publisher import read_notes
from rome.storage.memory import MemoryStore
from rome.storage.store import Store
from rome.url import parse_url


@pytest.fixture(autouse=True)
def _stopped():
    yield
    metrics.stop()


def use(url):
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
        connection.execute("INSERT INTO t VALUES (1, 1), (2, 2)")
        connection.commit()
        connection.execute("SELECT * FROM t").fetchall()
    connection.close()


def test_prometheus(url):
    prometheus = pytest.importorskip("prometheus_client")
    registry = prometheus.CollectorRegistry()
    metrics.export_prometheus(registry)
    use(url)

    def value(name, **labels):
        return registry.get_sample_value(name, {"database": str(parse_url(url)), **labels})

    assert value("rome_statements_total", verb="select", outcome="done") == 1
    assert value("rome_rows_total") == 4
    assert value("rome_commits_total", outcome="committed") == 1
    assert value("rome_commit_keys_bucket", le="10.0") == 1
    assert value("rome_statement_seconds_count", verb="select") == 1
    assert value("rome_plan_cache_misses_total") >= 1
    assert value("rome_store_rounds_total") >= 2
    assert "# HELP rome_lock_wait_seconds" in prometheus.generate_latest(registry).decode()
    metrics.stop()
    assert value("rome_rows_total") is None


def test_prometheus_has_the_numbers_of_a_cache(url):
    prometheus = pytest.importorskip("prometheus_client")
    registry = prometheus.CollectorRegistry()
    metrics.export_prometheus(registry)
    url += "?staleness=3600"
    use(url)
    names = ["hits_total", "misses_total", "refusals_total", "bytes"]
    hits, misses, refusals, size = [
        registry.get_sample_value(f"rome_cache_{name}", {"database": str(parse_url(url))}) for name in names
    ]
    assert hits + misses > 0
    assert refusals == 0
    assert size >= 0
    assert "# TYPE rome_cache_age_seconds gauge" in prometheus.generate_latest(registry).decode()


def test_opentelemetry(url):
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    reader, spans, traces = InMemoryMetricReader(), InMemorySpanExporter(), TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(spans))
    metrics.export_opentelemetry(MeterProvider([reader]), traces)
    with traces.get_tracer("application").start_as_current_span("request"):
        use(url)
    connection = rome.connect(url)
    with pytest.raises(rome.Connection.OperationalError):
        connection.execute("SELECT * FROM nothing")
    connection.close()
    names = {
        metric.name: metric
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert sum(point.value for point in names["rome_rows"].data.data_points) == 4
    assert names["rome_commit_keys"].data.data_points[0].count == 1
    assert any(point.value for point in names["rome_store_rounds"].data.data_points)
    finished = {span.name: span for span in spans.get_finished_spans()}
    assert finished["commit"].attributes["rome.keys"] >= 2
    selects = [span for span in spans.get_finished_spans() if span.name == "select"]
    assert selects[0].parent.span_id == finished["request"].context.span_id
    assert selects[0].attributes["rome.rounds"] == 1
    assert selects[0].attributes["rome.rows"] == 2
    assert selects[0].start_time < selects[0].end_time
    assert selects[1].attributes["error.type"] == "OperationalError"


def test_published_notes(url):
    metrics.publish(url, every=0.05)
    use(url)
    database = open_database(parse_url(url))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        (found,) = read_notes(database.store)
        if "SELECT * FROM t" in found.statements:  # the last statement
            break
        time.sleep(0.05)
    assert found.name.endswith(f":{os.getpid()}")
    assert found.counts["rows"] == 4
    assert found.counts["commits"] == 1
    assert found.statements["SELECT * FROM t"].rows == 2
    metrics.stop()
    assert read_notes(database.store) == []
    release_database(database)


def test_a_forked_child_publishes_under_its_own_name(url):
    metrics.publish(url, every=0.05)
    database = open_database(parse_url(url))
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    deadline = time.monotonic() + 60
    names = set()
    while len(names) < (2 if database.store.is_shared else 1) and time.monotonic() < deadline:
        names = {each.name.rpartition(":")[2] for each in read_notes(database.store)}
        time.sleep(0.05)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    assert str(os.getpid()) in names
    assert (str(pid) in names) is database.store.is_shared
    release_database(database)


def test_a_store_without_a_place_for_notes(monkeypatch):
    monkeypatch.setattr(MemoryStore, "notes", Store.notes)
    with pytest.raises(NotSupportedError, match="no place"):
        metrics.publish("rome+memory:///no_notes")
    database = open_database(parse_url("rome+memory:///no_notes"))
    assert read_notes(database.store) == []
    release_database(database)
