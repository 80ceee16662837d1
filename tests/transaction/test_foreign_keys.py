"""Foreign keys are enforced, and nothing else fails, for rows that no statement has read before."""

import pytest

import rome
from rome.errors import IntegrityError, OperationalError

SCHEMA = """
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES parent, other REFERENCES parent);
CREATE TABLE late (id INTEGER PRIMARY KEY, parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE tree (id INTEGER PRIMARY KEY, root NOT NULL REFERENCES tree, up REFERENCES tree);
INSERT INTO parent VALUES (1), (2), (5);
INSERT INTO child VALUES (1, 1, 2), (2, 2, 1);
INSERT INTO late VALUES (1, 1), (2, 2);
INSERT INTO tree VALUES (7, 7, NULL), (1, 7, NULL), (2, 7, 1);
"""

HOLD = [
    ["UPDATE child SET parent = parent"],
    ["UPDATE child SET parent = 1 WHERE id = 1"],
    ["UPDATE child SET parent = 5"],
    ["UPDATE child SET parent = 5, other = other"],
    ["UPDATE late SET parent = parent"],
    ["UPDATE late SET parent = 2 WHERE id = 2"],
    ["UPDATE tree SET up = 2 WHERE id = 1"],
    ["UPDATE tree SET root = 1"],
    ["INSERT INTO late VALUES (3, 77)", "UPDATE late SET parent = 5 WHERE id = 2", "INSERT INTO parent VALUES (77)"],
    ["INSERT INTO late VALUES (3, 77)", "UPDATE late SET parent = parent", "DELETE FROM late WHERE id = 3"],
]

FAIL = [
    ["UPDATE child SET parent = CASE id WHEN 1 THEN 99 ELSE 5 END"],
    ["UPDATE child SET parent = 99 WHERE id = 1"],
    ["UPDATE child SET parent = 5, other = 99"],
    ["INSERT INTO late VALUES (3, 77)", "UPDATE late SET parent = 5 WHERE id = 2"],
    ["INSERT INTO late VALUES (3, 77)", "DELETE FROM late WHERE id = 2"],
    ["INSERT INTO late VALUES (3, 77)", "UPDATE child SET parent = 5"],
    ["UPDATE tree SET up = CASE id WHEN 7 THEN 99 ELSE 2 END"],
]


@pytest.fixture
def database(url):
    connection = rome.connect(url)
    connection.cursor().executescript(SCHEMA)
    connection.commit()
    connection.close()
    return url


def run(database, statements):
    connection = rome.connect(database)
    try:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    finally:
        connection.close()


@pytest.mark.parametrize("statements", HOLD, ids="; ".join)
def test_what_keeps_to_them_is_done(database, statements):
    run(database, statements)


@pytest.mark.parametrize("statements", FAIL, ids="; ".join)
def test_what_breaks_one_is_refused(database, statements):
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        run(database, statements)


def test_parents_of_rows_that_go_are_not_looked_at(database):
    connection = rome.connect(database)
    connection.execute("SELECT 1 FROM child").fetchall()
    before = connection.stats.rounds
    connection.execute("DELETE FROM child")
    assert connection.stats.rounds - before <= 1


def test_or_fail_keeps_nothing_where_a_foreign_key_fails(url: str) -> None:
    """As in SQLite: conflict clauses do not apply to foreign keys."""
    connection = rome.connect(url)
    connection.execute("CREATE TABLE x (id INTEGER PRIMARY KEY, d REFERENCES x (id))")
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        connection.execute("INSERT OR FAIL INTO x (id, d) VALUES (1, 1), (2, 7)")
    connection.commit()
    assert connection.execute("SELECT * FROM x").fetchall() == []


def test_a_key_to_a_table_that_is_not_there_or_has_no_primary_key(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE x (id INT, d REFERENCES x)")
    connection.execute("CREATE TABLE y (id INTEGER PRIMARY KEY, d REFERENCES missing)")
    with pytest.raises(OperationalError, match="foreign key mismatch"):
        connection.execute("INSERT INTO x (id, d) VALUES (1, 2)")
    with pytest.raises(OperationalError, match="no such table: main"):
        connection.execute("INSERT INTO y (id, d) VALUES (1, 2)")
    with pytest.raises(OperationalError, match="foreign key mismatch"):
        connection.execute("DELETE FROM x")


@pytest.mark.parametrize(
    "delete", ["DELETE FROM parent WHERE name = 'A'", "UPDATE parent SET name = 'B' WHERE name = 'A'"]
)
@pytest.mark.parametrize(
    ("of_parent", "of_child"), [("NOCASE", "BINARY"), ("NOCASE", "NOCASE"), ("RTRIM", "BINARY"), ("NOCASE", "RTRIM")]
)
def test_children_are_found_by_the_collation_of_the_parent(
    url: str, of_parent: str, of_child: str, delete: str
) -> None:
    connection = rome.connect(url)
    connection.cursor().executescript(
        f"CREATE TABLE parent (name TEXT COLLATE {of_parent} PRIMARY KEY);"
        f"CREATE TABLE child (name TEXT COLLATE {of_child} REFERENCES parent);"
        "INSERT INTO parent VALUES ('A');"
    )
    connection.execute("INSERT INTO child VALUES (?)", ("A " if of_parent == "RTRIM" else "a",))
    connection.commit()
    connection.close()
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        run(url, [delete])


def test_a_unique_index_of_another_collation_is_no_parent_key(url: str) -> None:
    connection = rome.connect(url)
    connection.cursor().executescript(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);"
        "CREATE UNIQUE INDEX folded ON parent (name COLLATE NOCASE);"
        "CREATE UNIQUE INDEX own ON parent (name);"
        "CREATE TABLE child (id INTEGER PRIMARY KEY, name TEXT REFERENCES parent (name));"
        "INSERT INTO parent VALUES (1, 'A');"
    )
    connection.commit()
    connection.close()
    run(url, ["INSERT INTO child VALUES (1, 'A')"])
    for name in ("a", "b"):
        with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
            run(url, [f"INSERT INTO child VALUES (2, '{name}')"])
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed"):
        run(url, ["DELETE FROM parent"])


def test_a_parent_that_is_created_after_its_child(url: str) -> None:
    first = rome.connect(url)
    first.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p)")
    first.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    first.execute("INSERT INTO p VALUES (1), (2)")
    first.commit()
    connection = rome.connect(url)
    connection.execute("INSERT INTO c VALUES (1, 1)")
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        connection.execute("INSERT INTO c VALUES (2, 7)")
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        connection.execute("DELETE FROM p WHERE id = 1")
    connection.commit()
    connection.execute("DROP TABLE c")
    connection.execute("DROP TABLE p")
    connection.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p)")
    connection.execute("CREATE TABLE p (id INTEGER, name TEXT PRIMARY KEY)")
    connection.execute("INSERT INTO p VALUES (1, 'a')")
    connection.commit()
    first.execute("INSERT INTO c VALUES (1, 'a')")
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        first.execute("INSERT INTO c VALUES (2, 'b')")


def test_the_error_of_a_delete_names_the_foreign_key_whatever_its_collations(url: str) -> None:
    connection = rome.connect(url)
    connection.cursor().executescript(
        "CREATE TABLE parent (name TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER UNIQUE);"
        "CREATE TABLE child (name TEXT CONSTRAINT by_name REFERENCES parent,"
        " n TEXT CONSTRAINT by_n REFERENCES parent (n));"
        "INSERT INTO parent VALUES ('A', 1), ('B', 2);"
        "INSERT INTO child VALUES ('a', NULL), (NULL, ' 2');"
    )
    connection.commit()
    for name, constraint in (("a", "by_name"), ("b", "by_n")):
        with pytest.raises(IntegrityError, match="FOREIGN KEY") as caught:
            connection.execute("DELETE FROM parent WHERE name = ?", (name,))
        assert (caught.value.table, caught.value.constraint) == ("child", constraint)


def test_no_set_of_parameters_runs_after_the_one_that_violates_a_foreign_key(url: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    connection.execute("CREATE TABLE c (id TEXT PRIMARY KEY ON CONFLICT ROLLBACK, p REFERENCES p)")
    connection.commit()
    connection.execute("INSERT INTO p VALUES (1)")
    with pytest.raises(IntegrityError, match="FOREIGN KEY"):
        connection.executemany("INSERT INTO c VALUES (?, ?)", [("a", 7), ("a", 1)])
    assert connection.execute("SELECT id FROM p").fetchall() == [(1,)]


@pytest.mark.parametrize("clause", ["", "ON CONFLICT ROLLBACK"])
def test_a_foreign_key_that_one_of_several_sets_of_parameters_violates_is_named(url: str, clause: str) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    connection.execute(f"CREATE TABLE c (id INTEGER PRIMARY KEY {clause}, p CONSTRAINT of_p REFERENCES p)")
    with pytest.raises(IntegrityError, match="FOREIGN KEY") as caught:
        connection.executemany("INSERT INTO c VALUES (?, ?)", [(1, None), (2, 7), (3, 1)])
    assert (caught.value.table, caught.value.constraint) == ("c", "of_p")


@pytest.mark.parametrize("table", ["child", "late"])
def test_a_parent_that_is_deleted_meanwhile(database, table):
    """Also a foreign key that is checked at the commit is reported as violated, not as a conflict."""
    connection, other = rome.connect(database), rome.connect(database)
    connection.execute(f"INSERT INTO {table} (id, parent) VALUES (9, 5)")
    other.execute("DELETE FROM parent WHERE id = 5")
    other.commit()
    with pytest.raises(IntegrityError, match="FOREIGN KEY constraint failed") as caught:
        connection.commit()
    assert caught.value.is_race
    connection.rollback()
    assert connection.execute(f"SELECT * FROM {table} WHERE id = 9").fetchall() == []
    connection.close()
    other.close()
