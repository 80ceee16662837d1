"""The benchmarks run. Their measurements are not tested."""

import json
import re
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

import rome
from benchmarks import bench, servers, wan
from benchmarks.backends import BACKENDS, Opened
from benchmarks.delay import delayed, relayed
from benchmarks.layers import LAYERS, layers
from benchmarks.pace import LEAST_ROUNDS, Pace
from benchmarks.plans import workspace_only
from benchmarks.report.compare import changes
from benchmarks.report.page import write_page
from benchmarks.report.ratios import quartiles
from benchmarks.schema import fill


def test_comparison_with_servers(url, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(servers, "SERVERS", 30)
    monkeypatch.setattr(servers, "TURNS", 1)
    monkeypatch.setattr("sys.argv", ["servers", "--rome", url, f"sqlite:///{tmp_path}/compared.db"])
    servers.main()
    printed = capsys.readouterr().out
    for column in ("session.get", "insert + commit", "rome, µs", "sqlite, µs", servers.SQLALCHEMY_ONLY):
        assert column in printed


def test_the_compiled_evaluator_is_switched_off(url):
    engine = create_engine(url)
    explain = text("EXPLAIN PLAN FOR SELECT a FROM t WHERE id = 1")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER PRIMARY KEY, a)"))

    def explained() -> str:
        with engine.connect() as connection:
            return str(connection.execute(explain).all())

    before = explained()
    with workspace_only(engine):
        assert "switched off" in explained()
    assert explained() == before
    engine.dispose()


def test_a_delayed_round_trip(redis_server):
    with delayed(redis_server.url("delayed"), 30.0) as slow:
        connection = rome.connect(slow)
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        connection.commit()
        began = time.perf_counter()
        connection.execute("SELECT * FROM t WHERE id = 1").fetchall()
        assert time.perf_counter() - began >= 0.03
        connection.close()
        rome.drop_database(slow)


def test_round_trips_are_counted_on_the_wire(redis_server):
    with relayed(redis_server.url("counted")) as relay:
        connection = rome.connect(relay.url)
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        connection.commit()
        before = relay.round_trips
        connection.execute("SELECT * FROM t WHERE id = 1").fetchall()
        connection.rollback()
        assert relay.round_trips == before + 1
        connection.close()
        rome.drop_database(redis_server.url("counted"))


@pytest.mark.slow
def test_report_of_some_cases(tmp_path):
    files = tmp_path / "measured.json", tmp_path / "report.html"
    arguments = ["--quick", "--only", "session.get or count", "--backends", "ROME in a file,SQLite file"]
    ended = CliRunner().invoke(bench.main, [*arguments, "--json", str(files[0]), "--html", str(files[1])])
    assert ended.exit_code == 0, ended.output
    assert "ROME in a file: faster than the fastest competitor in" in ended.output
    measured = json.loads(files[0].read_text(encoding="utf-8"))
    assert {row["case"] for row in measured["cases"]} == {"session.get", "count of a range", "count of all"}
    assert "session.get" in files[1].read_text(encoding="utf-8")


def test_page_of_everything(tmp_path):
    """A page is made of a file of measurements, also for databases that lack some."""
    cases = [
        {
            "group": "ORM",
            "case": "get",
            "backend": backend,
            "kind": kind,
            "durability": durability,
            "microseconds": times,
        }
        for durability in ("relaxed", "synced")
        for backend, kind, times in (
            ("ROME on Valkey", "rome", [90.0, 100.0, 110.0]),
            ("ROME in a file", "rome", [98.0, 100.0, 102.0]),
            ("PostgreSQL, psycopg", "server", [300.0, 310.0, 305.0]),
            ("SQLite file", "embedded", [50.0, 51.0]),
        )
    ]
    about = {
        "date": "2026-01-01",
        "quick": True,
        "rome": "0",
        "commit": "",
        "python": "3",
        "system": "",
        "cores": 1,
        "processor": "",
        "load": 0.0,
        "packages": {"a": "1"},
        "settings": {"Valkey": {"appendfsync": "everysec"}},
        "missing": {"MariaDB, PyMySQL": "no <driver>"},
    }
    layers = dict.fromkeys(LAYERS, 100)
    rest = {
        "round_trips": [{"case": "get", "backend": "ROME on Valkey", "round_trips": 1.0}],
        "latency": [
            {"case": "get", "backend": backend, "kind": kind, "delay": delay, "milliseconds": time * delay}
            for delay in (10.0, 50.0)
            for backend, kind, time in (("ROME on Valkey", "rome", 1.0), ("PostgreSQL, psycopg", "server", 3.0))
        ],
        "concurrency": [
            {"backend": name, "processes": 2, "per_second": 100.0, "median": 1.0, "p99": 2.0, "conflicts": 0.01}
            for name in ("ROME on Valkey", "SQLite file")
        ],
        "growth": [
            {"case": "get", "backend": "ROME on Valkey", "rows": rows, "microseconds": 100.0}
            for rows in (10, 100, 1000)
        ],
        "bytes": [{"backend": "ROME on Valkey", "bytes": 700.0}],
        "services": [
            {
                "group": f"Nova, {size}",
                "case": "service_update",
                "backend": backend,
                "kind": kind,
                "durability": "relaxed",
                "service": "Nova",
                "size": size,
                "request": "heartbeat",
                "microseconds": [time],
            }
            for size in (100, 200)
            for backend, kind, time in (
                ("ROME on Valkey", "rome", 100.0),
                ("PostgreSQL, psycopg", "server", 1.0 * size),
            )
        ],
        "layers": [
            {"group": "ORM", "case": "get", "backend": "ROME on Valkey", "layers": layers},
            {"group": "ORM", "case": "get", "backend": "ROME in a file", "layers": {**layers, "decode": 4321}},
        ],
        "service_round_trips": [
            {
                "group": "Nova",
                "case": "service_update",
                "backend": "ROME on Valkey",
                "round_trips": 2.5,
                "layers": layers,
            }
        ],
    }
    result = {"about": about, "cases": cases, **rest}
    verdict = write_page(result, tmp_path / "page.html")
    assert verdict.startswith("ROME on Valkey: faster than the fastest competitor in 2 of 2 cases")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "no &lt;driver&gt;" in page
    assert "1.00 %" in page
    assert "in 1 of 1 cases with 10 ms a round trip; geometric mean of the ratios 3.00" in page
    assert "ROME on Valkey: faster than the fastest competitor in 1 of 2 service functions" in page
    slower = page.partition("<h2>What remains slower, and its cause</h2>")[2].partition("<h2>")[0]
    assert re.search(
        r"<h3>ROME in a file</h3>.*>get<.*decodes rows.*0\.5.*SQLite file<.*decode, 4,321", slower, re.DOTALL
    )
    assert "ROME on Valkey" not in slower
    assert re.search(r"service_update.*>1\.00\s*<td.*>2\.00", page)
    slower = {**result, "cases": [{**row, "microseconds": [2 * each for each in row["microseconds"]]} for row in cases]}
    assert "get, ROME on Valkey: 100 → 200 µs, 100% slower" in list(changes(result, slower))
    assert list(changes(result, result)) == ["no case changed beyond the noise"]


def test_the_spread_of_two_rounds_is_within_them():
    assert quartiles({"microseconds": [1.0, 9.0]}) == (3.0, 7.0)


def test_instructions_by_layer():
    rome.drop_database("rome+memory:///layers")
    connection = rome.connect("rome+memory:///layers")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    connection.execute("INSERT INTO t VALUES (1, 2)")
    connection.commit()
    counted = layers(lambda: connection.execute("SELECT a FROM t WHERE id = 1").fetchall())
    assert tuple(counted) == LAYERS
    assert counted["SQLAlchemy"] == counted["commit"] == 0
    assert min(counted[each] for each in ("statement", "plan", "store", "evaluate")) > 0
    connection.close()
    rome.drop_database("rome+memory:///layers")


class Measured:
    """pytest-benchmark's fixture: runs the work as often as it is to, and says how long it took."""

    def __init__(self, took: list[float]) -> None:
        self.rounds = 0
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=took))

    def pedantic(self, work, setup, rounds):
        self.rounds = rounds


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, LEAST_ROUNDS), (60.0, 5)])
def test_a_case_is_repeated_as_its_time_allows(seconds, rounds):
    measured = Measured([1.0])
    Pace(5, seconds).measure(("case",), measured, lambda: None, lambda: None)
    assert measured.rounds == rounds


def test_passes_end_when_they_agree():
    pace = Pace(5, 1.0)
    for median in (1.0, 1.2):
        pace.measure(("agree",), Measured([1.0]), lambda: None, lambda: None)
        pace.measure(("differ",), Measured([median]), lambda: None, lambda: None)
    with pytest.raises(pytest.skip.Exception):
        pace.measure(("agree",), Measured([1.0]), lambda: None, lambda: None)
    pace.measure(("differ",), Measured([1.0]), lambda: None, lambda: None)


def test_how_old_reads_were():
    """A read is as old as the first commit to its row that had ended before, and that it did not see."""
    commits = [(0.9, 1.0, 7, "a"), (1.9, 2.0, 7, "b"), (1.95, 2.1, 7, "with b"), (2.9, 3.0, 8, "c")]
    reads = [(1.5, 7, "a"), (2.5, 7, "a"), (2.5, 7, "b"), (2.5, 7, ""), (2.9, 8, ""), (0.5, 7, "")]
    outcome = wan.Outcome([], 0, [wan.Seen(began, began, *row) for began, *row in reads], [])
    changes = wan.Outcome([], 0, [], [wan.Seen(*each) for each in commits])
    assert wan.ages([outcome, changes]) == [0.0, 0.0, 0.0, 0.0, 500.0, 1500.0]


@pytest.mark.slow
def test_sites_at_a_distance(redis_server):
    url = redis_server.url("sites")
    engine = create_engine(url)
    fill(engine, wan.SERVERS, children=False)
    engine.dispose()
    opened = Opened(BACKENDS[0], engine, url, lambda work: work())
    cells = wan.measure(opened, {"staleness": "1"}, [0.0, 1.0], 0.9, 0.5)
    assert len(cells) == 7
    rome.drop_database(url)
