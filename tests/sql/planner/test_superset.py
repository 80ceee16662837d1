"""Random statements: over the rows that their plans fetch, they have the same result as over all rows.

This defines a correct plan: in SQLite with the fetched rows, and random others, the statement returns what it returns
with all rows. The statistics are random too, so that every access path is taken at some time.
"""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import apsw
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rome.catalog.model import Catalog, Table
from rome.catalog.rows import encode_row
from rome.sql.planner.access_path import KeyPath
from rome.sql.planner.bind import bind_step
from rome.sql.planner.read_plan import ReadPlan
from rome.sql.planner.statistics import Statistics
from rome.storage.keys import encode, entry, row_key_of
from rome.storage.memory import MemoryStore
from rome.storage.store import Batch, Get, Lookup, Request, Scan, Write, index_space, rows_space
from rome.values import collate
from tests.sql.schema import catalog_of, plan_reads

DDL = """
CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n NUMERIC, r REAL, b, c TEXT COLLATE NOCASE);
CREATE INDEX p_nb ON p (n, b);
CREATE INDEX p_r ON p (r);
CREATE INDEX p_c ON p (c);
CREATE INDEX p_b ON p (b COLLATE NOCASE);
CREATE INDEX p_partial ON p (u, n) WHERE n > 1;
CREATE INDEX p_lower ON p (lower(u), n + 1) WHERE b IS NOT NULL;
CREATE INDEX p_sum ON p (n + 1);
CREATE TABLE k (a TEXT NOT NULL, s INTEGER NOT NULL, x REFERENCES p (id), n, PRIMARY KEY (a, s));
CREATE UNIQUE INDEX k_nx ON k (n, x);
CREATE TABLE h (x INTEGER, b TEXT);
CREATE INDEX h_xb ON h (x, b);
CREATE TABLE w (c TEXT COLLATE NOCASE PRIMARY KEY, x) WITHOUT ROWID;
"""
COLUMNS = {"p": ["id", "u", "n", "r", "b", "c"], "k": ["a", "s", "x", "n"], "h": ["x", "b", "rowid"], "w": ["c", "x"]}

INDEXED = {"p": ["id", "u", "n", "r", "b", "c"], "k": ["a", "a", "s", "n"], "h": ["x", "x", "rowid"], "w": ["c"]}

VALUES = [None, 0, 1, 1, 2, 0.5, "1", "2.0", "a", "a", "A", "ab", b"a"]


class Data:
    """All rows, in a SQLite and in a store with every index."""

    def __init__(self) -> None:
        self.sqlite = new_sqlite()
        self.catalog: Catalog = catalog_of(self.sqlite)
        chosen = random.Random(7)
        for table, columns in COLUMNS.items():
            for number in range(24):
                values = [chosen.choice(VALUES) for _ in columns]
                if table == "p":
                    values[0] = number - 3
                if table == "h":
                    values[2] = number - 3
                insert(self.sqlite, table, [values], "OR IGNORE")
        self.rows = {name: list(self._keyed(table)) for name, table in self.catalog.tables.items()}
        self.store = MemoryStore("superset")
        writes = [write for name in self.rows for write in self._writes(self.catalog.tables[name])]
        self.store.commit(Batch(b"rows", writes=writes))

    def _keyed(self, table: Table) -> Iterable[tuple[bytes, tuple[Any, ...]]]:
        for row in all_rows(self.sqlite, table.name):
            values = dict(zip(COLUMNS[table.name], row, strict=True))
            key = [collate(values[name], table.by_name[name].collation) for name in table.key] or [values["rowid"]]
            yield encode(key), row

    def _writes(self, table: Table) -> Iterable[Write]:
        for key, row in self.rows[table.name]:
            yield Write(rows_space(table.id), key, encode_row(1, row))
            for index in table.indexes:
                where = " AND ".join([f"({index.where or 1})", *(f"{name} IS ?" for name in COLUMNS[table.name])])
                terms = f"SELECT {', '.join(index.terms or map(str, index.columns))} FROM {table.name} WHERE {where}"
                for found in self.sqlite.execute(terms, row).fetchall()[:1]:
                    columns = encode(map(collate, found, index.collations))
                    yield Write(index_space(index.id), entry(columns, key), b"")

    def fetch(self, plan: ReadPlan, parameters: Any, found: dict[str, set[bytes]], *, limited: bool) -> None:
        """Add the keys of the rows that a plan fetches, round by round, to those that are there already."""
        if not plan.parsed:
            found.update({name: {key for key, _ in rows} for name, rows in self.rows.items()})
        for table in plan.full_scans:
            found[table.name].update(key for key, _ in self.rows[table.name])
        of_step: dict[int, list[tuple[Any, ...]]] = {}
        for steps in plan.rounds:
            now: dict[int, set[bytes]] = {}
            for step in steps:
                keys = self._keys(bind_step(step, parameters, of_step.__getitem__, limited=limited))
                found[step.table.name].update(keys)
                now[step.table_ref] = keys
            for step in steps:
                keys = found[step.table.name] if step.limit else now[step.table_ref]
                of_step[step.table_ref] = [row for key, row in self.rows[step.table.name] if key in keys]

    def _keys(self, requests: tuple[Request, ...]) -> set[bytes]:
        keys: set[bytes] = set()
        for request, answer in zip(requests, self.store.fetch(requests).answers, strict=True):
            if isinstance(request, Get):
                keys.update(key for key, value in zip(request.keys, answer, strict=True) if value is not None)
            elif isinstance(request, Lookup):
                keys.update(row_key_of(one) for one in answer[0])
            elif isinstance(request, Scan):
                keys.update(answer[0])
            else:
                keys.update(key for key, _ in answer)
        return keys


class Guesses(Statistics):
    """Statistics that know nothing and guess at random, but always the same for one question."""

    def __init__(self, chosen: random.Random) -> None:
        super().__init__()
        self._known: dict[Any, float] = defaultdict(lambda: chosen.choice([0.0, 1.0, 70.0, 1e3, 1e9]))

    def row_count(self, table: Table) -> float:
        return self._known[table.name]

    def rows_per_key(self, table: Table, path: KeyPath) -> float:
        return self._known[path]


def new_sqlite() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute(DDL)
    return connection


def insert(connection: apsw.Connection, table: str, rows: list[Any], how: str = "") -> None:
    columns = COLUMNS[table]
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT {how} INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)


def all_rows(connection: apsw.Connection, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"SELECT {', '.join(COLUMNS[table])} FROM {table}").fetchall()


DATA = Data()


class Writer:
    """Writes random SQL, and collects its parameters."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.parameters: list[Any] = []
        self.numbers = itertools.count(1)

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def value(self) -> str:
        value = self.pick(*VALUES)
        if self.pick(True, False):
            self.parameters.append(value)
            return "?"
        return apsw.format_sql_value(value)

    def filled(self, column: str) -> str:
        """Write a column with a constant in the place of NULL, as services paginate by it."""
        forms = ["coalesce({0}, {1})", "ifnull({0}, {1})", "CASE WHEN ({0} IS NOT NULL) THEN {0} ELSE {1} END"]
        forms += ["CASE WHEN {0} IS NULL THEN {1} ELSE {0} END", "CASE WHEN NOT {0} IS NULL THEN {0} END"]
        return self.pick(*forms).format(column, apsw.format_sql_value(self.pick(*VALUES)))

    def column(self, scope: list[tuple[str, str]], columns: dict[str, list[str]] = COLUMNS) -> str:
        alias, table = self.pick(*scope)
        name = self.pick(*columns[table])
        is_certain = sum(name in COLUMNS[other] for _, other in scope) == 1
        if name == "rowid":  # p, k and w have one too, but nothing that is kept
            return f"{alias}.rowid"
        return name if (is_certain and self.pick(True, False)) or self.pick(*[False] * 9, True) else f"{alias}.{name}"

    def operand(self, scope: list[tuple[str, str]]) -> str:
        kind = self.pick("column", "column", "column", "value", "value", "odd")
        if kind == "column":
            return self.column(scope)
        if kind == "value":
            return self.value()
        column, value = self.column(scope), self.value()
        return self.pick(
            f"+{column}",
            f"+{column}",
            f"({column})",
            f"-{value}",
            f"{column} COLLATE NOCASE",
            f"lower({column})",
            f"{column} + 1",
            "TRUE",
        )

    def test(self, scope: list[tuple[str, str]], depth: int) -> str:
        kind = self.pick(
            "plain", "plain", "plain", "compare", "equal", "equal", "in", "between", "like", "computed", "null",
            "chain", "nested", "nested", "row", "filled"
        )  # fmt: skip
        left = self.column(scope, INDEXED) if self.pick(True, True, False) else self.operand(scope)
        if kind in ("plain", "filled"):
            left = self.filled(left) if kind == "filled" else left
            return f"{left} {self.pick('=', '=', '=', '=', '<', '>', '<=', '>=', 'IS')} {self.value()}"
        if kind == "equal":
            one, other = self.column(scope, INDEXED), self.column(scope, INDEXED)
            if self.pick(*[False] * 5, True):
                return f"({one}, {self.column(scope)}) = ({other}, {self.operand(scope)})"
            return f"{one} = {other}"
        if kind == "compare":
            return f"{left} {self.pick('=', '=', '==', '<', '<=', '>', '>=', 'IS', '<>')} {self.operand(scope)}"
        if kind == "in":
            values = [self.value() for _ in range(self.pick(0, 1, 2, 3))]
            return f"{left} {self.pick('IN', 'IN', 'NOT IN')} ({', '.join(values)})"
        if kind == "between":
            return f"{left} BETWEEN {self.value()} AND {self.value()}"
        if kind == "like":
            pattern = self.pick("'a%'", "'1%'", "'2._'", "'%a'", "'A'", "'a*'", "'[a]'", "'2.*'", "NULL", "? || '%'")
            if pattern[0] == "?":
                self.parameters.append(self.pick("a", "1", "A", None, 2, ""))
            texts = {"p": "u", "k": "a", "h": "b", "w": "c"}
            left = self.pick(left, *(f"{alias}.{texts[table]}" for alias, table in scope))
            if self.pick(*[False] * 4, True):
                return f"{left} LIKE '{self.pick('/%a%', 'a/_%', '1/', 'A/%%', '//%')}' ESCAPE '/'"
            return f"{left} {self.pick('LIKE', 'LIKE', 'GLOB', 'NOT LIKE')} {pattern}"
        if kind == "computed":
            alias = self.pick(*[alias for alias, table in scope if table == "p"] or ["p"])
            what = self.pick(f"lower({alias}.u)", f"LOWER ({alias}.u)", f"{alias}.n + 1", f"{alias}.u", f"{alias}.n+1")
            test = f"{what} {self.pick('=', '=', '<', '>=')} {self.value()}"
            return f"{test} AND {alias}.{self.pick('b IS NOT NULL', 'b = 1', 'n > 1', 'n > 2')}"
        if kind == "null":
            return f"{left} {self.pick('IS NULL', 'IS NULL', 'ISNULL', 'NOTNULL', 'IS TRUE', 'IS NOT 1')}"
        if kind == "row":
            other, one, two = self.operand(scope), self.value(), self.value()
            return f"({left}, {other}) {self.pick('=', '<')} ({one}, {two})"
        if kind == "chain":
            return " ".join([left, *(f"{self.operator()} {self.operand(scope)}" for _ in range(self.pick(1, 2, 3)))])
        return self.nested(scope, depth)

    def operator(self) -> str:
        operators = ["=", "==", "<", "<=", ">", ">=", "<>", "IS", "IS NOT", "AND", "OR", "+", "-", "||", "&", "LIKE"]
        return self.pick(*operators, "IN (1, 'a') =", "ISNULL =", "BETWEEN 0 AND", "NOT NULL AND")

    def nested(self, scope: list[tuple[str, str]], depth: int) -> str:
        kind = self.pick("and", "or", "not", "exists", "in", "scalar", "table") if depth else "and"
        one = self.test(scope, 0)
        if kind == "and":
            return f"{one} AND {self.test(scope, 0)}"
        if kind == "or":
            return f"({one} OR {self.test(scope, 0)})"
        if kind == "not":
            return f"NOT {one}"
        table = self.pick(*COLUMNS)
        name = self.pick(f"q{next(self.numbers)}", table)
        where = self.condition([(name, table), self.pick(*scope)], depth - 1)
        if self.pick(True, True, False):
            where = f"{name}.{self.pick(*INDEXED[table])} = {self.column(scope, INDEXED)} AND {where}"
        column = self.pick(*COLUMNS[table])
        select = f"FROM {table} AS {name} WHERE {where}"
        if self.pick(*[False] * 5, True):
            inner = [(name, table)]
            select = f"FROM {table} AS {name} {self.joined(inner)} WHERE {where}"
        if kind == "exists":
            return f"{self.pick('', '', 'NOT ')}EXISTS (SELECT {self.pick('1', '*', 'count(*)')} {select})"
        if kind == "in":
            if self.pick(*[False] * 4, True):
                pair = f"SELECT {name}.{column}, {name}.{self.pick(*COLUMNS[table])}"
                return f"({self.column(scope)}, {self.column(scope)}) IN ({pair} {select})"
            cut = self.pick("", "", "", f" ORDER BY 1 LIMIT {self.pick(1, 2)}", f" GROUP BY {name}.{column}")
            return f"{self.column(scope)} {self.pick('', '', 'NOT ')}IN (SELECT {name}.{column} {select}{cut})"
        if kind == "table":
            return f"{self.column(scope)} IN (SELECT x FROM w) OR 1 IN (SELECT {column} {select})"
        return f"{self.operand(scope)} = (SELECT max({column}) {select})"

    def condition(self, scope: list[tuple[str, str]], depth: int) -> str:
        return " AND ".join(self.test(scope, depth) for _ in range(self.pick(1, 1, 2, 3)))

    def joined(self, scope: list[tuple[str, str]]) -> str:
        table = self.pick(*COLUMNS)
        scope.append((f"j{next(self.numbers)}", table))
        join = self.pick("JOIN", "LEFT JOIN")
        return f"{join} {table} AS {scope[-1][0]} ON {self.column(scope, INDEXED)} = {self.column(scope, INDEXED)}"

    def item(self, scope: list[tuple[str, str]]) -> str:
        table = self.pick(*COLUMNS)
        if self.pick(*[False] * 4, True):
            return self.subselect(scope, table)
        alias = f"t{next(self.numbers)}" if any(table == name for name, _ in scope) else table
        scope.append((alias, table))
        return table if alias == table else f"{table} AS {alias}"

    def subselect(self, scope: list[tuple[str, str]], table: str) -> str:
        name = self.pick(table, f"s{next(self.numbers)}")
        inner = [(name, table)]
        source = f"{table} AS {name}" + (f" {self.joined(inner)}" if self.pick(*[False] * 3, True) else "")
        scope.append((f"d{next(self.numbers)}", table))
        where = self.condition(inner, 0)
        columns = ", ".join(self.pick(*[f"{name}.{column}"] * 6, f"+{column} AS {column}") for column in COLUMNS[table])
        if len(inner) == 1 and "rowid" not in COLUMNS[table]:
            columns = self.pick(columns, "*", f"{name}.*")
        everything = ", ".join(map(str, range(1, len(COLUMNS[table]) + 1)))
        cut = self.pick("", "", f" ORDER BY {everything} LIMIT {self.pick(1, 3)}")
        if cut and len(inner) > 1:
            columns = f"DISTINCT {columns}"
        cut = cut or self.pick("", "", "", f" GROUP BY {everything}", self.member(table))
        return f"(SELECT {columns} FROM {source} WHERE {where}{cut}) AS {scope[-1][0]}"

    def member(self, table: str) -> str:
        """Write another member of a UNION with the same number of columns."""
        other = self.pick(table, table, *COLUMNS)
        columns = COLUMNS[other] if other == table else [self.pick(*COLUMNS[other]) for _ in COLUMNS[table]]
        op = self.pick("UNION", "UNION", "UNION ALL", "EXCEPT", "INTERSECT")
        where = self.condition([("m", other)], 0)
        return f" {op} SELECT {', '.join(f'm.{column}' for column in columns)} FROM {other} AS m WHERE {where}"

    def joined_to_members(self) -> str:
        """Write a table joined to a UNION whose members are narrowed by values, as glance lists images."""
        table, other = self.pick(*COLUMNS), self.pick(*COLUMNS)
        members: list[str] = []
        for _ in range(self.pick(2, 2, 3)):
            members += [self.pick("UNION", "UNION", "UNION ALL", "EXCEPT", "INTERSECT")] if members else []
            columns = INDEXED[table] if self.pick(True, True, False) else self.draw(st.permutations(INDEXED[table]))
            listed = ", ".join(f"i.{column} AS c{at}" for at, column in enumerate(columns))
            where = f"i.{self.pick(*INDEXED[table])} = {self.value()}"
            members.append(f"SELECT {listed} FROM {table} AS i WHERE {where}")
        source = f"({' '.join(members)}{self.pick('', '', ' ORDER BY 1, 2, 3 LIMIT 3')}) AS d"
        join, at = self.pick("JOIN", "LEFT JOIN"), self.pick(*range(len(INDEXED[table])))
        link = f"o.{self.pick(*INDEXED[other])} = d.c{at}"
        test = self.pick("1", f"{self.perhaps_filled(f'd.c{at}')} {self.pick('=', '<', '>=')} {self.value()}")
        return f"SELECT * FROM {source} {join} {other} AS o ON {link} WHERE {test}"

    def latest(self) -> str:
        """Write the rows with the greatest value of a group, as nova finds the latest faults."""
        table = self.pick(*COLUMNS)
        other = self.pick(table, *COLUMNS)
        one, group = self.pick(*INDEXED[table]), self.pick(*COLUMNS[table])
        extreme = f"{self.pick('max', 'min')}(i.{one}) AS m"
        where = f"i.{self.pick(*INDEXED[table])} = {self.value()}"
        cut = self.pick("", "GROUP BY 2")
        source = f"(SELECT {extreme}, i.{group} AS g FROM {table} AS i WHERE {where} {cut}) AS d"
        join = self.pick("JOIN", "LEFT JOIN")
        link = f"o.{self.pick(one if other == table else 'rowid', *INDEXED[other])} = d.m"
        test = self.pick("1", f"d.m {self.pick('=', '<', 'IS')} {self.value()}", f"d.g = {self.value()}")
        return f"SELECT * FROM {source} {join} {other} AS o ON {link} WHERE {test}"

    def perhaps_filled(self, column: str) -> str:
        return self.filled(column) if self.pick(False, False, True) else column

    def source(self, scope: list[tuple[str, str]], depth: int) -> str:
        text = self.item(scope)
        for _ in range(self.pick(0, 0, 1, 1, 2)):
            join = self.pick(
                "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "LEFT OUTER JOIN", "CROSS JOIN", ",", "NATURAL JOIN",
                "NATURAL LEFT JOIN", "RIGHT JOIN", "FULL JOIN"
            )  # fmt: skip
            right: list[tuple[str, str]] = []
            item = f"({self.source(right, 0)})" if depth and self.pick(*[False] * 4, True) else self.item(right)
            scope += right
            if len({name for name, _ in scope}) < len(scope):
                assume(False)
            text += f" {join} {item}"
            if "NATURAL" not in join and join != "," and self.pick(True, True, True, False):
                shared = set.intersection(*(set(COLUMNS[table]) for _, table in scope))
                if shared and self.pick(True, False, False, False):
                    text += f" USING ({self.pick(*sorted(shared))})"
                else:
                    text += f" ON {self.condition(scope, 0)}"
        return text

    def select(self) -> str:
        scope: list[tuple[str, str]] = []
        source = self.source(scope, 1)
        where = f" WHERE {self.condition(scope, 1)}" if self.pick(True, True, True, False) else ""
        what = self.pick("*", "count(*)", "1, *", "DISTINCT *")
        return f"SELECT {what} FROM {source}{where}"

    def linked(self) -> str:
        """Write a chain of joins and subqueries from one narrow table reference, as services write them."""
        first = self.pick(*COLUMNS)
        scope = [("a", first)]
        start = f"a.{self.pick(*INDEXED[first])} = {self.value()}"
        source, where = f"{first} AS a", [start]
        if self.pick(True, True, False):
            everything = ", ".join(f"i.{column} AS {column}" for column in COLUMNS[first])
            every = ", ".join(map(str, range(1, len(COLUMNS[first]) + 1)))
            cut = self.pick("", f" ORDER BY {every} LIMIT {self.pick(2, 5)}")
            cut = self.pick(cut, cut, f" GROUP BY i.{self.pick(*COLUMNS[first])}", self.member(first))
            source = f"(SELECT {everything} FROM {first} AS i WHERE i{start[1:]}{cut}) AS a"
            where = [self.pick("1", f"a.{self.pick(*INDEXED[first])} = {self.value()}")]
            if self.pick(True, True, False):
                source = source.replace(f" WHERE i{start[1:]}", "")
                self.parameters.clear()
                where = [f"a.{self.pick(*INDEXED[first])} = {self.value()}"]
        for _ in range(self.pick(0, 1, 1, 2, 3)):
            table = self.pick(*COLUMNS)
            link = self.link(scope, table, f"b{len(scope)}")
            source += f" {self.pick('JOIN', 'LEFT JOIN', 'LEFT JOIN')} {table} AS b{len(scope)} ON {link}"
            scope.append((f"b{len(scope)}", table))
        for _ in range(self.pick(0, 0, 1, 2)):
            where.append(self.linked_subquery(scope))
        if self.pick(True, False):
            where.append(self.test(scope, 1))
        if len(scope) > 1 and self.pick(*[False] * 2, True):
            alias, table = scope[-1]
            where.append(f"{alias}.{self.pick(*INDEXED[table])} IS {self.pick('NULL', 'NULL', '?')}")
            if where[-1].endswith("?"):
                self.parameters.append(None)
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        what = self.pick("*", "*", f"*, {self.linked_scalar(scope)}")
        return f"SELECT {what} FROM {source}{condition}"

    def link(self, scope: list[tuple[str, str]], table: str, name: str) -> str:
        alias, other = self.pick(*scope)
        one, two = self.pick(*INDEXED[table]), self.pick(*INDEXED[other])
        link = self.pick(f"{name}.{one} = {alias}.{two}", f"{alias}.{two} = {name}.{one}")
        more = self.pick("", "", "", f" AND {self.test([*scope, (name, table)], 0)}")
        if self.pick(*[False] * 4, True):
            alias, other = self.pick(*scope)
            two = f"{alias}.{self.pick(*INDEXED[other])}"
            return f"({link} OR {name}.{self.pick(one, one, *INDEXED[table])} = {two}{more})"
        return link + more

    def linked_scalar(self, scope: list[tuple[str, str]]) -> str:
        table, name = self.pick(*COLUMNS), f"q{next(self.numbers)}"
        column = self.pick(*COLUMNS[table])
        return f"(SELECT max({name}.{column}) FROM {table} AS {name} WHERE {self.link(scope, table, name)})"

    def linked_subquery(self, scope: list[tuple[str, str]]) -> str:
        table, name = self.pick(*COLUMNS), f"q{next(self.numbers)}"
        column = f"{name}.{self.pick(*INDEXED[table])}"
        source = f"{table} AS {name}"
        condition = f"{name}.{self.pick(*INDEXED[table])} = {self.value()}"
        kind = self.pick("exists", "exists", "not exists", "in", "not in", "scalar", "or")
        if kind in ("in", "not in"):
            if self.pick(True, False):
                condition = self.link([*scope, *scope, (name, table)], table, name)
            return f"{self.column(scope, INDEXED)} {kind} (SELECT {column} FROM {source} WHERE {condition})"
        if kind == "scalar":
            return f"{self.column(scope)} = {self.linked_scalar(scope)}"
        link = self.link(scope, table, name)
        if self.pick(*[False] * 3, True):
            condition = self.linked_subquery([(name, table)] if self.pick(True, False) else [*scope, (name, table)])
        exists = f"EXISTS (SELECT 1 FROM {source} WHERE {self.pick(link, f'{link} AND {condition}')})"
        return {"exists": exists, "not exists": f"NOT {exists}", "or": f"({exists} OR {self.test(scope, 0)})"}[kind]

    def query(self) -> str:
        kind = self.pick(*["select"] * 2, *["linked"] * 4, "union", "cte", "members", "latest")
        if kind in ("members", "latest"):
            return self.joined_to_members() if kind == "members" else self.latest()
        if kind == "linked":
            return self.linked()
        if kind == "union":
            one, two = self.pick(*COLUMNS), self.pick(*COLUMNS)
            op = self.pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT")
            left = f"SELECT x FROM (SELECT 1 AS x) LEFT JOIN {one} AS s ON {self.condition([('s', one)], 1)}"
            return f"{left} {op} SELECT {COLUMNS[two][0]} FROM {two} WHERE {self.condition([(two, two)], 1)}"
        if kind == "cte":
            table, other = self.pick(*COLUMNS), self.pick(*COLUMNS)
            name = self.pick("cte", other)
            body = f"SELECT * FROM {table} WHERE {self.condition([(table, table)], 1)}"
            return f"WITH {name} AS ({body}) {self.select()} {self.pick('', f'AND EXISTS (SELECT 1 FROM {name})')}"
        return self.select()

    def change(self) -> str:
        table = self.pick(*COLUMNS)
        scope = [(table, table)]
        where = self.condition(scope, 1)
        if self.pick(True, False):
            where = self.pick(self.linked_subquery(scope), f"{self.linked_subquery(scope)} AND {where}")
        returning = f" RETURNING {', '.join(COLUMNS[table])}"
        if self.pick(True, False):
            return f"DELETE FROM {table} WHERE {where}{returning}"
        column = {"p": "r", "k": "x", "h": "b", "w": "x"}[table]
        if self.pick(True, False):
            source = self.source(scope, 0)
            condition = self.condition(scope, 1)
            return f"UPDATE {table} SET {column} = 5 FROM {source} WHERE {condition}{returning}"
        new = self.pick(self.linked_scalar(scope), f"(SELECT 1 WHERE {self.linked_subquery(scope)})", "NULL")
        if table == "k" or new == "NULL":  # plans do not cover what constraints read
            new = f"{column} || 'x'"
        return f"UPDATE OR IGNORE {table} SET {column} = {new} WHERE {where}{returning}"


@st.composite
def statements(draw: Any) -> tuple[str, list[Any]]:
    writer = Writer(draw)
    text = writer.query() if writer.pick(True, True, True, False) else writer.change()
    return text, writer.parameters


def answer(connection: apsw.Connection, sql: str, parameters: list[Any]) -> list[str]:
    """Run a statement, undo its changes, and return the rows in no particular order."""
    with connection:
        connection.execute("SAVEPOINT a")
        try:
            return sorted(map(repr, connection.execute(sql, parameters).fetchall()))
        finally:
            connection.execute("ROLLBACK TO a")


@pytest.mark.slow
@settings(max_examples=400)
@given(statements(), st.randoms(use_true_random=False))
def test_fetched_rows_answer_as_all_rows(statement: tuple[str, list[Any]], chosen: random.Random) -> None:
    sql, parameters = statement
    parameters = parameters[: sql.count("?")]
    try:
        expected = answer(DATA.sqlite, sql, parameters)
    except apsw.Error:
        assume(False)
    plan = plan_reads(sql, DATA.catalog, chosen.choice([Guesses(chosen), Statistics()]))
    some = chosen.choice([0.0, 0.3])
    known = {name: {key for key, _ in rows if chosen.random() < some} for name, rows in DATA.rows.items()}
    DATA.fetch(plan, parameters, known, limited=chosen.choice([True, True, False]))
    with_some = new_sqlite()
    for name, rows in DATA.rows.items():
        insert(with_some, name, [row for key, row in rows if key in known[name]])
    assert answer(with_some, sql, parameters) == expected, f"{sql}\n{parameters}\n{plan}"


def test_paths_are_narrow_where_they_can_be() -> None:
    """A planner that always reads everything would pass the test above, but not this one."""
    narrow = 0
    for sql in ("SELECT * FROM p WHERE id = 3", "SELECT * FROM k WHERE a = 'a'", "SELECT * FROM h WHERE x > 1"):
        fetched: dict[str, set[bytes]] = defaultdict(set)
        DATA.fetch(plan_reads(sql, DATA.catalog), (), fetched, limited=False)
        narrow += sum(len(keys) < len(DATA.rows[name]) for name, keys in fetched.items())
    assert narrow == 3
