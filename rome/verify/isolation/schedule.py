"""A schedule: numbered transactions on one small table, whose statements run in a fixed order."""

from __future__ import annotations

from rome.dbapi import Connection, connect
from rome.errors import Conflict
from rome.sqlite.workspace import Row

TABLE = "rome_verify_isolation"
"""The table of the scenarios, `{t}` in their statements."""

Rows = list[Row]


class Schedule:
    """The transactions of one scenario, at one isolation level, each on its own connection."""

    def __init__(self, url: str, level: str) -> None:
        """Fill the table with the rows (1, 10) and (2, 20)."""
        self._url = url
        self._level = level
        self._connections: dict[int, Connection] = {}
        self.aborted: set[int] = set()
        with connect(url, isolation_level="SNAPSHOT") as setup:
            setup.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (id INTEGER PRIMARY KEY, value INTEGER)")
            setup.execute(f"DELETE FROM {TABLE}")
            setup.execute(f"INSERT INTO {TABLE} VALUES (1, 10), (2, 20)")
        setup.close()

    def run(self, transaction: int, sql: str) -> Rows | None:
        """Run a statement of a transaction; return its rows, or None if a conflict has aborted the transaction."""
        if transaction in self.aborted:
            return None
        connection = self._connections.get(transaction)
        if connection is None:
            connection = self._connections[transaction] = connect(self._url, isolation_level=self._level)
        try:
            return connection.execute(sql.format(t=TABLE)).fetchall()
        except Conflict:
            self.aborted.add(transaction)
            return None

    def commit(self, transaction: int) -> bool:
        """Commit a transaction; return True if it succeeded."""
        if transaction in self.aborted:
            return False
        try:
            self._connections[transaction].commit()
        except Conflict:
            self.aborted.add(transaction)
            return False
        return True

    def rollback(self, transaction: int) -> None:
        """Roll back a transaction."""
        if transaction not in self.aborted:
            self._connections[transaction].rollback()

    def final_rows(self) -> Rows:
        """Return the table's final rows in the order of their ids."""
        with connect(self._url, isolation_level="SNAPSHOT") as reader:
            rows = reader.execute(f"SELECT id, value FROM {TABLE} ORDER BY id").fetchall()
        reader.close()
        return rows

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections.values():
            connection.close()


def drop_table(url: str) -> None:
    """Drop the table of the scenarios."""
    with connect(url, isolation_level="SNAPSHOT") as connection:
        connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    connection.close()
