"""Keys that the server has evicted: an error that says so, never an empty or a wrong answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from redis import Redis

import rome
from rome.database import registry
from rome.dbapi import Connection
from rome.errors import Error, FormatError, IntegrityError, OperationalError, SnapshotTooOld
from rome.storage.redis import writes
from rome.testing import check_database, clone_database
from rome.testing.servers import RedisServer, own_valkey_server

pytestmark = pytest.mark.server

_NUMBER = itertools.count()

ROWS = [(number, number % 7, f"name {number}") for number in range(1, 41)]

READS = {
    "scan": ("SELECT * FROM t", ROWS),
    "get": ("SELECT * FROM t WHERE id = 3", ROWS[2:3]),
    "range": ("SELECT * FROM t WHERE id > 30 ORDER BY id", ROWS[30:]),
    "index": ("SELECT id FROM t WHERE n = 4 ORDER BY id", [(row[0],) for row in ROWS if row[1] == 4]),
    "top": ("SELECT id FROM t ORDER BY id DESC LIMIT 2", [(40,), (39,)]),
    "count": ("SELECT count(*) FROM t", [(40,)]),
    "join": ("SELECT count(*) FROM u JOIN t ON t.id = u.t", [(40,)]),
}
"""Statements, and their results as long as nothing is missing."""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with own_valkey_server() as server:
        yield server


class Keys:
    """The keys of a database on a server."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._prefix = f"{{rome:{url.rsplit('/', 1)[1]}}}:"

    def evict(self, key: str) -> None:
        """Do as a server that evicts a key."""
        assert self._client.delete(self._prefix + key)

    def __contains__(self, key: str) -> bool:
        return bool(self._client.exists(self._prefix + key))


@pytest.fixture
def url(server: RedisServer) -> str:
    """The URL of a new database with two tables, of which one refers to the other."""
    url = server.url(f"app{next(_NUMBER)}")
    fill(url)
    return url


@pytest.fixture
def keys(server: RedisServer, url: str) -> Iterator[Keys]:
    with Redis(server.host, server.port) as client:
        yield Keys(client, url)


def fill(url: str) -> None:
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, s TEXT UNIQUE)")
        connection.execute("CREATE INDEX t_n ON t (n)")
        connection.execute("CREATE TABLE u (id INTEGER PRIMARY KEY, t INT REFERENCES t)")
        connection.executemany("INSERT INTO t (n, s) VALUES (?, ?)", [row[1:] for row in ROWS])
        connection.executemany("INSERT INTO u (t) VALUES (?)", [row[:1] for row in ROWS])
        connection.commit()


def commit(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement)
    connection.commit()


def rows_of(url: str, statement: str) -> list[Any]:
    """Return the rows of a statement in a connection of its own, with nothing cached."""
    registry._idle.clear()
    with closing(rome.connect(url)) as connection:
        return connection.execute(statement).fetchall()


def outcomes(url: str) -> dict[str, str]:
    """Run all reads; each must give the right rows or an error. Return the names of the errors."""
    found = {}
    for name, (statement, expected) in READS.items():
        try:
            assert rows_of(url, statement) == expected, name
        except (FormatError, OperationalError) as error:
            found[name] = str(error)
    return found


# ── each key that a database has ──────────────────────────────────────────────────────────────────────────────────

NOTICED = {
    "s:r2": {"scan", "get", "range", "index", "join"},
    "o:r2": {"range", "top", "count"},
    "s:i3": {"index"},
    "s:c": set(READS),
    "meta": set(READS),
}
"""Keys, and the reads that need them. (Others may need them, too, as the planner likes.)"""


@pytest.mark.parametrize("key", NOTICED)
def test_a_key_that_is_missing_is_an_error(url: str, keys: Keys, key: str) -> None:
    keys.evict(key)
    found = outcomes(url)
    assert found.keys() >= NOTICED[key]
    assert all("evicted" in message for message in found.values())


@pytest.mark.parametrize("key", ["s:r2", "o:r2", "s:i1", "s:i3", "s:r4", "o:r4"])
def test_a_commit_does_not_make_it_anew(url: str, keys: Keys, key: str) -> None:
    """Or else later reads would find a table with one row."""
    keys.evict(key)
    with closing(rome.connect(url)) as connection:
        for statement in (
            "INSERT INTO t VALUES (100, 0, 'new')",
            "INSERT INTO u VALUES (100, 1)",
            "UPDATE t SET n = 8, s = 'other'",
            "DELETE FROM t WHERE id = 3",
        ):
            try:
                commit(connection, statement)
            except Error:
                connection.rollback()
    assert key not in keys
    assert any("is missing" in fault for fault in check_database(url))


def test_a_unique_index_that_is_missing_lets_no_duplicate_in(url: str, keys: Keys) -> None:
    keys.evict("s:i1")
    with closing(rome.connect(url)) as connection, pytest.raises(FormatError, match=r"s:i1 is missing.*evicted"):
        commit(connection, "INSERT INTO t VALUES (100, 0, 'name 3')")


def test_counters_that_are_missing_give_no_id_again(url: str, keys: Keys) -> None:
    keys.evict("counters")
    with closing(rome.connect(url)) as connection:
        for _ in range(2):
            with pytest.raises(FormatError, match=r"counters is missing.*evicted"):
                commit(connection, "INSERT INTO t (n) VALUES (1)")
            connection.rollback()
    assert any("counters is missing" in fault for fault in check_database(url))


@pytest.mark.parametrize("script", ["INSERT INTO t VALUES (100, 0, 'new')", "CREATE TABLE other (a)"])
def test_a_database_without_its_state_is_not_a_new_one(url: str, keys: Keys, script: str) -> None:
    with closing(rome.connect(url)) as connection:
        keys.evict("meta")
        with pytest.raises(FormatError, match=r"delete all keys \{rome:app\d+\}:\*"):
            commit(connection, script)
    assert "meta" not in keys


# ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["k:r2", "k:i3", "heads", "history"])
@pytest.mark.parametrize("commits", [0, 1, 3])
def test_a_log_that_is_missing_makes_versions_too_old(url: str, keys: Keys, key: str, commits: int) -> None:
    """A reader and a writer of an older version get an error that asks for another attempt; later ones are served."""
    with closing(rome.connect(url)) as old, closing(rome.connect(url)) as other:
        old.execute("SELECT * FROM t WHERE id = 1").fetchall()
        commit(other, "UPDATE t SET n = 100 WHERE id > 20")
        keys.evict(key)
        for _ in range(commits):
            commit(other, "UPDATE t SET n = n + 1 WHERE id = 40")
        if commits or key != "heads":
            with pytest.raises(SnapshotTooOld):
                commit(old, "SELECT count(*) FROM t WHERE n = 6", "UPDATE t SET s = 'x' WHERE id = 30")
            old.rollback()
        commit(old, "UPDATE t SET s = 'x' WHERE id = 30")
    assert rows_of(url, "SELECT count(*) FROM t WHERE n >= 100") == [(20,)]
    assert [fault for fault in check_database(url) if "log" not in fault] == []


# ── what is empty ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_table_is_empty(url: str, keys: Keys) -> None:
    with closing(rome.connect(url)) as connection:
        commit(connection, "DELETE FROM u", "DELETE FROM t")
        assert "s:r2" not in keys
        assert [rows_of(url, statement)[:1] for statement, _ in READS.values()] == [[]] * 5 + [[(0,)]] * 2
        clone_database(url, url + "copy")
        assert rows_of(url + "copy", "SELECT * FROM t") == []
        connection.execute("INSERT INTO t VALUES (1, 1, 'one')")
        connection.commit()
        assert rows_of(url, "SELECT s FROM t WHERE n = 1") == [("one",)]
    assert check_database(url) == check_database(url + "copy") == []


def test_a_table_that_a_commit_in_pieces_empties_and_fills(url: str, keys: Keys, monkeypatch: Any) -> None:
    monkeypatch.setattr(writes, "MOST_KEYS", 4)
    monkeypatch.setattr(writes, "LARGE", 2)
    with closing(rome.connect(url)) as connection:
        connection.execute("DELETE FROM u")
        connection.execute("DELETE FROM t")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(1000 + each, 1, f"x{each}") for each in range(40)])
        connection.commit()
        assert rows_of(url, "SELECT count(*) FROM t") == [(40,)]
        connection.execute("DELETE FROM t")
        connection.commit()
        assert rows_of(url, "SELECT * FROM t") == []
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", [(each, 1, f"x{each}") for each in range(40)])
        connection.commit()
        keys.evict("s:i3")
        with pytest.raises(FormatError, match=r"s:i3 is missing"):
            commit(connection, "INSERT INTO t SELECT id + 50, 2, 'y' || id FROM t")
    assert "s:i3" not in keys


def test_it_costs_no_round_trip(url: str) -> None:
    with closing(rome.connect(url)) as connection:
        connection.execute("CREATE TABLE empty (id INTEGER PRIMARY KEY, n INT)")
        connection.commit()
        for statement in ("SELECT * FROM empty", "SELECT * FROM empty WHERE id = 1", "SELECT count(*) FROM empty"):
            connection.execute(statement).fetchall()
            connection.rollback()
            before = connection.stats.rounds
            connection.execute(statement).fetchall()
            assert connection.stats.rounds == before + 1
            connection.rollback()


# ── a server that evicts ──────────────────────────────────────────────────────────────────────────────────────────


MOST_FILLERS = 2000


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_server_that_evicts(policy: str) -> None:
    """The more is evicted, the more statements fail; none gives a wrong answer."""
    with own_valkey_server() as server, Redis(server.host, server.port) as admin:
        url = server.url("app")
        fill(url)
        keys = set(admin.keys("{rome:app}:*"))
        admin.config_set("maxmemory-policy", policy)
        admin.config_set("maxmemory", int(admin.info("memory")["used_memory"]) + 200_000)  # type: ignore[index]
        failed: set[str] = set()
        left, number = keys, 0
        while left and number < MOST_FILLERS:  # those that are used most may stay for ever
            number += 1
            admin.set(f"filler {number}", "x" * 4000)
            if (now := set(admin.keys("{rome:app}:*"))) != left:
                left = now
                failed |= outcomes(url).keys()
                _write(url)
                left = set(admin.keys("{rome:app}:*"))
                if {b"{rome:app}:" + each for each in (b"meta", b"heads", b"history", b"s:c")}.isdisjoint(left):
                    break  # no trace is left of the database
        assert int(admin.info("stats")["evicted_keys"]) > 0  # type: ignore[index]
        assert failed


def _write(url: str) -> None:
    """Try to write, and to write back."""
    steps: list[Callable[[Connection], object]] = [
        lambda connection: connection.execute("UPDATE t SET n = n + 1 WHERE id = 7"),
        lambda connection: connection.execute("UPDATE t SET n = n - 1 WHERE id = 7"),
    ]
    try:
        with closing(rome.connect(url)) as connection:
            for step in steps:
                step(connection)
            connection.commit()
    except Error as error:
        assert not isinstance(error, IntegrityError)  # noqa: PT017
