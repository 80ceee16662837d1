"""Plans are reused as long as the definitions that they depend on stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from unittest import mock

import rome
from rome.sql.analysis import analyze as analysis

SCHEMA = """
CREATE TABLE p (id INTEGER PRIMARY KEY, host TEXT);
CREATE INDEX p_host ON p (host);
CREATE TABLE c (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p (id) ON DELETE CASCADE);
INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'a');
INSERT INTO c VALUES (1, 1), (2, 1), (3, 2);
"""
_databases = count()


def database(schema: str = SCHEMA) -> rome.Connection:
    connection = rome.connect(f"rome+memory:///plan-reuse-{next(_databases)}")
    connection.cursor().executescript(schema)
    connection.commit()
    return connection


@contextmanager
def parses() -> Iterator[list[str]]:
    """Collect the normalized texts that are parsed inside."""
    texts: list[str] = []
    original = analysis.parse

    def parse(normal):  # type: ignore[no-untyped-def]
        texts.append(normal.text)
        return original(normal)

    with mock.patch.object(analysis, "parse", parse):
        yield texts


def test_databases_with_the_same_schema_share_plans() -> None:
    sql = "SELECT p.id AS shared FROM p JOIN c ON pid = p.id WHERE host = ? ORDER BY c.id"
    assert database().execute(sql, ("a",)).fetchall() == [(1,), (1,)]
    with parses() as texts:
        assert database().execute(sql, ("b",)).fetchall() == [(2,)]
    assert texts == []


def test_databases_with_other_definitions_have_their_own_plans() -> None:
    sql = "SELECT * FROM p WHERE host = ?"
    other = database("CREATE TABLE p (host TEXT, id INTEGER PRIMARY KEY); INSERT INTO p VALUES ('a', 1), ('b', 2);")
    for _ in range(2):
        assert sorted(database().execute(sql, ("a",)).fetchall()) == [(1, "a"), (3, "a")]
        assert other.execute(sql, ("a",)).fetchall() == [("a", 1)]


def test_a_change_of_another_table_keeps_plans() -> None:
    connection = database()
    sql = "SELECT id AS kept FROM p WHERE host = ?"
    assert connection.execute(sql, ("b",)).fetchall() == [(2,)]
    with parses() as texts:
        connection.execute("CREATE TABLE other (id INTEGER PRIMARY KEY)")
        connection.commit()
        assert connection.execute(sql, ("b",)).fetchall() == [(2,)]
        assert texts == []
        connection.execute("DROP INDEX p_host")
        connection.commit()
        assert connection.execute(sql, ("b",)).fetchall() == [(2,)]
    assert len(texts) == 1


def test_recreated_tables_reuse_plans() -> None:
    connection = database()
    sql = "SELECT p.host AS anew, c.id FROM p LEFT JOIN c ON pid = p.id WHERE p.id IN (?, ?) ORDER BY p.id, c.id"
    rows = [("a", 1), ("a", 2), ("b", 3)]
    assert connection.execute(sql, (1, 2)).fetchall() == rows
    with parses() as texts:
        connection.cursor().executescript(f"DROP TABLE c; DROP TABLE p; {SCHEMA}")
        assert connection.execute(sql, (1, 2)).fetchall() == rows
        assert connection.execute(sql, (3, 3)).fetchall() == [("a", None)]
    assert texts == []


def test_a_new_child_or_trigger_invalidates_plans() -> None:
    connection = database()
    sql = "DELETE FROM p WHERE host = 'a' AND id > ?"
    connection.execute(sql, (9,))
    connection.cursor().executescript("""
        CREATE TABLE d (id INTEGER PRIMARY KEY, pid INTEGER REFERENCES p (id) ON DELETE CASCADE);
        INSERT INTO d VALUES (1, 3), (2, 2);
        CREATE TABLE gone (id);
        CREATE TRIGGER note AFTER DELETE ON p BEGIN INSERT INTO gone VALUES (OLD.id); END;
    """)
    connection.commit()
    connection.execute(sql, (0,))
    connection.commit()
    assert connection.execute("SELECT id FROM d").fetchall() == [(2,)]
    assert sorted(connection.execute("SELECT id FROM gone").fetchall()) == [(1,), (3,)]


def test_a_redefined_view_invalidates_plans() -> None:
    connection = database()
    connection.execute("CREATE VIEW v AS SELECT id FROM p")
    assert len(connection.execute("SELECT * FROM v").fetchall()) == 3
    connection.execute("DROP VIEW v")
    connection.execute("CREATE VIEW v AS SELECT id, pid FROM c")
    assert len(connection.execute("SELECT * FROM v").fetchone()) == 2


def test_lists_of_another_length_are_not_parsed_again() -> None:
    connection = database()
    sql = "SELECT id FROM p WHERE host IN ({}) AND id > ? AND id IN (1, 2) ORDER BY id LIMIT ?"
    assert connection.execute(sql.format("?"), ("a", 0, 9)).fetchall() == [(1,)]
    with parses() as texts:
        assert connection.execute(sql.format("?, ?, 'x'"), ("a", "b", 1, 9)).fetchall() == [(2,)]
        assert connection.execute(sql.format("?, 'a'"), ("b", 0, 1)).fetchall() == [(1,)]
        plan = connection.execute("EXPLAIN PLAN FOR " + sql.format("?, ?"), ("a", "b", 0, 9)).fetchall()
    assert texts == []
    assert any("id IN (1, 2)" in line or "host IN (?1, ?2)" in line for (line,) in plan)


def test_each_database_chooses_paths_by_its_own_statistics() -> None:
    large, small = database(), database()
    sql = "SELECT * FROM p JOIN c ON pid = p.id WHERE host = ?"
    large.executemany("INSERT INTO p VALUES (?, 'many')", [(number,) for number in range(10, 3000)])
    large.commit()
    for connection in (large, small, large, small):
        connection.execute("SELECT * FROM p").fetchall()
        connection.execute("SELECT * FROM c").fetchall()
        connection.commit()
    turns = (large, small, large, small)
    plans = [connection.execute(f"EXPLAIN PLAN FOR {sql}", ("a",)).fetchall() for connection in turns]
    assert plans[0] == plans[2] != plans[1] == plans[3]
