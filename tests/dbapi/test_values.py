"""What an application may bind to a parameter."""

from __future__ import annotations

import pytest

import rome
from rome import dbapi


@pytest.mark.parametrize("value", [b"", b"\x00\xff", bytearray(b"abc"), memoryview(b"abc")])
def test_binary_makes_a_blob(url: str, value: bytes) -> None:
    connection = rome.connect(url)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)")
    connection.execute("INSERT INTO t VALUES (1, ?)", (dbapi.Binary(value),))
    assert connection.execute("SELECT v, typeof(v) FROM t WHERE v = ?", (value,)).fetchall() == [(bytes(value), "blob")]


@pytest.mark.parametrize("value", [5, "text", None])
def test_binary_refuses_what_has_no_bytes(value: bytes) -> None:
    with pytest.raises(TypeError):
        dbapi.Binary(value)
