"""The store of a process whose standard library eventlet has replaced, as services on oslo.service do."""

import subprocess
import sys

import pytest

import rome

pytest.importorskip("eventlet")

pytestmark = pytest.mark.server

PROGRAM = """
import eventlet

eventlet.monkey_patch()

import sys

import rome

connection = rome.connect(sys.argv[1])
connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
connection.execute("INSERT INTO t VALUES (1, 'a')")
connection.commit()
threads = [eventlet.spawn(rome.connect(sys.argv[1]).execute, "SELECT name FROM t") for _ in range(3)]
print([thread.wait().fetchall() for thread in threads])
"""


def test_green_threads(redis_server):
    url = redis_server.url("eventlet")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, url], capture_output=True, text=True, check=False
    )
    rome.drop_database(url)
    assert done.stdout == "[[('a',)], [('a',)], [('a',)]]\n", done.stderr
