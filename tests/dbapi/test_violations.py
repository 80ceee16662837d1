"""Integrity errors name the violated constraint where SQLite's messages do not."""

import pickle

import pytest

import rome
from rome.errors import IntegrityError

SCHEMA = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, a TEXT, b TEXT, UNIQUE (a, b), CHECK (a <> 'x'));
CREATE TABLE child (
    id INTEGER PRIMARY KEY,
    n TEXT NOT NULL,
    first INTEGER REFERENCES parent (id) ON DELETE RESTRICT,
    second INTEGER CONSTRAINT fk_second REFERENCES parent (id) ON UPDATE CASCADE,
    a TEXT, b TEXT,
    CONSTRAINT fk_pair FOREIGN KEY (a, b) REFERENCES parent (a, b) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT "Short" CHECK (length(n) < 5)
);
CREATE TABLE "odd, one" (id INTEGER PRIMARY KEY, "a b" INTEGER, up REFERENCES "odd, one" ON DELETE CASCADE);
CREATE UNIQUE INDEX one_name ON "odd, one" ("a b");
CREATE UNIQUE INDEX lowered ON child (lower(n));
CREATE TRIGGER shadow AFTER UPDATE OF a ON parent BEGIN INSERT INTO child (n) VALUES ('too long'); END;
INSERT INTO parent VALUES (1, '1', 'one'), (2, '2', 'two'), (3, '3', 'three');
INSERT INTO child VALUES (1, 'n', 1, 2, '3', 'three');
INSERT INTO "odd, one" VALUES (1, 1, NULL), (2, 2, 1);
"""

FAILURES = [
    # statement, what was found: table, columns, constraint, parent
    ("INSERT INTO parent VALUES (1, 'p', 'q')", ("parent", ("id",), None, None)),
    ("INSERT INTO parent VALUES (9, '1', 'one')", ("parent", ("a", "b"), None, None)),
    ('INSERT INTO "odd, one" VALUES (9, 1, NULL)', ("odd, one", ("a b",), None, None)),
    ("INSERT INTO child (n) VALUES ('N')", (None, (), None, None)),
    ("UPDATE child SET n = NULL", ("child", ("n",), None, None)),
    ("INSERT INTO parent VALUES (9, 'x', 'x')", ("parent", (), None, None)),
    ("INSERT INTO child (n) VALUES ('too long')", ("child", (), "Short", None)),
    ("UPDATE parent SET a = 'z' WHERE id = 2", ("child", (), "Short", None)),
    ("INSERT INTO child (n, first, second) VALUES ('m', 1, 7)", ("child", ("second",), "fk_second", "parent")),
    ("INSERT INTO child (n, first) VALUES ('m', 1), ('o', 7)", ("child", ("first",), None, "parent")),
    ("UPDATE child SET second = 7", ("child", ("second",), "fk_second", "parent")),
    ("DELETE FROM parent WHERE id = 1", ("child", ("first",), None, "parent")),
    ("DELETE FROM parent WHERE id = 2", ("child", ("second",), "fk_second", "parent")),
    ("UPDATE parent SET id = 10 WHERE id = 1", ("child", ("first",), None, "parent")),
    ('INSERT INTO "odd, one" VALUES (9, 9, 8)', ("odd, one", ("up",), None, "odd, one")),
]


@pytest.fixture
def connection(url):
    connection = rome.connect(url)
    connection.cursor().executescript(SCHEMA)
    connection.commit()
    yield connection
    connection.close()


@pytest.mark.parametrize(("statement", "found"), FAILURES)
def test_a_statement_that_fails(connection, statement, found):
    with pytest.raises(IntegrityError, match="constraint failed") as caught:
        connection.execute(statement)
    error = caught.value
    assert (error.table, error.columns, error.constraint, error.parent) == found
    assert connection.execute("SELECT count(*) FROM parent").fetchall() == [(3,)]
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.table, copied.parent) == (str(error), error.table, error.parent)


@pytest.mark.parametrize("statement", ["INSERT INTO child (n, a, b) VALUES ('m', '7', 'x')", "DELETE FROM parent"])
def test_a_commit_that_fails(connection, statement):
    connection.execute("DELETE FROM child WHERE first = 1" if "child" in statement else "UPDATE child SET first = NULL")
    connection.execute("UPDATE child SET second = NULL")
    connection.execute(statement)
    with pytest.raises(IntegrityError, match=r"^FOREIGN KEY constraint failed$") as caught:
        connection.commit()
    error = caught.value
    assert (error.table, error.columns, error.constraint, error.parent) == ("child", ("a", "b"), "fk_pair", "parent")


def test_telling_what_failed_costs_no_round_trip(connection):
    connection.execute('SELECT 1 FROM "odd, one"').fetchall()
    connection.rollback()
    before = connection.stats.rounds
    with pytest.raises(IntegrityError) as caught:
        connection.execute('INSERT INTO "odd, one" VALUES (9, 9, 8)')
    assert caught.value.columns == ("up",)
    assert connection.stats.rounds - before == 1
