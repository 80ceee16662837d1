"""The bulk loader of `rome copy`: rows as statements would make them, and refusals."""

import sqlite3

import pytest

import rome
from rome.cli.copy import rows as module
from rome.cli.copy.bulk import loader_for
from rome.cli.failures import CommandFailure
from rome.errors import IntegrityError

SCHEMA = """
    CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, n NUMERIC,
                    twice GENERATED ALWAYS AS (n * 2) STORED, thrice AS (n * 3), CHECK (n <> 13));
    CREATE TABLE b (x TEXT NOT NULL, y INTEGER, note BLOB, PRIMARY KEY (x, y)) WITHOUT ROWID;
    CREATE TABLE c (text TEXT, number INTEGER);
    CREATE TABLE d (name TEXT PRIMARY KEY, a INTEGER REFERENCES a);
    CREATE TABLE e (id INTEGER PRIMARY KEY, t TEXT);
    CREATE INDEX b_note ON b (note);
    CREATE INDEX e_lower ON e (lower(t));
    CREATE TABLE log (text TEXT);
    CREATE TRIGGER e_log AFTER INSERT ON e BEGIN INSERT INTO log VALUES (new.t); END;
    CREATE VIEW names AS SELECT name FROM a;
"""


@pytest.fixture
def source(tmp_path):
    connection = sqlite3.connect(tmp_path / "source.sqlite")
    connection.executescript(SCHEMA)
    values = [(None, None), ("Roma", "7"), ("x", 2.5), ("y", "text"), ("z", b"\x00\xff"), ("é\n", 2**62)]
    connection.executemany("INSERT INTO a (name, n) VALUES (?, ?)", values)
    connection.executemany("INSERT INTO b VALUES (?, ?, ?)", [("k", at, b"x" * at) for at in range(1, 30)])
    connection.executemany("INSERT INTO c VALUES (?, ?)", [("same", 1), ("same", 1), (None, None)])
    connection.execute("DELETE FROM c WHERE rowid = 1")
    connection.executemany("INSERT INTO d VALUES (?, ?)", [("one", 1), ("orphan", 99)])
    connection.executemany("INSERT INTO e (t) VALUES (?)", [("Big",), ("small",)])
    connection.commit()
    connection.close()
    return tmp_path / "source.sqlite"


def contents(url):
    connection = rome.connect(url)
    tables = ("a", "b", "d", "e", "log")
    found = {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in tables[:4]}
    found["c"] = connection.execute("SELECT rowid, * FROM c ORDER BY rowid").fetchall()
    found["log"] = connection.execute("SELECT * FROM log ORDER BY 1").fetchall()
    connection.close()
    return found


def test_rows_are_those_that_statements_make(run, source, url, monkeypatch):
    assert "differs" not in run("copy", source, url, "--batch", 4).err
    loaded = contents(url)
    assert "no faults" in run("check", url, "--no-foreign-keys").out
    rome.drop_database(url)
    monkeypatch.setattr(module, "loader_for", lambda *_: None)
    run("copy", source, url)
    assert contents(url) == loaded
    assert loaded["a"][1][:3] == (2, "Roma", 7)
    assert len(loaded["log"]) == 2


def test_most_tables_are_loaded_in_bulk(run, source, url):
    run("copy", source, url)
    connection = rome.connect(url)
    assert loader_for(connection, "a", ("id", "name", "n")) is not None
    assert loader_for(connection, "c", ("rowid", "text")) is not None
    assert loader_for(connection, "c", ("text",)) is None
    assert loader_for(connection, "e", ("id", "t")) is None  # a trigger, and an index of an expression
    assert loader_for(connection, "nothing", ("id",)) is None
    connection.close()


def test_ids_go_on_after_the_loaded_ones(run, source, url):
    run("copy", source, url)
    with rome.connect(url) as connection:
        connection.execute("INSERT INTO a (name) VALUES ('new')")
        assert connection.execute("SELECT id FROM a WHERE name = 'new'").fetchone() == (7,)
    connection.close()


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ((1, "other", 1), CommandFailure, "has one of the keys already"),
        ((9, "ROMA", 1), CommandFailure, "has one of the keys already"),
        ((9, "other", 13), IntegrityError, "CHECK constraint failed"),
        (("text", "other", 1), IntegrityError, "datatype mismatch"),
    ],
)
def test_what_statements_refuse_is_refused(run, source, url, row, error, message):
    run("copy", source, url)
    before = contents(url)
    connection = rome.connect(url)
    loader = loader_for(connection, "a", ("id", "name", "n"))
    with pytest.raises(error, match=message):
        loader.commit(loader.encode([(20, "fine", 1), row]))
    assert contents(url) == before
    loader.commit(loader.encode([(20, "fine", 1)]))
    assert connection.execute("SELECT twice FROM a WHERE id = 20").fetchone() == (2,)
    connection.close()


def test_a_duplicate_within_a_batch(run, source, url):
    run("copy", source, url)
    connection = rome.connect(url)
    loader = loader_for(connection, "b", ("x", "y", "note"))
    with pytest.raises(IntegrityError, match="UNIQUE"):
        loader.commit(loader.encode([("new", 1, None), ("new", 1, None)]))
    with pytest.raises(IntegrityError, match="NOT NULL"):
        loader.commit(loader.encode([(None, 1, None)]))
    connection.close()


def test_a_schema_that_changes_meanwhile(run, source, url):
    run("copy", source, url)
    connection, other = rome.connect(url), rome.connect(url)
    loader = loader_for(connection, "c", ("rowid", "text"))
    other.execute("ALTER TABLE c ADD COLUMN more TEXT NOT NULL DEFAULT 'x'")
    other.commit()
    with pytest.raises(CommandFailure, match="was changed during the copy"):
        loader.commit(loader.encode([(50, "late")]))
    other.close()
    connection.close()
