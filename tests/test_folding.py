"""Names fold as SQLite folds them: ASCII letters only."""

from __future__ import annotations

import apsw
import pytest

import rome
from rome.folding import fold_name, upper_name

LETTERS = [chr(code) for code in (*range(0x20, 0x250), 0x1E9E, 0x212A, 0x212B, 0x3A3, 0x10400)]


@pytest.mark.parametrize(("fold", "function"), [(fold_name, "lower"), (upper_name, "upper")])
def test_every_letter_folds_as_in_sqlite(fold, function) -> None:
    sqlite = apsw.Connection(":memory:")
    for letter in LETTERS:
        for text in (letter, f"A{letter}z"):
            assert fold(text) == sqlite.execute(f"SELECT {function}(?)", (text,)).get


def test_savepoints_of_two_cases() -> None:
    """`É` and `é` are two savepoints; `S` and `s` are one."""
    connection = rome.connect("rome+memory:///folding")
    connection.execute("CREATE TABLE t (a)")
    connection.execute("SAVEPOINT É")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.execute("SAVEPOINT é")
    connection.execute("INSERT INTO t VALUES (2)")
    connection.execute("ROLLBACK TO É")
    assert connection.execute("SELECT a FROM t").fetchall() == []
    connection.execute("SAVEPOINT S")
    connection.execute("RELEASE s")
    connection.close()
