"""FOR UPDATE OF locks the rows of some tables; a row that came after the read version is found, or a conflict."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

import rome
from rome.errors import Conflict, LockTimeout, ProgrammingError

JOINED = "SELECT job.id FROM job JOIN tenant ON tenant.id = job.tid WHERE job.id = ? FOR UPDATE OF job"


@pytest.fixture
def connections(url):
    first, second = rome.connect(url, lock_timeout=0.2), rome.connect(url, lock_timeout=0.2)
    first.execute("CREATE TABLE tenant (id INTEGER PRIMARY KEY, n)")
    first.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, tid)")
    first.execute("CREATE VIEW busy AS SELECT tid, count(*) AS k FROM job GROUP BY tid")
    first.execute("INSERT INTO tenant VALUES (1, 0)")
    first.execute("INSERT INTO job VALUES (1, 1), (2, 1)")
    first.commit()
    yield first, second
    first.close()
    second.close()


def test_rows_of_other_tables_are_not_locked(connections):
    first, second = connections
    assert first.execute(JOINED, (1,)).fetchall() == [(1,)]
    assert second.execute(JOINED, (2,)).fetchall() == [(2,)]
    assert second.execute("SELECT id FROM tenant FOR UPDATE NOWAIT").fetchall() == [(1,)]
    second.rollback()
    with pytest.raises(LockTimeout):
        second.execute(JOINED, (1,))


@pytest.mark.parametrize(
    "other", ["(SELECT tid, count(*) AS k FROM job GROUP BY tid)", "busy"], ids=["grouped subquery", "view"]
)
def test_other_items_of_from_may_be_anything(connections, other):
    first, second = connections
    sql = (
        f"SELECT j.id, q.k FROM job AS j JOIN {other} AS q ON q.tid = j.tid WHERE j.id = ? FOR UPDATE OF j SKIP LOCKED"
    )
    assert first.execute(sql, (1,)).fetchall() == [(1, 2)]
    assert second.execute(sql, (1,)).fetchall() == []
    assert second.execute(sql, (2,)).fetchall() == [(2, 2)]


def test_a_name_that_is_not_in_from(connections):
    with pytest.raises(ProgrammingError, match='relation "tenant" in FOR UPDATE clause not found in FROM clause'):
        connections[0].execute("SELECT id FROM job FOR UPDATE OF tenant")


def test_with_for_update_of(url):
    metadata = sa.MetaData()
    tenant = sa.Table("tenant", metadata, sa.Column("id", sa.Integer, primary_key=True))
    job = sa.Table("job", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("tid", sa.Integer))
    engine = sa.create_engine(url, connect_args={"lock_timeout": 0.2})
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(tenant.insert(), [{"id": 1}])
        connection.execute(job.insert(), [{"id": 1, "tid": 1}, {"id": 2, "tid": 1}])
    alias = job.alias("j")
    query = sa.select(alias.c.id).join_from(alias, tenant, tenant.c.id == alias.c.tid).with_for_update(of=alias)
    with engine.connect() as one, engine.connect() as two:
        assert one.execute(query.where(alias.c.id == 1)).all() == [(1,)]
        assert two.execute(query.where(alias.c.id == 2)).all() == [(2,)]
    engine.dispose()


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM job WHERE id = 3", "SELECT id FROM job WHERE tid = 1 ORDER BY id LIMIT 9"]
)
def test_a_row_that_was_inserted_since_the_read_version_is_not_missing(connections, sql):
    first, second = connections
    first.execute("SELECT * FROM tenant").fetchall()
    second.execute("INSERT INTO job VALUES (3, 1)")
    second.commit()
    with pytest.raises(Conflict, match="added or changed after this transaction's read version"):
        first.execute(sql + " FOR UPDATE")
    first.rollback()
    assert 3 in [row[0] for row in first.execute(sql + " FOR UPDATE").fetchall()]


def test_other_rows_that_were_written_since_do_not_matter(connections):
    first, second = connections
    first.execute("SELECT * FROM tenant").fetchall()
    second.execute("INSERT INTO job VALUES (3, 1)")
    second.commit()
    assert first.execute("SELECT id FROM job WHERE id = 1 FOR UPDATE").fetchall() == [(1,)]
    assert first.execute("SELECT id FROM job WHERE id = 9 FOR UPDATE").fetchall() == []
