"""ROME's errors as services that use oslo.db see them."""

import pytest
import sqlalchemy as sa

pytest.importorskip("oslo_db")

from oslo_db import exception
from oslo_db.sqlalchemy import enginefacade, engines
from sqlalchemy import exc

from rome.errors import SnapshotTooOld, StoreUnavailable

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
    "child", METADATA, sa.Column("id", sa.Integer, primary_key=True), sa.Column("parent_id", sa.ForeignKey("parent.id"))
)


@pytest.fixture
def engine():
    engine = engines.create_engine("rome+memory://", max_retries=0)
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


def test_a_taken_key_names_its_columns(engine):
    with pytest.raises(exception.DBDuplicateEntry) as caught, engine.begin() as connection:
        connection.execute(PARENT.insert(), [{"a": "1", "b": "2"}] * 2)
    assert caught.value.columns == ["a", "b"]
    assert isinstance(caught.value.inner_exception, exc.IntegrityError)


def test_a_missing_parent(engine):
    with pytest.raises(exception.DBReferenceError), engine.begin() as connection:
        connection.execute(CHILD.insert(), {"parent_id": 7})


def test_a_missing_table_is_named(engine):
    with pytest.raises(exception.DBNonExistentTable) as caught, engine.connect() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")
    assert caught.value.table == "nowhere"


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
def test_what_passes_by_itself(engine, monkeypatch, raised, seen):
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
