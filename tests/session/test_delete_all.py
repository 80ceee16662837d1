"""DELETE of a whole table: at once, without reading its rows; the results are those of deleting each row."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from redis import Redis

import rome
from rome.database.registry import open_database
from rome.dbapi import Connection
from rome.errors import Conflict, Error, LockTimeout, SnapshotTooOld
from rome.session import bulk_dml
from rome.testing import check_database, clone_database
from rome.testing.servers import RedisServer, own_valkey_server
from rome.url import parse_url

ROWS = [(number, f"k{number}", number % 3) for number in range(1, 13)]
NUMBER = itertools.count()

Connect = Callable[..., Connection]


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_dml, "_MANY", 1)


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """A function that connects to a database with a table of twelve rows; it takes options of `rome.connect`."""
    opened: list[Connection] = []

    def connect_(address: str = url, **options: Any) -> Connection:
        opened.append(rome.connect(address, **options))
        return opened[-1]

    make_table(connect_())
    yield connect_
    for connection in opened:
        connection.close()
    assert check_database(url) == []


def make_table(connection: Connection) -> None:
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v INT)")
    connection.execute("CREATE INDEX t_v ON t (v)")
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
    connection.commit()


def read(connection: Connection) -> list[Any]:
    """Return the rows by each kind of access path."""
    reads = [
        "SELECT * FROM t ORDER BY id",
        "SELECT id FROM t WHERE v = 1 ORDER BY id",
        "SELECT v FROM t WHERE id = 3",
        "SELECT id FROM t WHERE k = 'k4'",
        "SELECT id FROM t ORDER BY id DESC LIMIT 2",
        "SELECT count(*) FROM t WHERE id > 4",
        "SELECT count(*), sum(v) FROM t",
    ]
    return [connection.execute(sql).fetchall() for sql in reads]


FULL = [
    ROWS,
    [(1,), (4,), (7,), (10,)],
    [(0,)],
    [(4,)],
    [(12,), (11,)],
    [(8,)],
    [(12, 12)],
]
EMPTY: list[Any] = [[], [], [], [], [], [(0,)], [(0, None)]]


def test_all_rows_are_deleted_and_counted(connect: Connect) -> None:
    connection, other = connect(), connect()
    assert connection.execute("DELETE FROM t").rowcount == 12
    assert connection.execute("SELECT changes(), total_changes() >= 12").fetchall() == [(12, 1)]
    assert read(other) == FULL
    connection.commit()
    assert read(other) == FULL, "the snapshot of before"
    other.commit()
    assert read(other) == EMPTY
    assert connection.execute("DELETE FROM t;").rowcount == 0
    connection.execute("INSERT INTO t (k, v) VALUES ('k4', 1)")
    connection.commit()
    other.commit()
    assert other.execute("SELECT * FROM t").fetchall() == [(13, "k4", 1)]


def test_no_row_is_read(url: str) -> None:
    with closing(rome.connect(url)) as connection:
        make_table(connection)
        connection.executemany("INSERT INTO t (k, v) VALUES (?, 0)", [(f"{number:0300}",) for number in range(500)])
        connection.commit()
        stats = open_database(parse_url(url)).store.stats
        before = stats.snapshot()
        assert connection.execute("DELETE FROM t").rowcount == 512
        connection.commit()
        rounds, _, rows, size = (after - then for after, then in zip(stats.snapshot(), before, strict=True))
        assert (rounds, rows) == (2, 0)
        assert size < 2500


def test_a_row_that_was_inserted_meanwhile_stays(connect: Connect) -> None:
    connection, other = connect(), connect()
    assert connection.execute("DELETE FROM t").rowcount == 12
    other.execute("INSERT INTO t (k, v) VALUES ('new', 1)")
    other.commit()
    connection.commit()
    assert other.execute("SELECT * FROM t").fetchall() == [(13, "new", 1)]


def test_a_row_that_was_changed_meanwhile_is_a_conflict(connect: Connect) -> None:
    connection, other = connect(), connect()
    connection.execute("DELETE FROM t")
    other.execute("DELETE FROM t WHERE id = 3")
    other.commit()
    with pytest.raises(Conflict):
        connection.commit()
    assert other.execute("SELECT count(*) FROM t").fetchall() == [(11,)]


def test_a_change_of_a_deleted_row_is_a_conflict(connect: Connect) -> None:
    connection, other, third = connect(), connect(), connect()
    assert other.execute("SELECT count(*) FROM t").fetchall() == [(12,)]
    assert third.execute("SELECT count(*) FROM t").fetchall() == [(12,)]
    connection.execute("DELETE FROM t")
    connection.commit()
    assert other.execute("UPDATE t SET v = 8 WHERE id = 3 RETURNING k").fetchall() == [("k3",)]
    with pytest.raises(Conflict):
        other.commit()
    third.execute("INSERT INTO t (k, v) VALUES ('new', 1)")
    third.commit()
    assert connection.execute("SELECT * FROM t").fetchall() == [(13, "new", 1)]


def test_serializable_readers_see_it(connect: Connect) -> None:
    connection = connect()
    reader, deleter = (connect(isolation_level="SERIALIZABLE") for _ in range(2))
    connection.execute("CREATE TABLE u (n)")
    connection.commit()
    assert reader.execute("SELECT count(*) FROM t").fetchall() == [(12,)]
    reader.execute("INSERT INTO u VALUES (1)")
    connection.execute("DELETE FROM t")
    connection.commit()
    with pytest.raises(Conflict):
        reader.commit()
    connection.execute("INSERT INTO t VALUES (1, 'k1', 1)")
    connection.commit()
    deleter.execute("DELETE FROM t")
    connection.execute("INSERT INTO t VALUES (2, 'k2', 2)")
    connection.commit()
    with pytest.raises(Conflict):
        deleter.commit()


def test_savepoints(connect: Connect) -> None:
    connection, other = connect(), connect()
    connection.execute("DELETE FROM t")
    connection.execute("SAVEPOINT s")
    connection.execute("INSERT INTO t VALUES (1, 'k9', 1)")
    connection.execute("ROLLBACK TO s")
    assert read(connection) == EMPTY
    connection.rollback()
    assert read(connection) == FULL
    connection.execute("SAVEPOINT s")
    connection.execute("DELETE FROM t")
    connection.execute("ROLLBACK TO s")
    assert read(connection) == FULL
    connection.execute("RELEASE s")
    connection.commit()
    assert read(other) == FULL


def test_statements_after_it(connect: Connect) -> None:
    connection, other = connect(), connect()
    connection.execute("DELETE FROM t")
    assert read(connection) == EMPTY
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS[:3])
    connection.execute("UPDATE t SET v = v + 10 WHERE id = 2")
    connection.commit()
    assert other.execute("SELECT * FROM t").fetchall() == [(1, "k1", 1), (2, "k2", 12), (3, "k3", 0)]


NEW = [(number + 100, f"n{number}", number % 3) for number in range(1, 9)]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("INSERT INTO t VALUES (?, ?, ?)", NEW),
        ("INSERT INTO t VALUES (?, ?, ?)", NEW[:1]),
        ("INSERT INTO t (k, v) VALUES (?, ?)", [row[1:] for row in NEW]),
        ("INSERT INTO t SELECT id + 100, 'n' || id, v FROM s WHERE id < ?", [(3,)]),
        ("INSERT INTO t VALUES (?, ?, ?)", ROWS),
        ("DELETE FROM t", [()]),
        ("REPLACE INTO t VALUES (?, ?, ?)", NEW),
    ],
)
@pytest.mark.parametrize("isolation_level", ["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"])
def test_a_statement_after_it(connect: Connect, sql: str, rows: list[Any], isolation_level: str) -> None:
    """What a commit writes to a table is written, though it also deletes all rows of the table."""
    connection, other = connect(isolation_level=isolation_level), connect()
    connection.execute("CREATE TABLE s (id INTEGER PRIMARY KEY, v INT)")
    connection.execute("INSERT INTO s SELECT id, v FROM t")
    connection.commit()
    connection.execute("DELETE FROM t")
    connection.executemany(sql, rows)
    connection.commit()
    found = [row[1:] for row in other.execute("SELECT * FROM t ORDER BY id").fetchall()]
    given = [(row[-2], row[-1]) for row in rows if len(row) > 1]
    assert found == (NEW_BY_SELECT if "SELECT" in sql else given)


NEW_BY_SELECT = [("n1", 1), ("n2", 2)]


@pytest.mark.parametrize("key", ["TEXT NOT NULL PRIMARY KEY", "INTEGER PRIMARY KEY", "INT NOT NULL PRIMARY KEY"])
@pytest.mark.parametrize("number", [1, 3, 30])
def test_new_rows_after_it(connect: Connect, key: str, number: int) -> None:
    connection, other = connect(), connect()
    connection.execute(f"CREATE TABLE w (id {key}, d INT UNIQUE)")
    connection.executemany("INSERT INTO w (id) VALUES (?)", [(each,) for each in range(20)])
    connection.commit()
    rows = [(each + 100, each) for each in range(number)]
    other.execute("DELETE FROM w")
    other.executemany("INSERT INTO w VALUES (?, ?)", rows)
    other.commit()
    assert connection.execute("SELECT id + 0, d FROM w ORDER BY d").fetchall() == rows


def test_replayed_after_a_conflict_elsewhere(connect: Connect) -> None:
    connection, other = connect(), connect()
    connection.execute("CREATE TABLE u (n)")
    connection.execute("INSERT INTO u VALUES (1)")
    connection.commit()
    connection.execute("UPDATE u SET n = n + 1")
    connection.execute("DELETE FROM t")
    other.execute("UPDATE u SET n = n + 1")
    other.commit()
    connection.commit()
    assert other.execute("SELECT n, (SELECT count(*) FROM t) FROM u").fetchall() == [(3, 0)]


def test_locked_rows_are_awaited(connect: Connect) -> None:
    connection, other = connect(lock_timeout=0.1), connect()
    assert other.execute("SELECT v FROM t WHERE id = 3 FOR UPDATE").fetchall() == [(0,)]
    connection.execute("DELETE FROM t")
    with pytest.raises((LockTimeout, Conflict)):
        connection.commit()
    other.execute("UPDATE t SET v = 7 WHERE id = 3")
    other.commit()
    assert other.execute("SELECT v FROM t WHERE id = 3").fetchall() == [(7,)]


def test_followers_learn_every_row(connect: Connect, url: str) -> None:
    connection, cached = connect(), connect(f"{url}?staleness=0.05")
    assert read(cached) == FULL
    cached.commit()
    store = open_database(parse_url(url)).store
    before = store.version()
    connection.execute("DELETE FROM t")
    connection.commit()
    (commit,) = store.changes(before)
    (space,) = {change.space for change in commit.changes if change.space.startswith(b"r")}
    deleted = [change for change in commit.changes if change.space == space]
    assert len(deleted) == 12
    assert all(change.old is not None and change.new is None for change in commit.changes)
    assert len(commit.changes) == 3 * 12
    while cached.execute("SELECT count(*) FROM t").fetchall() != [(0,)]:
        cached.commit()
    assert read(cached) == EMPTY


def test_a_process_with_a_cache_deletes(connect: Connect, url: str) -> None:
    cached = connect(f"{url}?staleness=60")
    assert read(cached) == FULL
    cached.commit()
    assert cached.execute("DELETE FROM t").rowcount == 12
    cached.commit()
    assert read(cached) == EMPTY


# ── on Redis ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def redis_url(redis_server: RedisServer) -> Iterator[str]:
    url = redis_server.url(f"delete_all_{next(NUMBER)}")
    with closing(rome.connect(url)) as connection:
        make_table(connection)
    yield url
    rome.drop_database(url)


def keys_of(url: str) -> list[str]:
    address, _, name = url.removeprefix("rome+").rpartition("/")
    with Redis.from_url(address, decode_responses=True) as client:
        return sorted(client.keys(f"{{rome:{name}}}:*"))


@pytest.mark.server
def test_clones_lack_what_was_deleted(redis_url: str) -> None:
    copy = f"{redis_url}_copy"
    with closing(rome.connect(redis_url)) as connection:
        connection.execute("DELETE FROM t")
        connection.commit()
        clone_database(redis_url, copy)
        connection.execute("INSERT INTO t VALUES (1, 'k1', 1)")
        connection.commit()
    with closing(rome.connect(copy)) as connection:
        assert read(connection) == EMPTY
    assert check_database(copy) == []
    assert not [key for key in keys_of(copy) if "@" in key]
    rome.drop_database(copy)
    assert keys_of(copy) == []


@pytest.mark.server
def test_the_rows_leave_with_the_log(redis_url: str) -> None:
    with closing(rome.connect(f"{redis_url}?log_commits=3")) as connection:
        connection.execute("DELETE FROM t")
        connection.commit()
        assert len([key for key in keys_of(redis_url) if "@" in key]) == 4
        for number in range(8):
            connection.execute("INSERT INTO t (k) VALUES (?)", (f"{number}",))
            connection.commit()
        assert not [key for key in keys_of(redis_url) if "@" in key]
    assert check_database(redis_url) == []


@pytest.mark.server
def test_evicted_rows_are_a_snapshot_too_old(redis_url: str) -> None:
    address = redis_url.removeprefix("rome+").rpartition("/")[0]
    with (
        closing(rome.connect(redis_url)) as connection,
        closing(rome.connect(redis_url)) as old,
        closing(rome.connect(redis_url)) as writer,
        Redis.from_url(address) as client,
    ):
        old.execute("SELECT 1 FROM t WHERE id = 1")
        writer.execute("UPDATE t SET v = 8 WHERE id = 3")
        connection.execute("DELETE FROM t")
        connection.commit()
        client.delete(*[key for key in keys_of(redis_url) if "@" in key])
        with pytest.raises(SnapshotTooOld):
            read(old)
        with pytest.raises(Error):
            writer.commit()
        connection.commit()
        assert read(connection) == EMPTY


@pytest.mark.server
def test_a_user_who_may_not_rename_deletes_row_by_row() -> None:
    with own_valkey_server() as server, Redis(server.host, server.port) as admin:
        url = server.url("app")
        with closing(rome.connect(url)) as connection:
            make_table(connection)
        admin.execute_command("ACL", "SETUSER", "default", "-rename")
        with closing(rome.connect(url)) as connection:
            assert connection.execute("DELETE FROM t").rowcount == 12
            connection.commit()
            assert read(connection) == EMPTY
        assert not [key for key in keys_of(url) if "@" in key]


@pytest.mark.server
def test_a_commit_that_was_stopped_halfway_is_undone(redis_url: str) -> None:
    """The state of before, and the mark of a commit under way, are put back: so the server looks if it was stopped."""
    address, _, name = redis_url.removeprefix("rome+").rpartition("/")
    meta = f"{{rome:{name}}}:meta"
    with closing(rome.connect(redis_url)) as connection, Redis.from_url(address) as client:
        before = client.hgetall(meta)
        connection.execute("DELETE FROM t")
        connection.commit()
        client.hset(meta, mapping={**before, "pending": "!"})  # type: ignore[arg-type]
        with closing(rome.connect(redis_url)) as reader:
            assert read(reader) == FULL
            reader.commit()
            reader.execute("UPDATE t SET v = 9 WHERE id = 1")
            reader.commit()
            assert reader.execute("SELECT id FROM t WHERE v = 9").fetchall() == [(1,)]
            assert len(reader.execute("SELECT * FROM t").fetchall()) == 12
    assert not [key for key in keys_of(redis_url) if "@" in key]
    assert check_database(redis_url) == []


# ── two connections ───────────────────────────────────────────────────────────────────────────────────────────────────

STEPS = [
    "DELETE FROM t",
    "DELETE FROM t",
    "DELETE FROM t WHERE v = 1",
    "INSERT INTO t (k, v) VALUES ({new}, 1)",
    "INSERT INTO t VALUES ({id}, {new}, 2)",
    "INSERT INTO t (k, v) VALUES ('k3', 5)",
    "INSERT OR IGNORE INTO t (k, v) VALUES ('k5', 5)",
    "INSERT INTO t (k, v) SELECT {new} || k, v FROM t",
    "UPDATE t SET v = v + 1",
    "UPDATE t SET k = {new} WHERE id = {id}",
    "SELECT * FROM t ORDER BY id",
    "SELECT id FROM t WHERE v > 0 ORDER BY id",
    "SELECT count(*) FROM t",
    "SAVEPOINT s",
    "ROLLBACK TO s",
    "COMMIT",
    "COMMIT",
    "COMMIT",
    "ROLLBACK",
]


def play(url: str, seed: int) -> list[Any]:
    """Return the outcomes of random statements on two connections to a new database."""
    chance = random.Random(seed)
    outcomes: list[Any] = []
    levels = ["SNAPSHOT", chance.choice(["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"])]
    connections = [rome.connect(f"{url}?ids=blocks", isolation_level=level) for level in levels]
    make_table(connections[0])
    for number in range(40):
        at = chance.randrange(2)
        connection = connections[at]
        sql = chance.choice(STEPS).format(new=f"'n{number}'", id=chance.randint(1, 15))
        try:
            cursor = connection.execute(sql)
            outcomes.append((at, sql, cursor.rowcount, cursor.fetchall() if cursor.description else None))
        except Error as error:
            outcomes.append((at, sql, type(error)))
    for connection in connections:
        connection.close()
    with closing(rome.connect(url)) as last:
        outcomes.append(last.execute("SELECT * FROM t ORDER BY id").fetchall())
        outcomes.append(last.execute("SELECT id FROM t WHERE v > 0 ORDER BY v, id").fetchall())
    assert check_database(url) == []
    rome.drop_database(url)
    return outcomes


@pytest.mark.parametrize("seed", range(60))
def test_two_connections(url: str, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """The outcomes are the same as where the store deletes row by row."""
    found = play(url, seed)
    monkeypatch.delattr(type(open_database(parse_url(url)).store), "empties_spaces")
    assert play(url, seed) == found
