"""The benchmarks run. Their measurements are not tested."""

import time

from sqlalchemy import create_engine, text

import rome
from benchmarks import servers
from benchmarks.delay import delayed
from benchmarks.plans import workspace_only


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
