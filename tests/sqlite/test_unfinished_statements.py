"""No statement of the workspace stays unfinished: SQLite would refuse to drop a table then.

An exception that somebody keeps holds what the functions on its way had in hand, cursors included.
"""

from __future__ import annotations

import pytest

import rome
from rome.database.counters import Counters
from rome.errors import DataError, StoreUnavailable

_CREATIONS = {
    "unique": "CREATE TABLE own (id INTEGER PRIMARY KEY, u TEXT UNIQUE)",
    "index": "CREATE INDEX a_n ON a (n)",
    "table-as": "CREATE TABLE own AS SELECT id, n FROM a",
    "foreign-key": "CREATE TABLE own (id INTEGER PRIMARY KEY, u TEXT UNIQUE, a INTEGER REFERENCES a)",
}


def _open(url: str) -> tuple[rome.Connection, rome.Connection]:
    connection, other = rome.connect(url), rome.connect(url)
    other.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, n INTEGER, t TEXT)")
    other.execute("INSERT INTO a VALUES (1, 2, 'x')")
    other.commit()
    return connection, other


def _see_another_schema(connection: rome.Connection, other: rome.Connection) -> None:
    """Let a connection, whose workspace has the table, begin a transaction in which the table is another one."""
    other.execute("ALTER TABLE a ADD COLUMN more INTEGER DEFAULT 3")
    other.commit()
    for _ in range(2):
        assert connection.execute("SELECT id, more, sum(n) OVER () FROM a").fetchall() == [(1, 3, 2)]
        connection.rollback()


@pytest.mark.parametrize("sql", _CREATIONS.values(), ids=_CREATIONS)
@pytest.mark.parametrize("allocations", range(4))
def test_a_store_that_is_lost_while_a_table_is_made(
    url: str, monkeypatch: pytest.MonkeyPatch, sql: str, allocations: int
) -> None:
    """The store refuses an id: of the table, or of one of its indexes."""
    connection, other = _open(url)
    assert connection.execute("SELECT id, sum(n) OVER () FROM a").fetchall() == [(1, 2)]
    connection.commit()
    take, taken = Counters.take, iter(range(allocations))

    def refuse(self: Counters, counter: bytes, count: int) -> list[int]:
        if next(taken, None) is None:
            raise StoreUnavailable("the server is gone")
        return take(self, counter, count)

    monkeypatch.setattr(Counters, "take", refuse)
    kept = None
    try:
        connection.execute(sql)
    except StoreUnavailable as error:
        kept = error
    monkeypatch.undo()
    connection.rollback()
    _see_another_schema(connection, other)
    assert kept is not None or allocations > 0
    connection.close()
    other.close()


@pytest.mark.parametrize("before", [(), (b"a",)])
def test_a_result_that_is_not_text(url: str, before: tuple[bytes, ...]) -> None:
    """After a result that is, the description of the columns is known already."""
    connection, other = _open(url)
    sql = "SELECT id, sum(n) OVER (), CAST(? AS TEXT) FROM a"
    for text in before:
        assert connection.execute(sql, (text,)).fetchall() == [(1, 2, text.decode())]
    with pytest.raises(DataError, match="decoded") as kept:
        connection.execute(sql, (b"\xff",))
    connection.rollback()
    _see_another_schema(connection, other)
    assert kept.value is not None
    connection.close()
    other.close()
