"""`replicas=N`: commits that wait for replicas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from oslo_db import api, exception
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError, OperationalError

import rome
from rome.dbapi import Connection
from rome.errors import InterfaceError, NotReplicated
from rome.orm import Session, run_transaction
from rome.testing import check_database
from rome.testing.servers import login_of_tests
from rome.verify.faults.proxy import Proxy
from rome.verify.faults.server import FaultyServer, faulty_server, replica_of

pytestmark = [pytest.mark.slow, pytest.mark.server]


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[FaultyServer]:
    with faulty_server(tmp_path / "primary", appendonly="no") as server:
        yield server


@pytest.fixture
def replica(primary: FaultyServer, tmp_path: Path) -> Iterator[FaultyServer]:
    with replica_of(primary, tmp_path / "replica") as server:
        yield server


def url_of(port: int, options: str = "replicas=1&replicas_timeout=0.2") -> str:
    return f"rome+redis://{login_of_tests()}127.0.0.1:{port}/app?{options}"


def filled(url: str) -> Connection:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)")
    connection.execute("INSERT INTO t VALUES (1, 1)")
    connection.commit()
    return connection


def rows(url: str) -> list[tuple[object, ...]]:
    with closing(rome.connect(url)) as connection:
        return connection.execute("SELECT id, n FROM t ORDER BY id").fetchall()


def test_a_commit_is_at_the_replica_in_one_round_trip(primary: FaultyServer, replica: FaultyServer) -> None:
    with closing(filled(url_of(primary.port, "replicas=1&replicas_timeout=4.9"))) as connection:
        stats = connection.database.store.stats
        connection.execute("UPDATE t SET n = 2 WHERE id = 1")
        before = stats.rounds
        connection.commit()
        assert stats.rounds == before + 1
        assert rows(url_of(replica.port, "")) == [(1, 2)]


def test_too_few_replicas(primary: FaultyServer, replica: FaultyServer) -> None:
    """The transaction is over and applied: the connection goes on, also after a schema change."""
    with closing(filled(url_of(primary.port, "replicas=1&replicas_timeout=4.9"))):
        replica.hang()
    with closing(rome.connect(url_of(primary.port))) as connection:
        connection.execute("ALTER TABLE t ADD COLUMN m INT DEFAULT 7")
        connection.execute("UPDATE t SET n = 2")
        with pytest.raises(NotReplicated, match=r"is applied, but 0 of 1 replicas had it within 0\.2 s") as caught:
            connection.commit()
        assert (caught.value.replicas, caught.value.version) == (0, connection.database.store.version())
        assert connection.execute("SELECT n, m FROM t").fetchall() == [(2, 7)]
        connection.commit()
        connection.isolation_level = None
        with pytest.raises(NotReplicated):
            connection.execute("INSERT INTO t (n) VALUES (3)")
        replica.resume()
        assert rows(url_of(primary.port, "")) == [(1, 2), (2, 3)]


def test_a_large_commit(primary: FaultyServer, replica: FaultyServer) -> None:
    """It is written in pieces, the last of which another client may write."""
    with closing(filled(url_of(primary.port, "replicas=1&replicas_timeout=4.9"))):
        replica.hang()
    with closing(rome.connect(url_of(primary.port))) as connection:
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(number, 0) for number in range(2, 20_002)])
        with pytest.raises(NotReplicated):
            connection.commit()
    replica.resume()
    assert len(rows(url_of(primary.port, ""))) == 20_001
    assert check_database(url_of(primary.port, "")) == []


def test_a_commit_that_is_sent_twice_waits_too(primary: FaultyServer, replica: FaultyServer) -> None:
    """The second time it writes nothing on its connection, so the server would wait for nothing."""
    with Proxy(primary.port) as proxy, closing(filled(url_of(proxy.port, "replicas=1&replicas_timeout=4.9"))):
        replica.hang()
        with closing(rome.connect(url_of(proxy.port))) as connection:
            connection.execute("INSERT INTO t VALUES (2, 2)")
            proxy.cut_next("after")
            with pytest.raises(NotReplicated):
                connection.commit()
            assert proxy.cuts["after"] == 1
    assert rows(url_of(primary.port, "")) == [(1, 1), (2, 2)]


def test_no_retry_doubles_it(primary: FaultyServer) -> None:
    """SQLAlchemy gives a DatabaseError that is no OperationalError, oslo.db a DBError that its decorators let pass."""
    filled(url_of(primary.port, "")).close()
    url = url_of(primary.port)
    calls: list[str] = []

    def add(session: Session) -> None:
        calls.append("orm")
        session.execute(text("INSERT INTO t (n) VALUES (2)"))

    with pytest.raises(DatabaseError) as caught:
        run_transaction(lambda: Session(create_engine(url)), add)
    assert not isinstance(caught.value, OperationalError)
    assert isinstance(caught.value.orig, NotReplicated)

    facade = enginefacade.transaction_context()
    facade.configure(connection=url)

    @enginefacade.transaction_context_provider
    class Context:
        pass

    @api.wrap_db_retry(max_retries=3, retry_on_deadlock=True, retry_on_disconnect=True, retry_interval=0)
    @facade.writer
    def write(context: Context) -> None:
        calls.append("oslo")
        context.session.execute(text("INSERT INTO t (n) VALUES (3)"))  # type: ignore[attr-defined]

    with pytest.raises((exception.DBError, DatabaseError)) as error:
        write(Context())
    assert not isinstance(error.value, exception.DBDeadlock | exception.DBConnectionError)
    assert calls == ["orm", "oslo"]
    assert rows(url_of(primary.port, "")) == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("replicas=two", "'replicas' of the ROME URL .* is not a number of 0 or more"),
        ("replicas=1&replicas_timeout=9", "'replicas_timeout' .* is not less than socket_timeout"),
        ("replicas=1&replicas_timeout=0", "'replicas_timeout' .* is not a number of seconds"),
    ],
)
def test_options_that_are_wrong(options: str, problem: str) -> None:
    with pytest.raises(InterfaceError, match=problem):
        rome.connect(url_of(1, options))


def test_a_replica_can_not_wait_for_replicas(primary: FaultyServer, replica: FaultyServer) -> None:
    with pytest.raises(InterfaceError, match="option 'replicas' of the ROME URL can't be used"):
        rome.connect(url_of(replica.port))
