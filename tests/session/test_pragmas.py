"""PRAGMAs: what inspects works, what sets is right or refused with a sentence. Nothing passes by default."""

from __future__ import annotations

import itertools

import apsw
import pytest

import rome
from rome.dbapi import NotSupportedError, OperationalError
from rome.errors import LockTimeout
from rome.sqlite.pragmas import IGNORED, INSPECTING, OF_CONNECTION
from tests.dbapi.reference import Reference

NUMBER = itertools.count()
PRAGMAS = sorted(name for (name,) in apsw.Connection(":memory:").execute("PRAGMA pragma_list"))
DONE_BY_ROME = OF_CONNECTION | IGNORED | {"user_version"}
REFUSED = [name for name in PRAGMAS if name not in INSPECTING | DONE_BY_ROME]


@pytest.fixture
def url() -> str:
    return f"rome+memory:///pragmas{next(NUMBER)}"


@pytest.fixture
def connection(url: str) -> rome.Connection:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT UNIQUE CHECK (length(a) < 3))")
    connection.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p)")
    connection.execute("INSERT INTO p VALUES (1, 'a')")
    connection.commit()
    return connection


@pytest.mark.parametrize("name", [*REFUSED, "no_such_pragma"])
@pytest.mark.parametrize(
    "text",
    ["PRAGMA {}", "PRAGMA {} = 1", "PRAGMA main.{}(1)", "PRAGMA temp.{} = ON", "EXPLAIN PRAGMA {} = 1", "pragma  {}=1"],
)
def test_any_other_pragma_is_refused(connection: rome.Connection, name: str, text: str) -> None:
    with pytest.raises(NotSupportedError, match=f"PRAGMA {name} .+: .+"):
        connection.execute(text.format(name))
    assert connection.execute("SELECT count(*) FROM p").fetchall() == [(1,)]


@pytest.mark.parametrize("name", [*REFUSED, "foreign_keys", "query_only", "user_version"])
def test_a_table_valued_function_does_not_pass_it(connection: rome.Connection, name: str) -> None:
    for text in ("SELECT * FROM pragma_{}", "CREATE VIEW v AS SELECT 1 FROM pragma_{}", "CREATE TABLE n AS {0}"):
        statement = text.format(f"SELECT * FROM pragma_{name}" if "{0}" in text else name)
        with pytest.raises(
            (NotSupportedError, OperationalError), match=rf"PRAGMA {name} |no such table: pragma_{name}"
        ):
            connection.execute(statement)


def test_a_table_may_have_a_name_like_such_a_function(connection: rome.Connection) -> None:
    connection.execute("CREATE TABLE pragma_notes (a)")
    connection.execute("INSERT INTO pragma_notes VALUES (1)")
    assert connection.execute("SELECT a FROM pragma_notes").fetchall() == [(1,)]


@pytest.mark.parametrize("name", sorted(INSPECTING - {"function_list", "module_list"}))
def test_inspecting_answers_as_sqlite(connection: rome.Connection, name: str) -> None:
    reference = Reference()
    reference.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT UNIQUE CHECK (length(a) < 3))")
    reference.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p)")
    argument = {"index_info": "(sqlite_autoindex_p_1)", "index_xinfo": "(sqlite_autoindex_p_1)"}.get(name, "")
    if name in ("table_info", "table_xinfo", "index_list", "foreign_key_list"):
        argument = "(c)"
    ours, theirs = (set(each.execute(f"PRAGMA {name}{argument}").fetchall()) for each in (connection, reference))
    assert ours >= theirs if name in ("database_list", "table_list") else ours == theirs


def test_checks_through_functions_see_all_rows(connection: rome.Connection) -> None:
    connection.foreign_keys = False
    connection.commit()
    connection.foreign_keys = False
    connection.execute("INSERT INTO c VALUES (1, 77)")
    connection.commit()
    for text in ("PRAGMA foreign_key_check", 'SELECT "table", rowid, parent, fkid FROM pragma_foreign_key_check'):
        assert connection.execute(text).fetchall() == [("c", 1, "p", 0)]


def test_a_check_of_one_table_reads_it_and_its_parents(connection: rome.Connection) -> None:
    connection.execute("CREATE TABLE other (id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO other VALUES (?)", [(number,) for number in range(50)])
    connection.commit()
    connection.foreign_keys = False
    connection.execute("INSERT INTO c VALUES (1, 1), (2, 77)")
    connection.commit()
    for text, found in (
        ('PRAGMA foreign_key_check("C")', [("c", 2, "p", 0)]),
        ("PRAGMA foreign_key_check = p", []),
        ("PRAGMA integrity_check(c)", [("ok",)]),
        ("PRAGMA main.quick_check(p)", [("ok",)]),
        ("SELECT rowid FROM pragma_foreign_key_check('c')", [(2,)]),
    ):
        before = connection.stats.rows
        assert connection.execute(text).fetchall() == found
        assert "SELECT" in text or connection.stats.rows - before <= 3
        connection.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO p VALUES (2, 'b')",
        "UPDATE p SET a = 'b' WHERE id = 1",
        "DELETE FROM p",
        "REPLACE INTO p VALUES (1, 'b')",
        "CREATE TABLE n (a)",
        "CREATE TEMP TABLE n (a)",
        "DROP TABLE c",
        "ALTER TABLE p ADD COLUMN n",
        "PRAGMA user_version = 3",
        "EXPLAIN ANALYZE DELETE FROM p",
        "WITH x AS (SELECT 1) DELETE FROM p",
    ],
)
def test_query_only_refuses_writes(url: str, connection: rome.Connection, statement: str) -> None:
    connection.execute("PRAGMA query_only = ON")
    assert connection.execute("PRAGMA query_only").fetchall() == [(1,)]
    with pytest.raises(OperationalError, match="attempt to write a readonly database"):
        connection.execute(statement)
    assert connection.execute("SELECT * FROM p").fetchall() == [(1, "a")]
    connection.commit()
    other = rome.connect(url)
    assert other.execute("PRAGMA query_only").fetchall() == [(0,)]
    other.execute("INSERT INTO p VALUES (5, 'z')")
    other.commit()
    connection.execute("PRAGMA query_only = off")
    connection.execute("INSERT INTO p VALUES (6, 'y')")
    connection.commit()
    assert connection.execute("SELECT id FROM p ORDER BY id").fetchall() == [(1,), (5,), (6,)]


def test_settings_of_the_file_are_accepted(connection: rome.Connection) -> None:
    for name in sorted(IGNORED):
        assert connection.execute(f"PRAGMA {name} = 1").fetchall() == []
    assert connection.execute("PRAGMA journal_mode = DELETE").fetchall() == [("wal",)]
    assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]


def test_busy_timeout_is_the_time_to_wait_for_row_locks(url: str, connection: rome.Connection) -> None:
    assert connection.execute("PRAGMA busy_timeout").fetchall() == [(30_000,)]
    connection.execute("INSERT INTO p VALUES (1, 'x') ON CONFLICT DO NOTHING")
    connection.commit()
    connection.execute("SELECT a FROM p FOR UPDATE")
    other = rome.connect(url)
    assert other.execute("PRAGMA busy_timeout = 10").fetchall() == [(10,)]
    with pytest.raises(LockTimeout):
        other.execute("SELECT a FROM p FOR UPDATE")


def test_query_only_leaves_earlier_writes_to_commit(url: str, connection: rome.Connection) -> None:
    connection.execute("INSERT INTO p VALUES (2, 'b')")
    connection.execute("PRAGMA query_only = 1")
    connection.commit()
    assert rome.connect(url).execute("SELECT count(*) FROM p").fetchall() == [(2,)]


def test_user_version_is_stored_with_the_schema(url: str, connection: rome.Connection) -> None:
    other = rome.connect(url)
    assert connection.execute("PRAGMA user_version").fetchall() == [(0,)]
    connection.execute("PRAGMA user_version = 7")
    assert connection.execute("PRAGMA user_version").fetchall() == [(7,)]
    assert other.execute("PRAGMA user_version").fetchall() == [(0,)]
    connection.rollback()
    other.rollback()
    assert connection.execute("PRAGMA main.user_version").fetchall() == [(0,)]
    connection.execute("SAVEPOINT s")
    connection.execute("PRAGMA user_version = 8")
    connection.execute("ROLLBACK TO s")
    assert connection.execute("PRAGMA user_version").fetchall() == [(0,)]
    connection.execute("PRAGMA user_version(9)")
    connection.execute("ALTER TABLE p ADD COLUMN n INT")
    connection.commit()
    assert other.execute("PRAGMA user_version").fetchall() == [(9,)]
    assert other.execute("SELECT id, n FROM p").fetchall() == [(1, None)]
    other.execute("DROP TABLE c")
    other.commit()
    assert rome.connect(url).execute("PRAGMA user_version").fetchall() == [(9,)]


def test_two_transactions_set_the_user_version(url: str, connection: rome.Connection) -> None:
    other = rome.connect(url)
    other.execute("PRAGMA user_version = 2")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    with pytest.raises(rome.errors.Conflict):
        other.commit()
    assert other.execute("PRAGMA user_version").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "value", ["7", "-7", "+7", "0", "2147483647", "2147483648", "-2147483648", "0x10", "'5x'", "x", "3.9", "'abc'"]
)
def test_values_of_user_version_are_read_as_in_sqlite(url: str, value: str) -> None:
    reference, ours = Reference(), rome.connect(url, isolation_level="AUTOCOMMIT")
    for each in (reference, ours):
        each.execute(f"PRAGMA user_version = {value}")
    assert ours.execute("PRAGMA user_version").fetchall() == reference.execute("PRAGMA user_version").fetchall()
    assert rome.connect(url).execute("PRAGMA user_version").fetchall() == ours.execute("PRAGMA user_version").fetchall()


@pytest.mark.parametrize(
    "value", ["on", "OFF", "true", "no", "yes", "1", "0", "2", "-1", "256", "0x1", "''", "'on'", "full", "maybe"]
)
@pytest.mark.parametrize("name", ["foreign_keys", "query_only", "read_uncommitted"])
def test_switches_are_read_as_in_sqlite(url: str, name: str, value: str) -> None:
    reference, ours = Reference(), rome.connect(url)
    for each in (reference, ours):
        each.execute(f"PRAGMA {name} = {value}")
    assert ours.execute(f"PRAGMA {name}").fetchall() == reference.execute(f"PRAGMA {name}").fetchall()


def test_a_check_constraint_is_not_switched_off(connection: rome.Connection) -> None:
    with pytest.raises(NotSupportedError, match="drop the constraint"):
        connection.execute("PRAGMA ignore_check_constraints = ON")
    with pytest.raises(rome.dbapi.IntegrityError):
        connection.execute("INSERT INTO p VALUES (3, 'too long')")


def test_what_oslo_db_sends(connection: rome.Connection) -> None:
    assert connection.execute("PRAGMA synchronous = OFF").fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        *("VACUUM", "VACUUM main", "VACUUM nope"),
        *("ANALYZE", "ANALYZE p", "ANALYZE nope", "ANALYZE main.nope", "ANALYZE nope.p"),
        *("REINDEX", "REINDEX p", "REINDEX nope", "REINDEX NOCASE", "DETACH nope"),
    ],
)
def test_maintenance_reports_wrong_names_as_sqlite(url: str, statement: str) -> None:
    reference, ours = Reference(), rome.connect(url)
    outcomes = []
    for each in (reference, ours):
        each.execute("CREATE TABLE p (id INTEGER PRIMARY KEY, a TEXT UNIQUE)")
        try:
            outcomes.append(each.execute(statement).fetchall())
        except rome.dbapi.Error as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]


def test_vacuum_into_is_refused(connection: rome.Connection, tmp_path) -> None:
    with pytest.raises(NotSupportedError, match="VACUUM INTO"):
        connection.execute(f"VACUUM INTO '{tmp_path / 'copy.db'}'")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT rome_next(1)",
        'SELECT "ROME_NEXT" (1) FROM p',
        "INSERT INTO p (id) VALUES (rome_next(1))",
        "CREATE VIEW v AS SELECT rome_next(1)",
        "CREATE TABLE n (a DEFAULT (rome_next(1)))",
        "CREATE TRIGGER g AFTER INSERT ON p BEGIN INSERT INTO c VALUES (rome_next(2), 1); END",
        "EXPLAIN SELECT rome_next(1)",
        "EXPLAIN PLAN FOR SELECT rome_next(1)",
    ],
)
def test_the_function_of_generated_ids_is_internal(connection: rome.Connection, statement: str) -> None:
    with pytest.raises(OperationalError, match="object name reserved for internal use: rome_next"):
        connection.execute(statement)


def test_a_table_with_the_name_of_the_rewriter_s_subquery(connection: rome.Connection) -> None:
    connection.execute("CREATE TABLE rome_rows (id INTEGER PRIMARY KEY, a)")
    connection.execute("INSERT INTO rome_rows (a) VALUES ('x'), ('y')")
    connection.execute("INSERT INTO rome_rows (a) SELECT a || a FROM rome_rows ORDER BY id")
    assert connection.execute("SELECT a FROM rome_rows ORDER BY id").fetchall() == [("x",), ("y",), ("xx",), ("yy",)]
