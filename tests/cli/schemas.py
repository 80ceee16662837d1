"""Generated schemas with rows, as SQL for SQLite and ROME: the same for both, so SQLite is the oracle."""

import math
from typing import NamedTuple

from hypothesis import strategies as st

NAMES = st.sampled_from(
    ["a", "B", "two words", "select", 'quo"te', "Größe", "名前", "x'y", "semi;colon", "1st", "-- c"]
)
TYPES = st.sampled_from(["", "INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC", "VARCHAR(20)", "DECIMAL(10, 2)", "BOOLEAN"])
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    ["it's", "line\r\nline", "nul\0end", "tab\t", "\r", "", "NULL", "x'00'", "e\u0301", "👩\u200d👩", "\ufeff", "; --"]
)
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=True),
    st.sampled_from([math.inf, -math.inf, -0.0, 1e308, 5e-324, 0.1, 2.0**53, -(2**63), 2**63 - 1]),
    TEXTS,
    st.binary(max_size=12),
)


class Table(NamedTuple):
    """A table, the columns that rows give, and these rows."""

    name: str
    sql: tuple[str, ...]
    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]


def quoted(name):
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


@st.composite
def tables(draw, name):
    """Draw a table, with an index, a generated column, a view and a trigger on it, or without."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.lower))
    key = draw(st.sampled_from(["rowid", "counted", "hidden", "text"]))
    heads = {"rowid": ["id INTEGER PRIMARY KEY"], "counted": ["id INTEGER PRIMARY KEY AUTOINCREMENT"]}.get(key, [])
    heads += ["id TEXT NOT NULL PRIMARY KEY"] if key == "text" else []
    parts = heads + [f"{quoted(each)} {draw(TYPES)}".rstrip() for each in names]
    first = quoted(names[0])
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["STORED", "VIRTUAL"]))
        parts.append(f'"made of" TEXT GENERATED ALWAYS AS (typeof({first})) {kind}')
    table = quoted(name)
    sql = [f"CREATE TABLE {table} ({', '.join(parts)})"]
    if draw(st.booleans()):
        sql.append(f"CREATE INDEX {quoted(f'index of {name}')} ON {table} ({first} DESC)")
    if draw(st.booleans()):
        sql.append(
            f"CREATE VIEW {quoted(f'view of {name}')} AS SELECT {first} AS v FROM {table} WHERE {first} IS NOT NULL"
        )
    if draw(st.booleans()):
        body = f"UPDATE {table} SET {first} = 'changed' WHERE {first} = 'never there'"
        sql.append(f"CREATE TRIGGER {quoted(f'trigger of {name}')} AFTER INSERT ON {table} BEGIN {body}; END")
    columns = (["id"] if heads else []) + names
    rows = draw(st.lists(st.tuples(*(VALUES for _ in names)), max_size=5))
    ids = [number * 3 + 1 if key != "text" else f"key {number}" for number in range(len(rows))]
    filled = [(each, *row) for each, row in zip(ids, rows, strict=True)] if heads else rows
    return Table(name, tuple(sql), tuple(columns), filled)


SCHEMAS = st.tuples(tables("t"), tables('of "all" kinds')) | st.tuples(tables("t"))


def fill(connection, schema):
    """Make a schema with its rows on a connection to SQLite or ROME."""
    for table in schema:
        for sql in table.sql:
            connection.execute(sql)
        marks = ", ".join("?" * len(table.columns))
        insert = f"INSERT INTO {quoted(table.name)} ({', '.join(map(quoted, table.columns))}) VALUES ({marks})"
        connection.executemany(insert, table.rows)


def content(connection, schema):
    """Return what is in the tables and views, with the types and bytes of values, and the names of all objects."""
    listed = "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY 1, 2"
    found = {"": [tuple(row) for row in connection.execute(listed)]}
    names = {name for kind, name, _ in found[""] if kind in ("table", "view")}
    for name in names:
        rows = connection.execute(f"SELECT * FROM {quoted(name)}").fetchall()
        found[name] = sorted(repr(tuple(row)) for row in rows)
    return found
