"""SQLite does not plan a statement again because a parameter has another value.

SQLite calls the authorizer whenever it prepares a statement.
"""

from pathlib import Path

import apsw
import pytest

import rome
from rome.sqlite.workspace import Workspace
from rome.storage.file.tables import connect

TABLE = "CREATE TABLE t (a, b, c, PRIMARY KEY (a, b)) WITHOUT ROWID"
RANGE = "SELECT b, c FROM t WHERE a = ? AND b >= ? AND b < ? ORDER BY b LIMIT ?"


@pytest.fixture(params=["file", "workspace"])
def sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> apsw.Connection:
    if request.param == "workspace":
        return Workspace(lambda _: 1, 2**30).sqlite
    path = tmp_path / "app.rome"
    with rome.connect(f"rome+file://{path}") as connection:
        connection.execute("CREATE TABLE other (a)")
    return connect(str(path))


def test_a_range(sqlite: apsw.Connection) -> None:
    sqlite.execute(TABLE)
    sqlite.executemany("INSERT INTO t VALUES (1, ?, ?)", [(number, -number) for number in range(100)])
    preparations = []

    def authorize(*action: object) -> int:
        preparations.append(action)
        return int(apsw.SQLITE_OK)

    sqlite.authorizer = authorize
    assert sqlite.execute(RANGE, (1, 10, 20, 1)).fetchall() == [(10, -10)]
    assert preparations
    preparations.clear()
    assert sqlite.execute(RANGE, (1, 50, 90, 2)).fetchall() == [(50, -50), (51, -51)]
    assert not preparations
    sqlite.close()
