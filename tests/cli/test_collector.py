"""Commands that read or write many rows do not spend their time in the garbage collector."""

import gc
import sqlite3

import pytest

ROWS = 30_000


@pytest.fixture
def source(tmp_path):
    connection = sqlite3.connect(tmp_path / "source.sqlite")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c)")
    connection.executemany("INSERT INTO t VALUES (?, ?, 'text', 1.5)", [(number, number) for number in range(ROWS)])
    connection.commit()
    connection.close()
    return tmp_path / "source.sqlite"


@pytest.fixture
def collections():
    """The generations of the collections since the test began."""
    found = []

    def note(phase, info):
        if phase == "start":
            found.append(info["generation"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_collections_are_rare(run, tmp_path, source, collections):
    before = gc.get_threshold()
    copy, dump = tmp_path / "copy.rome", tmp_path / "copy.dump"
    for command in (
        ("copy", source, copy),
        ("check", copy),
        ("dump", copy, dump),
        ("load", dump, tmp_path / "loaded.rome"),
    ):
        collections.clear()
        run(*command)
        assert len(collections) < ROWS / 1000, command
        assert gc.get_threshold() == before


def test_the_thresholds_are_restored_after_an_error(run, tmp_path, source):
    before = gc.get_threshold()
    run("copy", source, tmp_path / "copy.rome", "--tables", "nope", code=1)
    assert gc.get_threshold() == before
