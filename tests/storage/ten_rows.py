"""A database with one table of ten rows, whose sum shows what was lost or done twice."""

from __future__ import annotations

import rome
from rome.dbapi import Connection


def filled(url: str) -> Connection:
    """Return a connection to a database, which is given a table of ten rows and an index."""
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, text TEXT)")
    connection.execute("CREATE INDEX t_n ON t (n)")
    connection.executemany("INSERT INTO t VALUES (?, ?, '')", [(number, number) for number in range(10)])
    connection.commit()
    return connection


def total(connection: Connection) -> int:
    """Return the sum of a column of all rows: 45 at the beginning."""
    (found,) = connection.execute("SELECT sum(n) FROM t").fetchone()
    connection.rollback()
    return int(found)
