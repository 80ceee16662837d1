"""A play: numbered transactions on one small table, whose statements run in the order in which they are written."""

from __future__ import annotations

from rome.dbapi import Connection, connect
from rome.errors import Conflict
from rome.sqlite.workspace import Row

TABLE = "rome_isolation_trial"
"""The table of the scenarios: `{t}` in their statements. It is dropped afterwards."""

Rows = list[Row]


class Play:
    """The transactions of one scenario, each on a connection of its own, at one isolation level."""

    def __init__(self, url: str, level: str) -> None:
        """Fills the table with the rows (1, 10) and (2, 20)."""
        self._url = url
        self._level = level
        self._connections: dict[int, Connection] = {}
        self.refused: set[int] = set()
        with connect(url, isolation_level="SNAPSHOT") as setup:
            setup.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER PRIMARY KEY, value INTEGER)")
            setup.execute(f"DELETE FROM {TABLE}")
            setup.execute(f"INSERT INTO {TABLE} VALUES (1, 10), (2, 20)")
        setup.close()

    def run(self, transaction: int, sql: str) -> Rows | None:
        """Run a statement of a transaction; its rows. None if the transaction has been refused."""
        if transaction in self.refused:
            return None
        connection = self._connections.get(transaction)
        if connection is None:
            connection = self._connections[transaction] = connect(self._url, isolation_level=self._level)
        try:
            return connection.execute(sql.format(t=TABLE)).fetchall()
        except Conflict:
            self.refused.add(transaction)
            return None

    def commit(self, transaction: int) -> bool:
        """Commit a transaction; whether that succeeded."""
        if transaction in self.refused:
            return False
        try:
            self._connections[transaction].commit()
        except Conflict:
            self.refused.add(transaction)
            return False
        return True

    def rollback(self, transaction: int) -> None:
        """Roll a transaction back."""
        if transaction not in self.refused:
            self._connections[transaction].rollback()

    def final(self) -> Rows:
        """The table's rows in the end, by id."""
        with connect(self._url, isolation_level="SNAPSHOT") as reader:
            rows = reader.execute(f"SELECT id, value FROM {TABLE} ORDER BY id").fetchall()
        reader.close()
        return rows

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()


def drop_table(url: str) -> None:
    """Leave the database as it was before the trial."""
    with connect(url, isolation_level="SNAPSHOT") as connection:
        connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    connection.close()
