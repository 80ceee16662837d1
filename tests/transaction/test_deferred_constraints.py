"""`constraints=deferred`: an INSERT with keys of the program is left to the commit, and both are one round trip."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

import rome
from rome.errors import Conflict, IntegrityError, InterfaceError, OperationalError

DDL = (
    "CREATE TABLE project (id TEXT PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE, size)",
    "CREATE TABLE tag (id INTEGER PRIMARY KEY, project TEXT NOT NULL REFERENCES project, name, UNIQUE (project, name))",
    "CREATE TABLE node (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES node (id))",
    "CREATE TABLE mild (id INTEGER PRIMARY KEY ON CONFLICT IGNORE, name)",
    "CREATE TABLE late (id INTEGER PRIMARY KEY, project TEXT REFERENCES project DEFERRABLE INITIALLY DEFERRED)",
)
ROWS = "INSERT INTO project VALUES ('p0', 'zero', 0), ('p1', 'one', 1)"


@pytest.fixture
def deferred(url: str) -> str:
    """Return the URL of a database with two projects, whose constraints are deferred."""
    url += f"{'&' if '?' in url else '?'}constraints=deferred"
    with closing(rome.connect(url)) as connection:
        for sql in (*DDL, ROWS):
            connection.execute(sql)
        connection.commit()
    return url


@pytest.fixture
def connection(deferred: str) -> Iterator[rome.Connection]:
    with closing(connect(deferred)) as connection:
        yield connection


def connect(url: str, **options: Any) -> rome.Connection:
    """Return a connection that has read the schema, and has rowids for the next rows."""
    connection = rome.connect(url, **options)
    for name in ("warm", "warmer"):
        connection.execute("INSERT INTO project VALUES (?, ?, 0)", (name, name))
        connection.execute("DELETE FROM project WHERE id = ?", (name,))
        connection.commit()
    return connection


def rounds(connection: rome.Connection, step: Callable[[], Any]) -> int:
    """Return the round trips of a step."""
    before = connection.stats.rounds
    step()
    return connection.stats.rounds - before


def insert(connection: rome.Connection, key: str, name: str) -> None:
    connection.execute("INSERT INTO project VALUES (?, ?, 0)", (key, name))


def names(connection: rome.Connection) -> list[Any]:
    found = [name for (name,) in connection.execute("SELECT name FROM project ORDER BY id").fetchall()]
    connection.rollback()
    return found


# ── tables whose constraints do not refuse at once ────────────────────────────────────────────────────────────────────


def test_a_conflict_clause_of_a_table_counts_what_it_inserts(connection: rome.Connection) -> None:
    connection.execute("INSERT INTO mild VALUES (3, 'a')")
    connection.commit()
    for rows, count in ([(3, "b")], 0), ([(3, "b"), (4, "b")], 1):
        assert connection.executemany("INSERT INTO mild VALUES (?, ?)", rows).rowcount == count
        connection.commit()
    assert connection.execute("SELECT * FROM mild").fetchall() == [(3, "a"), (4, "b")]


@pytest.mark.parametrize("rows", [[(7, "p7")], [(7, "p7"), (8, "p8")]])
def test_a_deferrable_foreign_key_leaves_the_transaction_open(connection: rome.Connection, rows: list[Any]) -> None:
    connection.executemany("INSERT INTO late VALUES (?, ?)", rows)
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        connection.commit()
    for _, key in rows:
        insert(connection, key, key)
    connection.commit()
    assert connection.execute("SELECT * FROM late").fetchall() == rows


# ── round trips ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_insert_with_its_key_and_the_commit_are_one_round_trip(connection: rome.Connection) -> None:
    assert rounds(connection, lambda: insert(connection, "p2", "two")) == 0
    assert rounds(connection, connection.commit) == 1
    assert names(connection) == ["zero", "one", "two"]


def test_a_parent_and_its_children_are_one_round_trip(connection: rome.Connection) -> None:
    def write() -> None:
        insert(connection, "p2", "two")
        connection.execute("INSERT INTO tag VALUES (1, 'p2', 'a')")
        connection.executemany("INSERT INTO tag VALUES (?, ?, 'b')", [(2, "p2"), (3, "p1")])
        connection.commit()

    assert rounds(connection, write) == 1


def test_many_rows_are_one_round_trip(connection: rome.Connection) -> None:
    rows = [(number, f"p{number % 2}", f"n{number}") for number in range(100)]
    cursor = connection.cursor()
    assert rounds(connection, lambda: cursor.executemany("INSERT INTO tag VALUES (?, ?, ?)", rows)) == 0
    assert rounds(connection, connection.commit) == 1
    assert connection.execute("SELECT count(*) FROM tag").fetchone() == (100,)


def test_ids_of_a_sequence_are_drawn_until_they_are_predicted(connection: rome.Connection) -> None:
    """To draw an id takes a round trip, which reads for the constraints, too. Then the commit takes the next ids."""

    def write() -> None:
        connection.execute("INSERT INTO tag (project) VALUES ('p1')")
        connection.commit()

    counts = [rounds(connection, write) for _ in range(8)]
    assert counts[-1] == 1
    assert max(counts[1:]) <= 2
    assert connection.execute("SELECT id FROM tag").fetchall() == [(number,) for number in range(1, 9)]


def test_a_statement_under_autocommit_is_one_round_trip(deferred: str) -> None:
    with closing(connect(deferred, isolation_level="AUTOCOMMIT")) as connection:
        assert rounds(connection, lambda: insert(connection, "p2", "two")) == 1
        with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: project\.name"):
            insert(connection, "p3", "TWO")
        assert names(connection) == ["zero", "one", "two"]


def test_reads_of_other_tables_leave_the_constraints_to_the_commit(connection: rome.Connection) -> None:
    insert(connection, "p2", "ONE")
    assert rounds(connection, lambda: connection.execute("SELECT * FROM tag").fetchall()) == 1
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: project\.name"):
        connection.commit()


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────────

VIOLATIONS = [
    ("INSERT INTO project VALUES ('p1', 'two', 0)", "UNIQUE constraint failed: project.id"),
    ("INSERT INTO project VALUES ('p2', 'One', 0)", "UNIQUE constraint failed: project.name"),
    ("INSERT INTO tag VALUES (1, 'p7', 'a')", "FOREIGN KEY constraint failed"),
]


@pytest.mark.parametrize(("sql", "text"), VIOLATIONS)
def test_the_commit_raises_the_error_of_the_statement(connection: rome.Connection, sql: str, text: str) -> None:
    """With the text and the attributes that the statement's own error has; it is not the outcome of a race."""
    connection.execute(sql)
    with pytest.raises(IntegrityError) as raised:
        connection.commit()
    assert (str(raised.value), raised.value.is_race) == (text, False)
    assert raised.value.table == sql.split()[2]
    insert(connection, "p2", "two")
    connection.commit()
    assert names(connection) == ["zero", "one", "two"]


@pytest.mark.parametrize(("sql", "text"), VIOLATIONS)
def test_a_read_of_the_table_raises_it_before(connection: rome.Connection, sql: str, text: str) -> None:
    """Then the transaction is over: until it is rolled back, each statement and COMMIT raise the same error."""
    connection.execute("INSERT INTO node VALUES (1, NULL)")
    connection.execute(sql)
    for read in (f"SELECT * FROM {sql.split()[2]}", "SELECT 1 FROM tag", "INSERT INTO node VALUES (2, NULL)"):
        with pytest.raises(IntegrityError) as raised:
            connection.execute(read).fetchall()
        assert str(raised.value) == text
    with pytest.raises(IntegrityError):
        connection.commit()
    connection.rollback()
    assert connection.execute("SELECT * FROM node").fetchall() == []


@pytest.mark.parametrize("begin", ["INSERT INTO project VALUES ('p2', 'two', 0)", "SELECT * FROM tag"])
def test_keys_that_the_transaction_has_taken_itself_are_refused_at_once(
    connection: rome.Connection, begin: str
) -> None:
    connection.execute(begin)
    insert(connection, "p3", "three")
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: project\.name"):
        insert(connection, "p4", "THREE")
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: project\.id"):
        connection.executemany("INSERT INTO project VALUES (?, ?, 0)", [("p5", "five"), ("p3", "six")])
    connection.commit()
    assert "three" in names(connection)


def test_what_the_transaction_has_read_is_refused_at_once(connection: rome.Connection) -> None:
    connection.execute("SELECT * FROM project").fetchall()
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: project\.name"):
        insert(connection, "p2", "one")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR IGNORE INTO project VALUES ('p1', 'two', 0)",
        "INSERT OR REPLACE INTO project VALUES ('p1', 'two', 0)",
        "INSERT INTO project VALUES ('p1', 'two', 0) ON CONFLICT DO UPDATE SET size = 7",
    ],
)
def test_statements_that_ask_what_is_there_are_not_deferred(connection: rome.Connection, sql: str) -> None:
    with closing(sqlite3.connect(":memory:")) as plain:
        for each in (*DDL, ROWS, sql):
            plain.execute(each)
        connection.execute(sql)
        connection.commit()
        query = "SELECT * FROM project ORDER BY id"
        assert connection.execute(query).fetchall() == plain.execute(query).fetchall()


def test_within_a_savepoint_a_violation_is_of_the_statement(connection: rome.Connection) -> None:
    """So get-or-create works as before. SAVEPOINT itself raises what was violated before it."""
    insert(connection, "p2", "two")
    connection.execute("SAVEPOINT s")
    with pytest.raises(IntegrityError, match=r"project\.name"):
        insert(connection, "p3", "one")
    connection.execute("ROLLBACK TO s")
    connection.execute("RELEASE s")
    connection.commit()
    assert names(connection) == ["zero", "one", "two"]
    insert(connection, "p3", "two")
    with pytest.raises(IntegrityError, match=r"project\.name"):
        connection.execute("SAVEPOINT s")
    connection.rollback()


def test_rows_that_refer_to_each_other(connection: rome.Connection) -> None:
    connection.execute("INSERT INTO node VALUES (1, 1)")
    connection.executemany("INSERT INTO node VALUES (?, ?)", [(2, 1), (3, 2), (4, 4)])
    connection.execute("INSERT INTO node VALUES (5, 4)")
    connection.commit()
    connection.execute("INSERT INTO node VALUES (6, 7)")
    connection.execute("INSERT INTO node VALUES (7, NULL)")
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        connection.commit()
    assert connection.execute("SELECT count(*) FROM node").fetchone() == (5,)


def test_a_key_that_the_transaction_has_freed(connection: rome.Connection) -> None:
    connection.execute("DELETE FROM project WHERE size = 1")
    insert(connection, "p2", "one")
    connection.commit()
    assert names(connection) == ["zero", "one"]


def test_a_transaction_that_can_not_be_replayed_gets_the_same_error(connection: rome.Connection) -> None:
    """A statement has failed, and there are more than are recorded for a replay."""
    insert(connection, "p2", "one")
    with pytest.raises(OperationalError):
        connection.execute("SELECT * FROM nothing")
    for _ in range(1001):
        connection.execute("SELECT id FROM tag")
    with pytest.raises(IntegrityError, match=r"project\.name"):
        connection.commit()


# ── other transactions ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lost_race_after_a_read_is_one(deferred: str, connection: rome.Connection) -> None:
    """A transaction that has read that the name is free may run again; one that has not read may not."""
    with closing(connect(deferred)) as other:
        connection.execute("SELECT * FROM project WHERE name = 'two'").fetchall()
        insert(other, "p2", "two")
        other.commit()
        insert(connection, "p3", "two")
        with pytest.raises(IntegrityError) as raised:
            connection.commit()
        assert raised.value.is_race


@pytest.mark.parametrize(
    "change", ["ALTER TABLE project ADD COLUMN z DEFAULT 7", "CREATE UNIQUE INDEX u ON project (size)"]
)
@pytest.mark.parametrize("reads", [False, True])
def test_a_schema_change_of_another_connection(
    deferred: str, connection: rome.Connection, change: str, reads: bool
) -> None:
    """It is noticed by the commit, or by the first read."""
    with closing(rome.connect(f"{deferred}&ids=blocks")) as other:  # with a catalog of its own
        connection.execute("INSERT INTO project (id, name, size) VALUES ('p2', 'two', 2)")
        other.execute(change)
        other.commit()
        if reads:
            row = connection.execute("SELECT * FROM project WHERE id = 'p2'").fetchone()
            assert row is not None
            assert row[:3] == ("p2", "two", 2)
        connection.commit()
        assert names(other) == ["zero", "one", "two"]
        if "UNIQUE" in change:
            connection.execute("INSERT INTO project (id, name, size) VALUES ('p3', 'three', 2)")
            with pytest.raises(IntegrityError, match=r"project\.size"):
                connection.commit()


def test_a_database_that_was_dropped_meanwhile(deferred: str, connection: rome.Connection) -> None:
    insert(connection, "p2", "two")
    rome.drop_database(deferred)
    with pytest.raises(OperationalError):
        connection.commit()
    with pytest.raises(OperationalError, match="no such table"):
        insert(connection, "p3", "three")


def test_old_schemas_and_many_commits(deferred: str) -> None:
    """The commit of a transaction that has read nothing depends on no version, however old the schema is."""
    with closing(rome.connect(f"{deferred}&log_commits=2")) as other, closing(connect(deferred)) as connection:
        for number in range(20):
            insert(other, f"o{number}", f"o{number}")
            other.commit()
        insert(connection, "p2", "two")
        assert rounds(connection, connection.commit) == 1


def test_wrong_values_of_the_option() -> None:
    with pytest.raises(InterfaceError, match="neither immediate nor deferred"):
        rome.connect("rome+memory:///?constraints=never")


# ── random transactions ───────────────────────────────────────────────────────────────────────────────────────────────

Statement = tuple[str, list[tuple[Any, ...]]]


def statement(draw: random.Random, level: str) -> Statement:
    """Return a statement, and its sets of parameters.

    Except under SERIALIZABLE, transactions whose changes depend on what they read are not as one after another.
    """
    kind = draw.choice((*range(9), 13)) if level != "SERIALIZABLE" else draw.randrange(14)
    name = draw.choice(("a", "A", "b", "c", "d", "e", None))
    if kind < 4:
        return "INSERT INTO project VALUES (?, ?, 0)", [(f"p{draw.randrange(9)}", name)]
    if kind < 6:
        return "INSERT INTO tag VALUES (?, ?, ?)", [(draw.randrange(12), f"p{draw.randrange(6)}", name)]
    if kind < 8:
        number = draw.randrange(9)
        return "INSERT INTO tag VALUES (?, ?, ?)", [(number + at, f"p{draw.randrange(4)}", name) for at in range(2)]
    if kind == 8:
        return "INSERT INTO node VALUES (?, ?)", [(draw.randrange(6), draw.choice((None, 0, 1, 2, 3)))]
    if kind == 9:
        return "INSERT INTO project SELECT 'q' || id, NULL, 0 FROM project WHERE size = ?", [(draw.randrange(2),)]
    if kind == 10:
        return "UPDATE project SET size = ? WHERE id = ?", [(draw.randrange(3), f"p{draw.randrange(6)}")]
    if kind == 11:
        return "DELETE FROM tag WHERE id = ?", [(draw.randrange(9),)]
    if kind == 12:
        return "DELETE FROM project WHERE id = ?", [(f"p{draw.randrange(6)}",)]
    return "SELECT * FROM " + draw.choice(("project", "tag", "node")), [()]


TABLES = (
    "SELECT id, name, size FROM project ORDER BY id",
    "SELECT * FROM tag ORDER BY id",
    "SELECT * FROM node ORDER BY id",
)


class Oracle:
    """The committed transactions in SQLite, one after another."""

    def __init__(self) -> None:
        self.plain = sqlite3.connect(":memory:", isolation_level=None)
        self.plain.execute("PRAGMA foreign_keys = ON")
        for sql in (*DDL, ROWS):
            self.plain.execute(sql)
        self.committed: list[list[Statement]] = []

    def refuses(self, statements: list[Statement]) -> str | None:
        """Return the error of a transaction now; None if it is committed."""
        self.plain.execute("BEGIN")
        try:
            for sql, sets in statements:
                for each in sets:
                    self.plain.execute(sql, each)
        except sqlite3.IntegrityError as error:
            self.plain.execute("ROLLBACK")
            return str(error)
        self.plain.execute("COMMIT")
        self.committed.append(statements)
        return None

    def refused_once(self, statements: list[Statement], since: int) -> bool:
        """Return True if the transaction would have been refused at one of the versions since it began."""
        for version in range(since, len(self.committed) + 1):
            past = Oracle()
            for each in self.committed[:version]:
                past.refuses(each)
            if past.refuses(statements) is not None:
                return True
        return False


class Client:
    """A connection with random transactions."""

    def __init__(self, url: str, level: str, draw: random.Random) -> None:
        self.connection = rome.connect(url, isolation_level=level)
        self.level, self.draw = level, draw
        self.is_stale = "staleness" in url
        self.statements: list[Statement] = []
        self.has_changed = False
        self.began = 0

    def step(self, oracle: Oracle) -> None:
        if not self.statements:
            self.began = 0 if self.is_stale else len(oracle.committed)
        if len(self.statements) < self.draw.choice((1, 2, 3, 5)):
            sql, sets = made = statement(self.draw, self.level)
            self.statements.append(made)
            try:
                cursor = self.connection.cursor()
                if len(sets) > 1:
                    cursor.executemany(sql, sets)
                else:
                    cursor.execute(sql, sets[0])
                self.has_changed = self.has_changed or (cursor.rowcount > 0 and not sql.startswith("SELECT"))
            except IntegrityError:
                assert oracle.refused_once(self.statements, self.began), self.statements
            except Conflict:
                assert len(oracle.committed) > self.began, self.statements
            else:
                return
        else:
            try:
                self.connection.commit()
            except IntegrityError as error:
                refusal = str(error)
                assert oracle.refuses(self.statements) == refusal, self.statements
            except Conflict:
                assert len(oracle.committed) > self.began, self.statements
                assert any(not sql.startswith("INSERT") or "SELECT" in sql for sql, _ in self.statements)
            else:
                # What only reads is as of its read version, and changes nothing.
                assert not self.has_changed or oracle.refuses(self.statements) is None, self.statements
        self.connection.rollback()
        self.statements, self.has_changed = [], False


@pytest.mark.parametrize("level", ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"])
@pytest.mark.parametrize(
    ("seed", "cache"), [*((seed, "") for seed in range(8)), (8, "&staleness=5"), (9, "&staleness=5")]
)
def test_random_transactions_end_as_in_sqlite(deferred: str, level: str, seed: int, cache: str) -> None:
    """Two connections, interleaved. What COMMIT accepts or refuses is what SQLite does with it at that moment."""
    draw, oracle = random.Random(seed), Oracle()
    clients = [Client(f"{deferred}{cache}{more}", level, draw) for more in ("", "&ids=blocks")]
    try:
        for _ in range(150):
            draw.choice(clients).step(oracle)
        with closing(rome.connect(deferred)) as other:
            for query in TABLES:
                assert other.execute(query).fetchall() == oracle.plain.execute(query).fetchall()
    finally:
        for client in clients:
            client.connection.close()
