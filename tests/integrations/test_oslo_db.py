"""oslo.db's exceptions, retry decorators, enginefacade and provisioning on ROME."""

import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

pytest.importorskip("oslo_db")

from oslo_db import api, exception
from oslo_db.sqlalchemy import enginefacade, engines
from sqlalchemy import exc

from rome import dbapi
from rome.errors import SnapshotTooOld, StoreUnavailable
from tests.versions import needs_sqlalchemy_2

DROPS_CONSTRAINTS = dbapi.sqlite_version_info >= (3, 53)
METADATA = sa.MetaData()
PARENT = sa.Table(
    "parent",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("a", sa.Text),
    sa.Column("b", sa.Text),
    sa.UniqueConstraint("a", "b"),
)
CHILD = sa.Table(
    "child",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parent_id", sa.ForeignKey("parent.id", name="fk_parent")),
)


@pytest.fixture
def engine():
    engine = engines.create_engine("rome+memory://", max_retries=0)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


def test_a_duplicate_key_names_its_columns(engine):
    with pytest.raises(exception.DBDuplicateEntry) as caught, engine.begin() as connection:
        connection.execute(PARENT.insert(), [{"a": "1", "b": "2"}] * 2)
    assert caught.value.columns == ["a", "b"]
    assert isinstance(caught.value.inner_exception, exc.IntegrityError)


@pytest.mark.parametrize(
    "change",
    [CHILD.insert().values(parent_id=7), CHILD.update().values(parent_id=7), PARENT.delete()],
    ids=["insert", "update", "delete"],
)
def test_a_foreign_key_violation_names_the_childs_key(engine, change):
    with engine.begin() as connection:
        connection.execute(PARENT.insert(), {"id": 1})
        connection.execute(CHILD.insert(), {"id": 1, "parent_id": 1})
    with pytest.raises(exception.DBReferenceError) as caught, engine.begin() as connection:
        connection.execute(change)
    error = caught.value
    assert (error.table, error.constraint, error.key, error.key_table) == ("child", "fk_parent", "parent_id", "parent")


def test_a_missing_table_is_named(engine):
    for statement in ("SELECT * FROM nowhere", "CREATE INDEX i ON nowhere (a)", "DROP TABLE nowhere"):
        with pytest.raises(exception.DBNonExistentTable) as caught, engine.connect() as connection:
            connection.exec_driver_sql(statement)
        assert caught.value.table == "nowhere"


@needs_sqlalchemy_2  # for Connection.commit
def test_a_conflict_is_a_deadlock_to_retry_decorators(engine):
    with engine.begin() as connection:
        connection.execute(PARENT.insert(), {"id": 1, "a": "1", "b": "1"})
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            assert connection.execute(PARENT.select()).one().b == "1"
            connection.execute(PARENT.update().values(b="2"))
        first.commit()
        with pytest.raises(exception.DBDeadlock):
            second.commit()


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (SnapshotTooOld("the log reaches back to 7 only"), exception.DBDeadlock),
        (StoreUnavailable("no answer from localhost:6379"), exception.DBConnectionError),
    ],
)
def test_retryable_errors(engine, monkeypatch, raised, seen):
    def fail(*_):
        raise raised

    with engine.connect() as connection:
        monkeypatch.setattr(engine.dialect, "do_execute", fail)
        with pytest.raises(seen):
            connection.execute(sa.select(PARENT))


def test_enginefacade():
    facade = enginefacade.transaction_context()
    facade.configure(connection="rome+memory://", max_retries=0)
    METADATA.create_all(facade.writer.get_engine())

    class Context:
        pass

    context = Context()
    with facade.writer.using(context) as session:
        session.execute(PARENT.insert(), {"a": "1", "b": "1"})
    with facade.reader.using(context) as session:
        assert session.execute(sa.select(PARENT.c.a)).scalars().all() == ["1"]


@pytest.fixture
def facade():
    facade = enginefacade.transaction_context()
    facade.configure(connection="rome+memory://", max_retries=0)
    METADATA.create_all(facade.writer.get_engine())
    return facade


class Context:
    pass


def names(facade, mode):
    with mode.using(Context()) as session:
        return session.execute(sa.select(PARENT.c.a).order_by(PARENT.c.a)).scalars().all()


def test_async_reader_and_savepoint(facade):
    context = Context()
    with facade.writer.using(context) as session:
        session.execute(PARENT.insert(), {"a": "1", "b": "1"})
        with pytest.raises(exception.DBDuplicateEntry), facade.writer.savepoint.using(context) as inner:
            inner.execute(PARENT.insert(), [{"a": "2", "b": "2"}, {"a": "1", "b": "1"}])
        with facade.writer.savepoint.using(context) as inner:
            inner.execute(PARENT.insert(), {"a": "3", "b": "3"})
    assert names(facade, facade.reader.async_) == ["1", "3"]
    assert names(facade, facade.reader) == ["1", "3"]


def test_retry_on_deadlock_runs_the_function_again(facade):
    with facade.writer.using(Context()) as session:
        session.execute(PARENT.insert(), {"a": "0", "b": "0"})
    tries = []

    @api.wrap_db_retry(max_retries=3, retry_on_deadlock=True, retry_interval=0, inc_retry_interval=False)
    def increment():
        with facade.writer.using(Context()) as session:
            value = int(session.execute(sa.select(PARENT.c.a)).scalar_one())
            session.execute(PARENT.update().values(a=str(value + 1)))
            tries.append(value)
            if len(tries) == 1:
                with facade.writer.using(Context()) as other:
                    other.execute(PARENT.update().values(a="10"))

    increment()
    assert tries == [0, 10]
    assert names(facade, facade.reader) == ["11"]


def test_values_that_can_not_be_stored(engine):
    with engine.connect() as connection:
        with pytest.raises(exception.DBDataError):
            connection.execute(PARENT.insert(), {"id": 2**64})
        with pytest.raises(exception.DBDataError):
            connection.exec_driver_sql("INSERT INTO parent (id) VALUES ('not a number')")


def test_a_check_is_named(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE checked (a CONSTRAINT positive CHECK (a > 0), b CHECK (b <> a))")
        for values, name in ((0, 1), "positive"), ((1, 1), "b <> a"):
            with pytest.raises(exception.DBConstraintError) as caught:
                connection.exec_driver_sql("INSERT INTO checked VALUES (?, ?)", values)
            assert (caught.value.table, caught.value.check_name) == ("checked", name)


@pytest.mark.skipif(not DROPS_CONSTRAINTS, reason="this SQLite has no ALTER TABLE … DROP CONSTRAINT")
def test_a_missing_constraint_is_named(engine):
    with pytest.raises(exception.DBNonExistentConstraint) as caught, engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE parent DROP CONSTRAINT nowhere")
    assert (caught.value.table, caught.value.constraint) == ("parent", "nowhere")


def test_a_duplicate_key_of_an_index_on_an_expression(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE UNIQUE INDEX lowered ON parent (lower(a))")
        with pytest.raises(exception.DBDuplicateEntry) as caught:
            connection.execute(PARENT.insert(), [{"a": "n"}, {"a": "N"}])
    assert caught.value.columns == ["index 'lowered'"]


def test_regexp(engine):
    with engine.begin() as connection:
        connection.execute(PARENT.insert(), [{"a": "fake-1"}, {"a": "other"}])
        found = connection.execute(sa.select(PARENT.c.a).where(PARENT.c.a.op("REGEXP")("^fake-[0-9]$")))
        assert found.scalars().all() == ["fake-1"]


NOVA = """
def get_regexp_ops(connection):
    known = {"mysql": "REGEXP", "sqlite": "REGEXP"}
    return str, known.get(connection.split(":")[0].split("+")[0], "LIKE")
"""


def test_nova_filters_by_regular_expressions(tmp_path):
    package = tmp_path / "nova" / "db"
    package.mkdir(parents=True)
    package.joinpath("utils.py").write_text(NOVA)
    program = """
import sqlalchemy as sa
from nova.db import utils
for url in ("rome+memory:///app", "mysql://", "other://"):
    engine = sa.create_engine("rome+memory://")
    print(utils.get_regexp_ops(url)[1], end=" ")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout == "REGEXP REGEXP LIKE "


def test_max_retries_if_the_store_is_down_at_start(caplog):
    url = "rome+redis://127.0.0.1:1/nowhere"
    with pytest.raises(exception.DBConnectionError, match=r"127\.0\.0\.1:1"):
        engines.create_engine(url, max_retries=2, retry_interval=0)
    assert [record.getMessage() for record in caplog.records if "SQL connection failed" in record.getMessage()] == [
        "SQL connection failed. 2 attempts left.",
        "SQL connection failed. 1 attempts left.",
    ]


@pytest.mark.parametrize("environment", [{}, {"OS_TEST_DBAPI_ADMIN_CONNECTION": "rome+memory:///admin"}])
def test_provisioning_without_an_engine_before(environment):
    program = """
from oslo_db.sqlalchemy import provision
impl = provision.BackendImpl.impl("rome")
backend = provision.Backend.backend_for_database_type("rome")
import sqlalchemy as sa
backend.create_named_database("fresh")
engine = sa.create_engine(backend.provisioned_database_url("fresh"))
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE TABLE t (a REFERENCES t (a))")
before = backend.database_exists("fresh")
backend.create_named_database("fresh", conditional=True)
backend.drop_all_objects(engine)
print(type(impl).__name__, backend.url, before, backend.database_exists("fresh"), sa.inspect(engine).get_table_names())
backend.drop_named_database("fresh")
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    url = environment.get("OS_TEST_DBAPI_ADMIN_CONNECTION", "rome+memory:///openstack_citest")
    assert ran.stdout == f"RomeBackendImpl {url} True False []\n"
