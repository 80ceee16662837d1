"""Statements run by the compiled evaluator and by SQLite, over the same rows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import apsw

from rome.catalog.model import Catalog, Table
from rome.compiled.compile import Compiled, NotCompiled, compile_select
from rome.sql.analysis.analyze import analyze
from rome.sql.syntax.parse import normalize
from rome.sql.syntax.statement import classify
from rome.sql.syntax.tokens import names
from tests.sql.schema import catalog_of


class Database:
    """A schema with rows, in SQLite and as fetched rows for the compiled evaluator."""

    def __init__(self, ddl: str, rows: dict[str, list[tuple[Any, ...]]] | None = None) -> None:
        self.sqlite = apsw.Connection(":memory:")
        self.sqlite.execute(ddl)
        self.catalog: Catalog = catalog_of(self.sqlite)
        for name, values in (rows or {}).items():
            for row in values:
                marks = ", ".join("?" * len(row))
                self.sqlite.execute(f"INSERT OR IGNORE INTO {name} VALUES ({marks})", row)

    def rows(self, table: Table) -> list[tuple[Any, ...]]:
        columns = ", ".join(f'"{column.name}"' for column in table.stored)
        return self.sqlite.execute(f'SELECT {columns} FROM "{table.name}"').fetchall()

    def compile(self, sql: str) -> tuple[Compiled | NotCompiled, tuple[Table, ...]]:
        normal = normalize(sql)
        assert normal is not None
        analysis = analyze(classify(sql), names(sql), normal, self.catalog)
        if analysis.tree is None or analysis.names is None:
            return NotCompiled("not parsed"), ()
        tables = tuple(one.table for one in sorted(analysis.relations, key=lambda one: one.number))
        found = compile_select(analysis.tree, analysis.names)
        return found.with_lists(normal.lists) if isinstance(found, Compiled) else found, tables

    def compiled(self, sql: str) -> Compiled:
        found, _ = self.compile(sql)
        assert isinstance(found, Compiled), f"{sql}\n{found}"
        return found

    def run(self, sql: str, parameters: Any = (), shuffle: random.Random | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that must be compiled."""
        compiled, tables = self.compile(sql)
        assert isinstance(compiled, Compiled), f"{sql}\n{compiled}"
        return compiled.run(self.fetched(tables, shuffle), parameters)

    def fetched(self, tables: Sequence[Table], shuffle: random.Random | None = None) -> list[list[tuple[Any, ...]]]:
        found = [self.rows(table) for table in tables]
        if shuffle is not None:
            for rows in found:
                shuffle.shuffle(rows)
        return found

    def expected(self, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        return self.sqlite.execute(sql, parameters).fetchall()

    def check(self, sql: str, parameters: Any = (), *, ordered: bool = False) -> None:
        """Assert that both evaluators return the same rows, with the same types."""
        expected = self.expected(sql, parameters)
        for shuffle in (None, random.Random(3)):
            found = self.run(sql, parameters, shuffle)
            assert all(type(row) is tuple for row in found)
            assert same_rows(found, expected, ordered=ordered), f"{sql}\n{parameters}\n{found}\n{expected}"


def same_rows(found: list[Any], expected: list[Any], *, ordered: bool) -> bool:
    """Return True if the rows are the same; 1 and 1.0 are different."""
    if ordered:
        return list(map(repr, found)) == list(map(repr, expected))
    return Counter(map(repr, found)) == Counter(map(repr, expected))


def normalized(rows: list[Any]) -> list[Any]:
    """Return rows for a comparison in which it does not matter which of two equal values came first: 1 or 1.0."""

    def value(one: Any) -> Any:
        return int(one) if isinstance(one, float) and one.is_integer() else one

    return [tuple(map(value, row)) for row in rows]
