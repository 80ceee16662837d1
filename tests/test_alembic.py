"""Migrations with Alembic."""

import pytest
import sqlalchemy as sa

pytest.importorskip("alembic")

from alembic.migration import MigrationContext
from alembic.operations import Operations

from rome.alembic import RomeImpl


@pytest.fixture
def engine():
    engine = sa.create_engine("rome+memory://")
    yield engine
    engine.dispose()


def test_alembic_finds_the_implementation(engine):
    with engine.connect() as connection:
        assert isinstance(MigrationContext.configure(connection).impl, RomeImpl)


def test_a_migration_changes_tables(engine):
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.create_table("t", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("a", sa.Text))
        operations.bulk_insert(sa.table("t", sa.column("a")), [{"a": "kept"}])
        operations.add_column("t", sa.Column("b", sa.Integer, server_default="5", nullable=False))
        operations.alter_column("t", "a", new_column_name="c")
        operations.create_index("ix", "t", ["c"])
        operations.rename_table("t", "u")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, c, b FROM u").all() == [(1, "kept", 5)]
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.drop_index("ix", "u")
        operations.drop_column("u", "c")
    assert [column["name"] for column in sa.inspect(engine).get_columns("u")] == ["id", "b"]


def test_a_migration_that_fails_leaves_nothing(engine):
    def migrate():
        with engine.begin() as connection:
            operations = Operations(MigrationContext.configure(connection))
            operations.create_table("t", sa.Column("id", sa.Integer, primary_key=True))
            operations.drop_table("nowhere")

    with pytest.raises(sa.exc.OperationalError):
        migrate()
    assert not sa.inspect(engine).has_table("t")


def test_batch_mode_makes_the_table_anew(engine):
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        operations.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.Text))
        operations.bulk_insert(sa.table("t", sa.column("a")), [{"a": "7"}])
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("t") as batch:
            batch.alter_column("a", type_=sa.Integer, nullable=False)
            batch.create_unique_constraint("uq_a", ["a"])
    inspector = sa.inspect(engine)
    assert [column["nullable"] for column in inspector.get_columns("t")] == [False, False]
    assert [constraint["name"] for constraint in inspector.get_unique_constraints("t")] == ["uq_a"]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id, a FROM t").all() == [(1, 7)]
