"""Random schemas, rows and statements, from the grammar that the compiled evaluator supports.

The grammar leaves out statements whose result SQL does not define (which rows a LIMIT keeps without an ORDER BY): every
ORDER BY of it is a total order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import apsw

VALUES = [
    None, None, 0, 1, 2, 3, -1, 0.5, 1.0, 2.5, -3.5, "", "a", "A", "b", "ab", "Ab", "1", "2.0", "1.5", " 1", "a ", "x%",
    "ä", "Ä", b"a", b"", 2**53 + 1, 2**62, -(2**63),
]  # fmt: skip
PLAIN_VALUES = [None, 0, 1, 2, 3, "a", "b", "A"]
_OPERATORS = ["+", "-", "*", "||", "/", "%", "&", "|", "<<", ">>"]
_CASTS = ["INTEGER", "TEXT", "VARCHAR(3)", "REAL", "NUMERIC"]
TYPES = [
    "INTEGER", "INTEGER", "TEXT", "TEXT", "VARCHAR(20)", "REAL", "NUMERIC", "", "BLOB", "TEXT COLLATE NOCASE",
    "TEXT COLLATE RTRIM", "INTEGER NOT NULL", "TEXT NOT NULL", "BOOLEAN", "DATETIME",
]  # fmt: skip

KEYS = [
    "id INTEGER PRIMARY KEY, {columns}", "id INTEGER PRIMARY KEY, {columns}", "id INT NOT NULL PRIMARY KEY, {columns}",
    "id INTEGER NOT NULL, {columns}, PRIMARY KEY (id, b)", "id INTEGER UNIQUE, {columns}",
]  # fmt: skip

Pick = Callable[..., Any]


@dataclass
class TableShape:
    """A table: its columns, and rows for it."""

    name: str
    columns: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]
    key: str

    @property
    def ddl(self) -> str:
        columns = ", ".join(f"{name} {declared}" for name, declared in self.columns)
        index = f"CREATE INDEX {self.name}_a ON {self.name} (a);" if self.key == KEYS[0] else ""
        return f"CREATE TABLE {self.name} ({self.key.format(columns=columns)});{index}"


def schema(pick: Pick) -> list[TableShape]:
    """Return three tables. Each has an id, which distinguishes its rows."""
    found = []
    for number, name in enumerate("tuv"):
        columns = [(column, pick(*TYPES)) for column in ("a", "b", f"c{number}", f"d{number}")]
        pool = VALUES if pick(True, False) else PLAIN_VALUES
        rows = []
        for row in range(pick(0, 2, 5, 8)):
            values = [pick(*pool) for _ in columns]
            rows.append((row + 1, *(1 if v is None and "NOT" in columns[i][1] else v for i, v in enumerate(values))))
        found.append(TableShape(name, columns, rows, pick(*KEYS)))
    return found


@dataclass
class Scope:
    """The names that may be used, as (qualifier, column), and the columns that order the rows totally."""

    names: list[tuple[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class Writer:
    """Writes statements, and collects their parameters."""

    def __init__(self, tables: list[TableShape], pick: Pick) -> None:
        self.tables = tables
        self.pick = pick
        self.parameters: list[Any] = []
        self.count = 0

    def one_in(self, n: int) -> bool:
        return bool(self.pick(*[False] * (n - 1), True))

    def value(self) -> str:
        value = self.pick(*VALUES)
        if self.pick(True, False):
            return self.parameter(value)
        return "(" + apsw.format_sql_value(value) + ")" if value == -(2**63) else apsw.format_sql_value(value)

    def parameter(self, value: Any) -> str:
        self.parameters.append(value)
        return f":p{len(self.parameters) - 1} "

    def column(self, scope: Scope) -> str:
        qualifier, name = self.pick(*scope.names)
        return f"{qualifier}.{name}"

    # ── expressions ───────────────────────────────────────────────────────────────────────────────────────────────

    def operand(self, scope: Scope, depth: int) -> str:
        kind = self.pick("column", "column", "column", "column", "value", "value", *(["odd"] if depth > 0 else []))
        if kind == "column":
            return self.column(scope)
        if kind == "value":
            return self.value()
        return self.odd(scope, depth - 1)

    def odd(self, scope: Scope, depth: int) -> str:
        one, other = self.operand(scope, depth), self.operand(scope, depth)
        kind = self.pick(
            "arithmetic", "arithmetic", "function", "function", "case", "scalar", "paren", "minus"
        )  # fmt: skip
        if kind == "arithmetic":
            third = self.operand(scope, 0)
            op, op2 = self.pick(*_OPERATORS), self.pick(*_OPERATORS)
            return self.pick(f"{one} {op} {other}", f"({one} {op} {other} {op2} {third})", f"({one} {op} {other})")
        if kind == "case":
            test, result = self.test(scope, depth), self.operand(scope, 0)
            tail = self.pick("", f" ELSE {other}")
            if self.pick(True, False):
                return f"CASE WHEN {test} THEN {one}{tail} END"
            return f"CASE {one} WHEN {other} THEN {result}{tail} END"
        if kind == "scalar":
            return self.scalar(scope, depth)
        if kind in ("paren", "minus"):
            return f"({one})" if kind == "paren" else f"- {one}"
        return self.function(one, other, self.operand(scope, 0))

    def function(self, one: str, other: str, third: str) -> str:
        return self.pick(
            f"coalesce({one}, {other})", f"coalesce({one}, {other}, {third})", f"ifnull({one}, {other})",
            f"lower({one})", f"upper({one})", f"length({one})", f"abs({one})", f"typeof({one})", f"trim({one})",
            f"ltrim({one})", f"substr({one}, {other})", f"substr({one}, {other}, {third})", f"nullif({one}, {other})",
            f"replace({one}, {other}, {third})", f"instr({one}, {other})", f"max({one}, {other})",
            f"min({one}, {other}, {third})", f"iif({one}, {other}, {third})", f"CAST({one} AS {self.pick(*_CASTS)})",
        )  # fmt: skip

    def scalar(self, scope: Scope, depth: int) -> str:
        table = self.pick(*self.tables)
        name = self.name()
        inner = self.table_scope(table, name)
        both = Scope(inner.names + scope.names)
        where = self.where(both, depth, inner, scope)
        column = self.column(inner)
        if self.pick(True, True, False):
            aggregate = self.pick(f"max({column})", f"min({column})", "count(*)", f"count({column})", f"sum({column})")
            return f"(SELECT {aggregate} FROM {table.name} AS {name}{where})"
        return f"(SELECT {column} FROM {table.name} AS {name}{where} ORDER BY {name}.id LIMIT 1)"

    def where(self, both: Scope, depth: int, inner: Scope, outer: Scope) -> str:
        """Return the WHERE of a subquery, often with an equality to the outer query."""
        tests = [self.test(both, depth)] if self.one_in(2) else []
        if outer.names and self.one_in(2):
            tests.append(f"{self.column(inner)} = {self.column(outer)}")
        return f" WHERE {' AND '.join(tests)}" if tests else ""

    # ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────

    def test(self, scope: Scope, depth: int) -> str:
        kinds = ["compare", "compare", "compare", "in", "between", "null", "like", "row", "truth"]
        kind = self.pick(*kinds, *(["and", "or", "not", "exists", "in query", "chain"] if depth > 0 else []))
        if kind == "compare":
            op = self.pick("=", "=", "=", "==", "<>", "!=", "<", "<=", ">", ">=", "IS", "IS NOT")
            return f"{self.operand(scope, depth)} {op} {self.operand(scope, depth)}"
        if kind in ("and", "or"):
            tests = [self.test(scope, depth - 1) for _ in range(self.pick(2, 2, 3))]
            return f"({f' {kind.upper()} '.join(tests)})"
        if kind == "not":
            return f"NOT {self.pick('{}', '({})').format(self.test(scope, depth - 1))}"
        if kind == "chain":
            count = self.pick(1, 2, 3)
            words = [f"{self.pick('AND', 'OR', 'AND NOT', 'OR NOT')} {self.test(scope, 0)}" for _ in range(count)]
            return f"({self.test(scope, 0)} {' '.join(words)})"
        if kind in ("exists", "in query"):
            return self.subquery_test(scope, depth, is_in=kind == "in query")
        return self.simple_test(kind, scope, depth)

    def simple_test(self, kind: str, scope: Scope, depth: int) -> str:
        left = self.operand(scope, depth)
        if kind == "in":
            values = [self.value() if self.one_in(2) else "1" for _ in range(self.pick(0, 1, 2, 3))]
            return f"{left} {self.pick('IN', 'IN', 'NOT IN')} ({', '.join(values)})"
        if kind == "between":
            return f"{left} {self.pick('', 'NOT ')}BETWEEN {self.operand(scope, 0)} AND {self.operand(scope, 0)}"
        if kind == "null":
            return f"{left} {self.pick('IS NULL', 'IS NOT NULL', 'ISNULL', 'NOTNULL', 'IS 1')}"
        if kind == "like":
            # SQLite 3.54 loses the rows of `a LEFT JOIN b ON b.id LIKE 'x%'` if b.id is an INTEGER PRIMARY KEY.
            left = f"coalesce({left}, NULL)" if left.endswith(".id") else left
            given = self.parameter(self.pick("a%", "%b", "", None, "1%", "Ä%", "a_"))
            pattern = self.pick("'a%'", "'%A%'", "'_'", "'x^%'", "'%'", "''", given, self.column(scope))
            escape = self.pick("", "", " ESCAPE '^'")
            return f"{left} {self.pick('', 'NOT ')}LIKE {pattern}{escape}"
        if kind == "row":
            one, two, three = (self.operand(scope, 0) for _ in range(3))
            return f"({left}, {one}) {self.pick('=', '<', '<=', '>', '<>')} ({two}, {three})"
        return left

    def subquery_test(self, scope: Scope, depth: int, *, is_in: bool) -> str:
        table = self.pick(*self.tables)
        name = self.name()
        inner = self.table_scope(table, name)
        both = Scope(inner.names + scope.names)
        source = f"{table.name} AS {name}"
        if self.one_in(4):
            other, more = self.pick(*self.tables), self.name()
            added = self.table_scope(other, more)
            both = Scope(both.names + added.names)
            source += f" {self.pick('JOIN', 'LEFT JOIN')} {other.name} AS {more} ON {self.on(inner, added)}"
        where = self.where(both, depth - 1, inner, scope)
        negated = self.pick("", "NOT ")
        if is_in:
            return f"{self.operand(scope, 0)} {negated}IN (SELECT {self.column(inner)} FROM {source}{where})"
        return f"{negated}EXISTS (SELECT {self.pick('1', '*')} FROM {source}{where})"

    # ── FROM ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def name(self) -> str:
        self.count += 1
        return f"q{self.count}"

    def table_scope(self, table: TableShape, name: str) -> Scope:
        names = [(name, "id"), *((name, column) for column, _ in table.columns)]
        return Scope(names, [f"{name}.id"])

    def on(self, left: Scope, right: Scope) -> str:
        tests = []
        if self.pick(True, True, True, False):
            tests.append(f"{self.column(left)} = {self.column(right)}")
        if not tests or self.one_in(3):
            tests.append(self.test(Scope(left.names + right.names), 0))
        return " AND ".join(tests)

    def item(self, scope: Scope, depth: int) -> str:
        """Return an item of FROM, and add its names to the scope."""
        kind = self.pick(*["table"] * 5, "derived", "group") if depth else "table"
        if kind == "group":
            inner = Scope()
            text = self.item(inner, 0)
            right = Scope()
            other = self.item(right, 0)
            text = f"({text} {self.pick('JOIN', 'LEFT JOIN')} {other} ON {self.on(inner, right)})"
            scope.names += inner.names + right.names
            scope.keys += inner.keys + right.keys
            return text
        table, name = self.pick(*self.tables), self.name()
        found = self.table_scope(table, name)
        scope.names += found.names
        scope.keys += found.keys
        if kind == "derived":
            inner_name = self.name()
            inner = self.table_scope(table, inner_name)
            columns = ", ".join(f"{inner_name}.{column}" for column in ["id", *(one for one, _ in table.columns)])
            where = f" WHERE {self.test(inner, 1)}" if self.one_in(2) else ""
            limit = f" ORDER BY {inner_name}.id LIMIT {self.pick(1, 3)}" if self.one_in(2) else ""
            return f"(SELECT {columns} FROM {table.name} AS {inner_name}{where}{limit}) AS {name}"
        return f"{table.name} AS {name}"

    def source(self, scope: Scope) -> str:
        text = self.item(scope, 1)
        for _ in range(self.pick(0, 0, 0, 1, 1, 2)):
            right = Scope()
            join = self.pick("JOIN", "LEFT JOIN", "LEFT OUTER JOIN", "CROSS JOIN", ",")
            item = self.item(right, 1)
            on = f" ON {self.on(scope, right)}" if join not in (",", "CROSS JOIN") else ""
            scope.names += right.names
            scope.keys += right.keys
            text += f"{join if join == ',' else ' ' + join} {item}{on}"
        return text

    # ── statements ────────────────────────────────────────────────────────────────────────────────────────────────

    def statement(self) -> Statement:
        """Return a statement, with its parameters in the order of the text."""
        found = self.select()
        numbers = [int(number) for number in re.findall(r":p(\d+)", found.text)]
        found.parameters = [self.parameters[number] for number in numbers]
        found.text = re.sub(r":p\d+", "?", found.text)
        return found

    def select(self) -> Statement:
        kind = self.pick("plain", "plain", "plain", "aggregate", "group", "group", "distinct", "compound")
        if kind == "compound":
            return self.compound()
        scope = Scope()
        columns: list[str] = []
        source = self.source(scope)
        if kind == "plain":
            return self.plain(scope, source)
        condition = f" WHERE {self.test(scope, 2)}" if self.one_in(2) else ""
        if kind == "distinct":
            columns = [self.operand(scope, 1) for _ in range(self.pick(1, 2))]
            order = self.positions(len(columns)) if self.one_in(2) else ""
            return Statement(f"SELECT DISTINCT {', '.join(columns)} FROM {source}{condition}{order}", merges=True)
        group = ""
        keys: list[str] = []
        if kind == "group":
            keys = [self.column(scope) for _ in range(self.pick(1, 1, 2))]
            group = f" GROUP BY {', '.join(keys)}"
            if self.one_in(3):
                group += f" HAVING {self.aggregate(scope)} {self.pick('>', '=', '<>')} {self.value()}"
        columns = keys + [self.aggregate(scope) for _ in range(self.pick(1, 2))]
        order = self.positions(len(columns)) if self.one_in(2) else ""
        return Statement(f"SELECT {', '.join(columns)} FROM {source}{condition}{group}{order}", merges=True)

    def plain(self, scope: Scope, source: str) -> Statement:
        what = self.pick("*", "columns", "columns", "columns")
        columns = "*"
        if what == "columns":
            columns = ", ".join(self.operand(scope, 2) for _ in range(self.pick(1, 2, 3)))
        condition = f" WHERE {self.test(scope, 2)}" if self.pick(True, True, False) else ""
        text = f"SELECT {columns} FROM {source}{condition}"
        if self.pick(True, False):
            return Statement(text)
        terms = [self.ordered_by(scope) for _ in range(self.pick(0, 1, 2))]
        terms += [f"{key} {self.pick('', 'DESC')}" for key in scope.keys]
        text += f" ORDER BY {', '.join(terms)}"
        return Statement(text + self.limit(), ordered=True)

    def ordered_by(self, scope: Scope) -> str:
        term = self.operand(scope, 1) if self.one_in(3) else self.column(scope)
        return f"{term} {self.pick('', 'ASC', 'DESC', 'NULLS LAST', 'DESC NULLS FIRST')}"

    def limit(self) -> str:
        if self.pick(True, False):
            return ""
        offset = ""
        limit = self.pick("3", "0", "-1", self.parameter(self.pick(0, 1, 2, -1)))
        if self.pick(True, False):
            offset = f" OFFSET {self.pick('0', '1', '-2')}"
        return f" LIMIT {limit}{offset}"

    def positions(self, width: int) -> str:
        return " ORDER BY " + ", ".join(f"{at + 1} {self.pick('', 'DESC')}" for at in range(width)) + self.limit()

    def aggregate(self, scope: Scope) -> str:
        operand = self.operand(scope, 1) if self.one_in(3) else self.column(scope)
        function = self.pick("count", "count", "sum", "min", "max", "avg")
        distinct = self.pick("", "", "DISTINCT ")
        aggregate = self.pick("count(*)", f"{function}({distinct}{operand})", f"{function}({operand})")
        return f"{aggregate} FILTER (WHERE {self.test(scope, 0)})" if self.one_in(8) else aggregate

    def compound(self) -> Statement:
        parts: list[str] = []
        width = self.pick(1, 2)
        for at in range(self.pick(2, 2, 3)):
            scope = Scope()
            table, name = self.pick(*self.tables), self.name()
            scope = self.table_scope(table, name)
            columns = ", ".join(self.operand(scope, 0) for _ in range(width))
            condition = f" WHERE {self.test(scope, 1)}" if self.one_in(2) else ""
            if at:
                parts.append(self.pick("UNION", "UNION ALL"))
            parts.append(f"SELECT {columns} FROM {table.name} AS {name}{condition}")
        return Statement(" ".join(parts) + (self.positions(width) if self.one_in(2) else ""), merges=True)


@dataclass
class Statement:
    """A statement. `merges`: it merges rows that are equal but may differ (1 and 1.0)."""

    text: str
    ordered: bool = False
    merges: bool = False
    parameters: list[Any] = field(default_factory=list)
