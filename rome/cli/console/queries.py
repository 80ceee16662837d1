"""Rows of a table with filters, and statements that a user has typed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import rome
from rome.catalog.model import Table
from rome.sql.syntax.tokens import quoted

PAGE = 50
_MOST_ROWS = 500
_COMPARISONS = ("<=", ">=", "!=", "<", ">", "=")


@dataclass(frozen=True)
class Found:
    """The result of a statement. `columns` is empty for one without rows."""

    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    is_cut: bool = False
    """True if there are more rows than are shown."""
    changed: int = -1
    milliseconds: float = 0.0
    rounds: int = 0
    plan: Sequence[str] = ()


@dataclass(frozen=True)
class RowsWanted:
    """A page of a table: filters by column, the column of the order, the number of the page from 0."""

    filters: Mapping[str, str] = field(default_factory=dict)
    order: str = ""
    descending: bool = False
    page: int = 0

    def sql(self, table: Table) -> tuple[str, list[Any]]:
        """Return the statement and its parameters. Columns that the table does not have are left out."""
        names = [column.name for column in table.columns]
        terms = [_condition(name, self.filters[name]) for name in names if self.filters.get(name)]
        order = [self.order] if self.order in names else list(table.key) or [table.rowid_name or "rowid"]
        direction = " DESC" if self.descending else ""
        sql = f"SELECT {', '.join(map(quoted, names))} FROM {quoted(table.name)}"
        if terms:
            sql += f" WHERE {' AND '.join(text for text, _ in terms)}"
        sql += f" ORDER BY {', '.join(quoted(name) + direction for name in order)} LIMIT ? OFFSET ?"
        return sql, [*(value for _, values in terms for value in values), PAGE + 1, self.page * PAGE]


def _condition(name: str, text: str) -> tuple[str, list[str]]:
    """Return the condition of a filter, and its parameters: `NULL`, `!NULL`, `~pattern`, `< 5`, or a value."""
    if text.upper() in ("NULL", "!NULL"):
        return f"{quoted(name)} IS {'NOT ' if text.startswith('!') else ''}NULL", []
    if text.startswith("~"):
        return f"{quoted(name)} LIKE ?", [text[1:].strip()]
    for comparison in _COMPARISONS:
        if text.startswith(comparison):
            return f"{quoted(name)} {comparison} ?", [text[len(comparison) :].strip()]
    return f"{quoted(name)} = ?", [text]


def run_sql(url: str, sql: str, *, write: bool, explain: bool = False) -> Found:
    """Run one statement, and commit it with `write`; or return its plan. Raise PEP 249's errors."""
    connection = rome.connect(url)
    try:
        if not write:
            connection.execute("PRAGMA query_only = on")
        if explain:
            lines = connection.execute(f"EXPLAIN PLAN FOR {sql.strip().rstrip(';')}").fetchall()
            return Found(plan=[str(line) for (line,) in lines])
        found = _run(connection, sql, (), _MOST_ROWS)
        if write:
            connection.commit()
        return found
    finally:
        connection.rollback()
        connection.close()


def read_rows(url: str, table: Table, wanted: RowsWanted) -> tuple[str, Found]:
    """Return the text of the statement for a page of a table, and its rows. Raise PEP 249's errors."""
    sql, parameters = wanted.sql(table)
    connection = rome.connect(url)
    try:
        return sql, _run(connection, sql, parameters, PAGE)
    finally:
        connection.rollback()
        connection.close()


def _run(connection: rome.Connection, sql: str, parameters: Sequence[Any], most: int) -> Found:
    rounds, began = connection.stats.of_caller()[0], time.perf_counter()
    cursor = connection.execute(sql, parameters)
    rows = cursor.fetchmany(most + 1)
    took = (time.perf_counter() - began) * 1000
    rounds = connection.stats.of_caller()[0] - rounds
    columns = [column[0] for column in cursor.description or ()]
    return Found(columns, rows[:most], len(rows) > most, cursor.rowcount, took, rounds)
