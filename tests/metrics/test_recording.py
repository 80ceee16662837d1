"""`rome.metrics`: what is counted, and what that costs."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

import rome
from rome import events, metrics
from rome.errors import Conflict
from rome.metrics.measurements import (
    COMMIT_KEYS,
    COMMITS,
    LOCK_WAITS,
    REPLAYS,
    RETRIES,
    ROWS,
    STATEMENT_ROUNDS,
    STATEMENTS,
)
from rome.metrics.recorder import _MOST_STATEMENTS, OTHERS
from rome.url import parse_url

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _stopped():
    yield
    metrics.stop()


def label(url):
    """Return a URL as the label of a measurement: without the password."""
    return str(parse_url(url))


@pytest.fixture
def table(url):
    with rome.connect(url) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
        connection.execute("INSERT INTO t VALUES (1, 1), (2, 2)")
    connection.close()
    return url


def test_nothing_is_observed_before_it_is_asked_for():
    assert events.observers == ()


def test_statements_and_commits(table):
    recorder = metrics.record()
    connection = rome.connect(table)
    connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    connection.execute("UPDATE t SET n = 7 WHERE id = 1")
    connection.commit()
    with pytest.raises(rome.Connection.OperationalError):
        connection.execute("SELECT * FROM nothing")
    connection.close()
    assert recorder.count(STATEMENTS, label(table), "select", "done") == 1
    assert recorder.count(STATEMENTS, label(table), "select", "OperationalError") == 1
    assert recorder.count(ROWS, label(table)) == 3
    assert recorder.count(COMMITS, label(table), "committed") == 1
    assert recorder.histograms[COMMIT_KEYS][label(table),].total == 1
    assert recorder.histograms[STATEMENT_ROUNDS][label(table), "update"].buckets[:2] == [1, 0]
    totals = recorder.statements(label(table))["UPDATE t SET n = 7 WHERE id = 1"]
    assert (totals.count, totals.errors, totals.rows) == (1, 0, 1)
    assert totals.seconds == totals.longest > 0


def test_rounds_of_a_statement_are_those_of_its_thread(table):
    recorder = metrics.record()
    connection = rome.connect(table)
    other = rome.connect(table, isolation_level="AUTOCOMMIT")

    def disturb():
        thread = threading.Thread(target=lambda: [other.execute("SELECT * FROM t") for _ in range(9)])
        thread.start()
        thread.join()
        return 1

    connection.create_function("disturb", 0, disturb, deterministic=True)
    sql = "SELECT disturb(), n FROM t WHERE id = 1 AND disturb() = 1"
    connection.execute(sql).fetchall()
    assert recorder.statements(label(table))[sql].rounds == 1


def test_conflicts_and_replays(table):
    recorder = metrics.record()
    one, other = rome.connect(table), rome.connect(table)
    for sql in ("UPDATE t SET n = n + 1 WHERE id = 1", "UPDATE t SET n = 9 WHERE id = (SELECT min(id) FROM t)"):
        for connection in (one, other):
            connection.execute(sql)
        one.commit()
        other.commit()
    one.execute("SELECT n FROM t WHERE id = 2").fetchall()
    one.execute("UPDATE t SET n = 5 WHERE id = 2")
    with other:
        other.execute("UPDATE t SET n = 6 WHERE id = 2")
    with pytest.raises(Conflict):
        one.commit()
    assert recorder.count(COMMITS, label(table), "conflict") >= 2
    assert recorder.count(REPLAYS, label(table), "committed") >= 1
    assert recorder.count(REPLAYS, label(table), "refused") == 1
    one.close()
    other.close()


def test_retries(url):
    from rome.orm import Session, run_transaction

    recorder = metrics.record()
    tries = []

    def work(session):
        session.execute(text("SELECT 1"))
        tries.append(1)
        if len(tries) < 3:
            raise Conflict("made up")

    run_transaction(lambda: Session(url=url), work, base_ms=0)
    assert recorder.count(RETRIES) == 2


def test_lock_waits(table):
    recorder = metrics.record()
    sql = "SELECT * FROM t WHERE id = 1 FOR UPDATE"
    holder, waiter = rome.connect(table), rome.connect(table, lock_timeout=300)
    holder.execute(sql)
    thread = threading.Thread(target=waiter.execute, args=(sql,))
    thread.start()
    transaction = None
    while transaction is None or transaction.row_locks is None or transaction.row_locks._hold.waits_for is None:
        transaction = waiter._control.transaction
        time.sleep(0.01)
    holder.rollback()
    thread.join()
    assert sum(recorder.histograms[LOCK_WAITS][()].buckets) >= 1
    waiter.close()
    holder.close()


def test_texts_are_bounded():
    url = "rome+memory:///many_texts"
    recorder = metrics.record()
    connection = rome.connect(url)
    for number in range(_MOST_STATEMENTS + 100):
        connection.execute(f"SELECT {number}")
    statements = recorder.statements(url)
    assert len(statements) <= _MOST_STATEMENTS
    assert statements[OTHERS].count > 100
    assert sum(each.count for each in statements.values()) == _MOST_STATEMENTS + 100
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_counts_from_zero(table):
    recorder = metrics.record()
    connection = rome.connect(table)
    connection.execute("SELECT * FROM t").fetchall()
    pid = os.fork()
    if pid == 0:
        os._exit(int(recorder.count(STATEMENTS)))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert recorder.count(STATEMENTS) == 1
    connection.close()


def test_stopping_stops():
    recorder = metrics.record()
    assert metrics.record() is recorder
    metrics.stop()
    assert events.observers == ()
    assert metrics.record() is not recorder


def test_events_of_each_kind_are_added_up_by_their_labels(table):
    """Commits and replays with other outcomes, and statements of other databases and with other errors, are apart."""
    recorder = metrics.record()
    url, other = parse_url(table), parse_url("rome+memory:///labels_of_another")
    rows = [
        events.CommitEnded(place, number * 0.001, number, number * 10, error)
        for place, error, number in (
            (url, None, 1),
            (other, None, 2),
            (url, Conflict, 3),
            (url, OSError, 4),
            (url, None, 5),
        )
    ]
    replays = [events.ReplayEnded(url, is_committed) for is_committed in (True, False, True)]
    statements = [
        events.StatementEnded(place, "select", sql, 0.5, 1, rows, error)
        for place, sql, rows, error in (
            (url, "SELECT 1", 1, None),
            (url, "SELECT 2", 2, None),
            (url, "SELECT 1", 4, None),
            (other, "SELECT 1", 8, None),
            (url, "SELECT 1", 0, Conflict),
        )
    ]
    for event in (*rows, *replays, *statements, events.Retried(), events.LockWaited(0.5), events.Retried()):
        events.report(event)
    commits = {
        outcome: recorder.count(COMMITS, label(table), outcome) for outcome in ("committed", "conflict", "failed")
    }
    assert commits == {"committed": 2, "conflict": 1, "failed": 1}
    assert recorder.histograms[COMMIT_KEYS][label(table),].total == 1 + 3 + 4 + 5
    assert recorder.histograms[COMMIT_KEYS][str(other),].total == 2
    assert recorder.count(REPLAYS, label(table), "committed") == 2
    assert recorder.count(REPLAYS, label(table), "refused") == 1
    assert recorder.count(ROWS, label(table)) == 7
    assert recorder.count(ROWS, str(other)) == 8
    assert recorder.statements(label(table))["SELECT 1"].errors == 1
    assert recorder.statements(label(table))["SELECT 1"].count == 3
    assert recorder.count(RETRIES) == 2
    assert recorder.histograms[LOCK_WAITS][()].total == 0.5


def test_several_observers_see_each_event(table):
    seen: list[list[events.Event]] = [[], []]
    for each in seen:
        events.add_observer(each.append)
    with rome.connect(table) as connection:
        connection.execute("UPDATE t SET n = 3")
    events.remove_observer(seen[0].append)
    connection.execute("SELECT * FROM t")
    events.remove_observer(seen[1].append)
    connection.execute("SELECT * FROM t")
    connection.close()
    kinds = [[type(event).__name__ for event in each] for each in seen]
    assert kinds == [["StatementEnded", "CommitEnded"], ["StatementEnded", "CommitEnded", "StatementEnded"]]


INSTRUCTIONS_OF_A_HOT_GET = """
import rome
from benchmarks.costs import count
from rome import metrics

connection = rome.connect("rome+memory:///hot_get")
connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
connection.execute("INSERT INTO t VALUES (1)")
connection.commit()

def get():
    for _ in range(4000):
        connection.execute("SELECT * FROM t WHERE id = ?", (1,)).fetchall()
        connection.commit()

def instructions():
    get()
    return count(get).instructions / 4000

without = instructions()
metrics.record()
print(instructions() - without)
"""


@pytest.mark.slow
def test_a_hot_get_takes_few_instructions_more():
    """With what it takes to add the events up. Counts do not depend on the machine, but on Python's version."""
    command = [sys.executable, "-c", INSTRUCTIONS_OF_A_HOT_GET]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert float(printed) < 95


CALLS_OF_A_HOT_GET = """
import cProfile, pstats
import rome
from rome import metrics

connection = rome.connect("rome+memory:///hot_get")
connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
connection.execute("INSERT INTO t VALUES (1)")
connection.commit()

def calls():
    profile = cProfile.Profile()
    for count in (50, 200):
        if count == 200:
            profile.enable()
        for _ in range(count):
            connection.execute("SELECT * FROM t WHERE id = ?", (1,)).fetchall()
            connection.commit()
    profile.disable()
    return pstats.Stats(profile).total_calls / 200

without = calls()
metrics.record()
print(calls() - without)
"""


def test_a_hot_get_makes_few_calls_more():
    """In a process of its own: where tasks of an event loop were used, each look for a task is dearer."""
    command = [sys.executable, "-c", CALLS_OF_A_HOT_GET]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert float(printed) < 9
