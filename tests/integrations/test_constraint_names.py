"""Constraints that were declared without a name: reflection gives them one, and migrations drop them by it."""

import pytest
import sqlalchemy as sa

pytest.importorskip("alembic")

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError


@pytest.fixture
def engine():
    engine = sa.create_engine("rome+memory://")
    yield engine
    engine.dispose()


def create(engine, *texts):
    with engine.begin() as connection:
        for text in texts:
            connection.exec_driver_sql(text)


def names(engine, table):
    inspector = sa.inspect(engine)
    return {
        "pk": inspector.get_pk_constraint(table)["name"],
        "fk": [each["name"] for each in inspector.get_foreign_keys(table)],
        "unique": [each["name"] for each in inspector.get_unique_constraints(table)],
        "check": [each["name"] for each in inspector.get_check_constraints(table)],
    }


def test_names_are_made_as_postgresql_makes_them(engine):
    create(
        engine,
        "CREATE TABLE p (a INT, b INT, u TEXT UNIQUE, PRIMARY KEY (a, b))",
        """CREATE TABLE c (
            id INTEGER PRIMARY KEY CHECK (id > 0),
            x INT, "Y y" INT CONSTRAINT named UNIQUE, z TEXT REFERENCES p (u),
            UNIQUE (x, "Y y"), CHECK (x > "Y y"), CHECK (x < 10), CHECK (z <> 'x'),
            FOREIGN KEY (x, "Y y") REFERENCES p (a, b)
        )""",
    )
    assert names(engine, "p") == {"pk": "p_pkey", "fk": [], "unique": ["p_u_key"], "check": []}
    assert names(engine, "c") == {
        "pk": "c_pkey",
        "fk": ["c_x_Y y_fkey", "c_z_fkey"],
        "unique": ["c_x_Y y_key", "named"],
        "check": ["c_check", "c_id_check", "c_x_check", "c_z_check"],
    }
    checks = {each["name"]: each["sqltext"] for each in sa.inspect(engine).get_check_constraints("c")}
    assert checks["c_z_check"] == "z <> 'x'"
    assert checks["c_check"] == 'x > "Y y"'


def test_no_two_names_are_equal(engine):
    create(
        engine,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        """CREATE TABLE c (
            x INT, y INT, CONSTRAINT c_y_fkey FOREIGN KEY (x) REFERENCES p,
            FOREIGN KEY (y) REFERENCES p, CHECK (x > y), CHECK (x > y + 1)
        )""",
    )
    found = names(engine, "c")
    assert len({*found["fk"]}) == len(found["fk"])
    assert {"c_y_fkey", "c_y_fkey1"} <= {*found["fk"]}
    assert found["check"] == ["c_check", "c_check1"]


def test_tables_without_constraints_and_views_have_none(engine):
    create(engine, "CREATE TABLE t (a)", "CREATE VIEW v AS SELECT a FROM t")
    assert names(engine, "t") == names(engine, "v") == {"pk": None, "fk": [], "unique": [], "check": []}
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE x (a INT UNIQUE)")
        assert sa.inspect(connection).get_unique_constraints("x")[0]["name"] == "x_a_key"


@pytest.mark.parametrize(
    ("name", "type_", "left"),
    [
        ("c_pid_fkey", "foreignkey", {"fk": []}),
        ("c_u_key", "unique", {"unique": ["c_v_key"]}),
        ("C_V_KEY", "unique", {"unique": ["c_u_key"]}),
        ("c_v_check", "check", {"check": ["c_u_check"]}),
        ("c_pkey", "primary", {"pk": None}),
    ],
)
def test_a_constraint_is_dropped_by_its_made_name(engine, name, type_, left):
    create(
        engine,
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        """CREATE TABLE c (
            id INTEGER PRIMARY KEY, pid INT REFERENCES p ON DELETE CASCADE NOT NULL, u INT UNIQUE CHECK (u > 0),
            v INT UNIQUE CHECK (v > 0)
        )""",
        "INSERT INTO p VALUES (1)",
        "INSERT INTO c VALUES (1, 1, 2, 3)",
    )
    before = names(engine, "c")
    with engine.begin() as connection:
        Operations(MigrationContext.configure(connection)).drop_constraint(name, "c", type_=type_)
    assert names(engine, "c") == {**before, **left}
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT * FROM c").all() == [(1, 1, 2, 3)]


def test_a_name_that_is_none_is_an_error(engine):
    create(engine, "CREATE TABLE p (id INTEGER PRIMARY KEY, u INT)")
    with engine.begin() as connection, pytest.raises(CommandError, match="no such constraint: p_u_key of table p"):
        Operations(MigrationContext.configure(connection)).drop_constraint("p_u_key", "p", type_="unique")


def test_autogenerate_sees_no_difference(engine):
    metadata = sa.MetaData()
    sa.Table(
        "p",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("u", sa.String(9), unique=True),
        sa.Column("v", sa.Integer, sa.CheckConstraint("v > 0")),
        sa.Column("boss", sa.ForeignKey("p.id", ondelete="CASCADE")),
        sa.UniqueConstraint("u", "v"),
        sa.UniqueConstraint("v", "u", name="named"),
    )
    metadata.create_all(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    reflected = sa.MetaData()
    reflected.reflect(engine)
    copy = sa.create_engine("rome+memory://")
    reflected.create_all(copy)
    assert names(copy, "p") == names(engine, "p")
    with copy.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
