"""`rome top`: commits of all processes, statements of those that publish them."""

import threading

import pytest

import rome
from rome import metrics


@pytest.fixture
def busy(towns):
    """A database that another thread writes to until the test ends."""
    began, ended = threading.Event(), threading.Event()

    def work():
        connection = rome.connect(towns, isolation_level="AUTOCOMMIT")
        while not ended.is_set():
            connection.execute("UPDATE towns SET area = area + 1 WHERE id = 1")
            began.set()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    began.wait()
    yield towns
    ended.set()
    thread.join()
    metrics.stop()


def test_commits_without_published_statements(run, busy):
    found = run("top", "--json", "--interval", 0.5, busy).json
    assert found["commits"] > 0
    assert found["rows written"] == {"towns": found["commits"]}
    assert found["processes"] == []
    text = run("top", "--interval", 0.5, busy).out
    assert "table written" in text
    assert "rome.metrics.publish" in text


def test_statements_of_processes_that_publish_them(run, busy):
    metrics.publish(busy, every=0.05)
    found = run("top", "--json", "--interval", 1, busy).json
    (process,) = found["processes"]
    assert process["connections"] >= 1
    assert process["statements"] > 0
    (statement,) = [each for each in found["statements"] if each["sql"].startswith("UPDATE towns")]
    assert statement["rounds"] >= statement["count"] > 0
    text = run("top", "--interval", 1, busy).out
    assert "UPDATE towns SET area" in text
    assert "statements/s" in text


def test_a_log_that_is_too_short(run):
    url = "rome+memory:///short_log?log_commits=2"
    connection = rome.connect(url, isolation_level="AUTOCOMMIT")
    connection.execute("CREATE TABLE t (n INTEGER)")
    ended = threading.Event()

    def work():
        while not ended.is_set():
            connection.execute("INSERT INTO t VALUES (1)")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert "set a shorter --interval" in run("top", "--interval", 1, url).out
    finally:
        ended.set()
        thread.join()
    connection.close()


def test_no_database(run):
    assert "no such file" in run("top", "nothing.rome", code=2).err
    assert "127.0.0.1:1" in run("top", "rome+redis://127.0.0.1:1/app", code=1).err
