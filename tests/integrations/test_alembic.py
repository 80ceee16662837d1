"""Migrations with Alembic."""

import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy as sa

pytest.importorskip("alembic")

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError

import rome
from rome.errors import Conflict
from rome.integrations.alembic.impl import RomeImpl
from rome.sql.syntax.create_table import read_table_text
from rome.testing import check_database
from tests.versions import needs_sqlalchemy_2

PARENT = """\
CREATE TABLE parent (
    id INTEGER PRIMARY KEY,
    a VARCHAR(5) COLLATE NOCASE DEFAULT 'x',
    b INTEGER CONSTRAINT positive CHECK (b > 0),
    c INTEGER GENERATED ALWAYS AS (b + 1),
    boss INTEGER REFERENCES parent (id) ON DELETE SET NULL,
    CONSTRAINT uq_b UNIQUE (b)
)"""


@pytest.fixture
def engine():
    engine = sa.create_engine("rome+memory://")
    yield engine
    engine.dispose()


@pytest.fixture
def family(engine):
    """A parent table with everything that a rebuild must keep, and a child table."""
    with engine.begin() as connection:
        for sql in (
            PARENT,
            "CREATE INDEX ix_a ON parent (a) WHERE b > 1",
            "CREATE TABLE log (text)",
            "CREATE TRIGGER tr AFTER UPDATE ON parent BEGIN INSERT INTO log VALUES (new.a); END",
            "CREATE VIEW v AS SELECT a FROM parent",
            "CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id) ON DELETE CASCADE)",
            "INSERT INTO parent (id, a, b, boss) VALUES (1, '7', 1, NULL), (2, 'b', 2, 1)",
            "INSERT INTO child (p) VALUES (1), (2)",
        ):
            connection.exec_driver_sql(sql)
    return engine


def migrate(engine, *steps):
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        for step in steps:
            step(operations)


def rows(engine, sql):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def definition(engine, name="parent"):
    return rows(engine, f"SELECT sql FROM sqlite_master WHERE name = '{name}'")[0][0]


def test_alembic_finds_the_implementation(engine):
    with engine.connect() as connection:
        assert isinstance(MigrationContext.configure(connection).impl, RomeImpl)


@pytest.mark.parametrize(
    "imports",
    [
        "import alembic.op, sqlalchemy; e = sqlalchemy.create_engine('rome+memory://')",
        "import sqlalchemy; e = sqlalchemy.create_engine('rome+memory://'); import alembic.op",
        "import rome.integrations.alembic.impl, alembic, sqlalchemy; e = sqlalchemy.create_engine('rome+memory://')",
        "import rome.integrations.alembic, alembic, sqlalchemy; e = sqlalchemy.create_engine('rome+memory://')",
    ],
)
def test_any_import_order(imports):
    program = f"""{imports}
from alembic.migration import MigrationContext
with e.connect() as connection:
    print(type(MigrationContext.configure(connection).impl).__name__)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "RomeImpl\n"


def test_a_program_without_alembic_does_not_import_it():
    program = "import sys, sqlalchemy; sqlalchemy.create_engine('rome+memory://').connect(); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = set(ran.stdout.split())
    assert not {"alembic", "oslo_db", "rome.integrations.alembic", "rome.integrations.oslo_db"} & imported


def test_a_migration_changes_tables(engine):
    migrate(
        engine,
        lambda op: op.create_table("t", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("a", sa.Text)),
        lambda op: op.bulk_insert(sa.table("t", sa.column("a")), [{"a": "kept"}]),
        lambda op: op.add_column("t", sa.Column("b", sa.Integer, server_default="5", nullable=False)),
        lambda op: op.alter_column("t", "a", new_column_name="c"),
        lambda op: op.create_index("ix", "t", ["c"]),
        lambda op: op.rename_table("t", "u"),
    )
    assert rows(engine, "SELECT id, c, b FROM u") == [(1, "kept", 5)]
    migrate(engine, lambda op: op.drop_index("ix", "u"), lambda op: op.drop_column("u", "c"))
    assert [column["name"] for column in sa.inspect(engine).get_columns("u")] == ["id", "b"]


def test_a_migration_that_fails_leaves_nothing(engine):
    with pytest.raises(sa.exc.OperationalError):
        migrate(
            engine,
            lambda op: op.create_table("t", sa.Column("id", sa.Integer, primary_key=True)),
            lambda op: op.drop_table("nowhere"),
        )
    assert not sa.inspect(engine).has_table("t")


@needs_sqlalchemy_2  # 1.4 writes an expression as a default without the parentheses that SQLite needs
def test_alter_column_keeps_indexes_triggers_views_and_children(family):
    migrate(
        family,
        lambda op: op.alter_column(
            "parent", "a", type_=sa.Integer, nullable=False, server_default=sa.text("1 + 1"), new_column_name="d"
        ),
    )
    assert rows(family, "SELECT id, d, typeof(d), b, c, boss FROM parent") == [
        (1, 7, "integer", 1, 2, None),
        (2, "b", "text", 2, 3, 1),
    ]
    assert rows(family, "SELECT p FROM child") == [(1,), (2,)]
    assert rows(family, "SELECT * FROM v") == [(7,), ("b",)]
    assert "INTEGER DEFAULT (1 + 1) NOT NULL COLLATE NOCASE" in definition(family)
    assert "WHERE b > 1" in definition(family, "ix_a")
    with family.begin() as connection:
        connection.exec_driver_sql("UPDATE parent SET d = 'new' WHERE id = 2")
        connection.exec_driver_sql("INSERT INTO parent (b) VALUES (3)")
        connection.exec_driver_sql("DELETE FROM parent WHERE id = 1")
    assert rows(family, "SELECT * FROM log") == [("new",), ("new",)]  # SET NULL fired the trigger, too
    assert rows(family, "SELECT id, d, boss FROM parent") == [(2, "new", None), (3, 2, None)]
    assert rows(family, "SELECT p FROM child") == [(2,)]
    with pytest.raises(sa.exc.IntegrityError, match="NOT NULL"), family.begin() as connection:
        connection.exec_driver_sql("UPDATE parent SET d = NULL")
    with pytest.raises(sa.exc.IntegrityError, match="positive"), family.begin() as connection:
        connection.exec_driver_sql("UPDATE parent SET b = 0")


def test_alter_column_removes_default_and_not_null(family):
    migrate(family, lambda op: op.alter_column("parent", "a", nullable=False, server_default=None))
    assert "DEFAULT" not in definition(family)
    migrate(family, lambda op: op.alter_column("parent", "a", nullable=True, server_default="it's"))
    assert "NOT NULL" not in definition(family)
    assert sa.inspect(family).get_columns("parent")[1]["default"] == "'it''s'"


def test_a_constraint_that_rows_violate_changes_nothing(family):
    before = definition(family)
    migrate(
        family,
        lambda op: op.execute("UPDATE parent SET a = NULL WHERE id = 1"),
        lambda op: op.execute("UPDATE child SET p = 1"),
    )
    for step, message in (
        (lambda op: op.alter_column("parent", "a", nullable=False), r"NOT NULL constraint failed: parent\.a"),
        (lambda op: op.create_check_constraint("ck", "parent", "b > 1"), "CHECK constraint failed: ck"),
        (lambda op: op.create_unique_constraint("uq", "child", ["p"]), r"UNIQUE constraint failed: child\.p"),
    ):
        with pytest.raises(sa.exc.IntegrityError, match=message):
            migrate(family, step)
    assert definition(family) == before
    assert rows(family, "SELECT id FROM parent") == [(1,), (2,)]


def test_constraints_are_added_and_dropped(family):
    migrate(
        family,
        lambda op: op.drop_constraint("uq_b", "parent"),
        lambda op: op.drop_constraint("positive", "parent"),
        lambda op: op.create_unique_constraint("uq_ab", "parent", ["a", "b"]),
        lambda op: op.create_check_constraint("small", "parent", "b < 10"),
        lambda op: op.create_table("aunt", sa.Column("id", sa.Integer, primary_key=True)),
        lambda op: op.execute("INSERT INTO aunt VALUES (1), (2)"),
        lambda op: op.create_foreign_key("fk", "parent", "aunt", ["b"], ["id"]),
    )
    inspector = sa.inspect(family)
    assert [each["name"] for each in inspector.get_unique_constraints("parent")] == ["uq_ab"]
    assert [each["name"] for each in inspector.get_check_constraints("parent")] == ["small"]
    assert {each["referred_table"] for each in inspector.get_foreign_keys("parent")} == {"parent", "aunt"}
    with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"), family.begin() as connection:
        connection.exec_driver_sql("INSERT INTO parent (b) VALUES (3)")
    migrate(family, lambda op: op.drop_constraint("fk", "parent", type_="foreignkey"))
    with pytest.raises(CommandError, match="no such constraint: fk of table parent"):
        migrate(family, lambda op: op.drop_constraint("fk", "parent"))
    with pytest.raises(CommandError, match=r"no such column: parent\.z"):
        migrate(family, lambda op: op.alter_column("parent", "z", nullable=False))
    with pytest.raises(sa.exc.NoSuchTableError):
        migrate(family, lambda op: op.alter_column("nowhere", "z", nullable=False))


def test_a_foreign_key_that_rows_violate_changes_nothing(family):
    migrate(family, lambda op: op.create_table("aunt", sa.Column("id", sa.Integer, primary_key=True)))
    before = definition(family)
    with pytest.raises(sa.exc.IntegrityError, match="FOREIGN KEY"):
        migrate(family, lambda op: op.create_foreign_key("fk", "parent", "aunt", ["b"], ["id"]))
    assert definition(family) == before


def test_add_column_with_constraints(family):
    migrate(
        family,
        lambda op: op.add_column("child", sa.Column("other", sa.Integer, sa.ForeignKey("parent.id", name="fk_other"))),
    )
    assert {key["constrained_columns"][0] for key in sa.inspect(family).get_foreign_keys("child")} == {"p", "other"}


def test_batch_mode_rebuilds_the_table(family):
    def change(op):
        with op.batch_alter_table("parent") as batch:
            batch.alter_column("a", type_=sa.Integer, nullable=False)
            batch.create_unique_constraint("uq_a", ["a"])
            batch.drop_constraint("uq_b")

    # Batch mode works as on SQLite: it can't copy a generated column or rebuild a table that a view references.
    migrate(family, lambda op: op.execute("DROP VIEW v"), lambda op: op.drop_column("parent", "c"), change)
    inspector = sa.inspect(family)
    assert [column["name"] for column in inspector.get_columns("parent") if not column["nullable"]] == ["a"]
    assert [constraint["name"] for constraint in inspector.get_unique_constraints("parent")] == ["uq_a"]
    assert rows(family, "SELECT p FROM child") == [(1,), (2,)]
    assert rows(family, "SELECT boss FROM parent") == [(None,), (1,)]


def test_batch_mode_and_check_constraints(engine):
    """A CHECK of a dropped column goes with it; the others stay, and name a renamed column by its new name."""

    def create(op):
        op.execute(
            "CREATE TABLE image (id INTEGER PRIMARY KEY, is_public BOOLEAN CHECK (is_public IN (0, 1)), "
            "name TEXT CHECK (name <> 'name:' AND length(\"NAME\") < 9), size INTEGER, CHECK (size > 0))"
        )
        op.execute("INSERT INTO image VALUES (1, 1, 'a', 5)")

    def change(op):
        with op.batch_alter_table("image") as batch:
            batch.drop_column("is_public")
            batch.alter_column("name", new_column_name="title")

    migrate(engine, create, change)
    assert rows(engine, "SELECT id, title, size FROM image") == [(1, "a", 5)]
    for values in ("(2, 'name:', 1)", "(2, 'far too long', 1)", "(2, 'b', 0)"):
        with pytest.raises(sa.exc.IntegrityError, match="CHECK"), engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT INTO image VALUES {values}")


@needs_sqlalchemy_2  # for Connection.commit
def test_a_row_written_during_a_migration_is_not_lost():
    url = "rome+memory:///migrated"
    engine = sa.create_engine(url)
    migrate(
        engine,
        lambda op: op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Text)),
        lambda op: op.execute("INSERT INTO t (a) VALUES ('first')"),
    )
    with engine.connect() as connection, rome.connect(url) as other:
        operations = Operations(MigrationContext.configure(connection))
        operations.alter_column("t", "a", nullable=False)
        other.execute("INSERT INTO t (a) VALUES ('second')")
        other.commit()
        with pytest.raises(sa.exc.OperationalError) as caught:
            connection.commit()
    assert isinstance(caught.value.orig, Conflict)
    assert rows(engine, "SELECT a FROM t") == [("first",), ("second",)]
    migrate(engine, lambda op: op.alter_column("t", "a", nullable=False))
    assert rows(engine, "SELECT id, a FROM t") == [(1, "first"), (2, "second")]
    assert check_database(url) == []
    engine.dispose()
    rome.drop_database(url)


@pytest.mark.parametrize(
    "sql",
    [
        PARENT,
        """CREATE TABLE child (a, b, FOREIGN KEY (a) REFERENCES parent (id) ON DELETE SET NULL
           DEFERRABLE INITIALLY DEFERRED, UNIQUE (a, b) CONSTRAINT named CHECK (a <> ')'))""",
        """CREATE TABLE odd ("primary" DECIMAL (10, 2) NOT NULL ON CONFLICT REPLACE DEFAULT (1 + (2)),
           [b c] CHECK ([b c] IN (1, 2)) NULL, `d` TEXT DEFAULT NULL NOT NULL, e REFERENCES parent ON DELETE SET DEFAULT
           NOT DEFERRABLE UNIQUE, f DOUBLE PRECISION CONSTRAINT df DEFAULT -1.5, g AS (1) /* , */)""",
        "CREATE TABLE keyed (id INTEGER CONSTRAINT pk PRIMARY KEY AUTOINCREMENT, t TEXT COLLATE NOCASE -- , comment\n)",
        """CREATE TABLE strict (a INT, b TEXT GENERATED ALWAYS AS (a || 'x') STORED, PRIMARY KEY (a))
           STRICT, WITHOUT ROWID""",
    ],
)
def test_parsed_table_definitions_are_written_back_unchanged(sql):
    def described(text):
        with sqlite3.connect(":memory:") as connection:
            connection.execute(text)
            name = connection.execute("SELECT name FROM sqlite_master").fetchone()[0]
            pragmas = ("table_xinfo", "index_list", "foreign_key_list")
            return [connection.execute(f"PRAGMA {pragma}({name})").fetchall() for pragma in pragmas]

    read = read_table_text(sql)
    assert described(read.text) == described(sql)
    assert read_table_text(read.text) == read
    names = [row[1] for row in described(sql)[0]]
    assert [column.name for column in read.columns] == names
