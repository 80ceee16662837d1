"""Top-N plans: batches of rows give the same results as all rows, where filters and joins drop some of them.

Random statements over the data of `test_superset`, through connections, where the order is that of all rows, so that
there is one result. Rows that the transaction has read before must not change it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import apsw
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rome
from rome.sql.planner import plan_topn as topn
from rome.sql.planner import planner
from rome.sql.planner.read_plan import PlannerInput, ReadPlan
from rome.sql.planner.statistics import Statistics
from tests.sql.planner.test_superset import COLUMNS, DATA, DDL, VALUES, Guesses
from tests.sql.planner.test_topn import KEYS, SORTED, PageWriter

NUMBER = itertools.count()
URL = "rome+memory:///test_pages?foreign_keys=off"


class FrontWriter(PageWriter):
    """Writes queries with ORDER BY and LIMIT over one table reference, of which conditions and joins drop rows."""

    def residual(self, scope: list[tuple[str, str]]) -> list[str]:
        kinds = [
            self.pick("test", "test", "like", "unequal", "linked", "odd", "none") for _ in range(self.pick(0, 1, 2))
        ]
        found = []
        for kind in kinds:
            column = self.column([scope[0]])
            if kind == "test":
                found.append(self.test(scope, 1))
            elif kind == "like":
                found.append(f"{column} {self.pick('', 'NOT ')}LIKE {self.pick(repr('%a%'), repr('%1%'))}")
            elif kind == "unequal":
                found.append(f"{column} <> {self.value()}")
            elif kind == "linked":
                found.append(self.linked_subquery(scope))
            elif kind == "odd":  # only SQLite evaluates this
                found.append(f"quote({column}) {self.pick('<>', '=', '>')} '1'")
        return found

    def joins(self, scope: list[tuple[str, str]]) -> str:
        text = ""
        for number in range(self.pick(0, 0, 1, 1, 2)):
            table = self.pick(*COLUMNS)
            kind = self.pick("JOIN", "JOIN", "LEFT JOIN")
            text += f" {kind} {table} AS o{number} ON {self.link([*scope], table, f'o{number}')}"
            scope.append((f"o{number}", table))
        return text

    def order(self, table: str, order: list[str]) -> str:
        """Write an order of which an index has perhaps only the first terms: then come expressions and directions."""
        if self.pick(True, False):
            return super().order(table, order)
        direction = self.pick("", " DESC")
        first = self.pick(1, 1, 2)
        terms = [f"a.{column}{direction}" for column in order[:first]]
        for column in [*order[first:], *(key for key in KEYS[table] if key not in order)]:
            term = self.pick("a.{}", "a.{}", "a.{} + 1", "-a.{}", "lower(a.{})", "hex(a.{})", "a.{} IS NULL")
            terms.append(term.format(column) + self.pick("", "", " DESC", " ASC NULLS LAST", " DESC NULLS FIRST"))
        if self.pick(*[False] * 3, True):
            terms.insert(1, f"a.{self.pick(*COLUMNS[table])}{self.pick('', ' COLLATE NOCASE')} DESC")
        return ", ".join([*terms, *(f"a.{column}{self.pick('', ' DESC')}" for column in COLUMNS[table])])

    def union(self) -> str:
        """Write a page over a UNION of one table, as Glance lists images."""
        table = self.pick(*COLUMNS)
        order = self.pick(*SORTED[table])
        shown = ", ".join(f"i.{column} AS {column}" for column in COLUMNS[table])
        text = ""
        for number in range(self.pick(1, 2, 2, 3)):
            text += self.pick(" UNION ", " UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ") if number else ""
            scope, source = [("i", table)], f"{table} AS i"
            if self.pick(True, False, False):
                other = self.pick(*COLUMNS)
                link = f"ON {self.link([*scope], other, 'o')}"
                sides = [source, f"{other} AS o"]
                joins = [" JOIN ".join(sides), " LEFT JOIN ".join(sides), " LEFT JOIN ".join(reversed(sides))]
                source = f"{self.pick(*joins)} {link}"
            tests = self.residual(scope)
            where = f" WHERE {' AND '.join(tests)}" if tests else ""
            text += f"SELECT {self.pick('', '', 'DISTINCT ')}{shown} FROM {source}{where}"
        numbers = ", ".join(str(at + 1) for at in range(len(COLUMNS[table])))
        text += self.pick(*[""] * 8, f" GROUP BY {numbers}", f" ORDER BY {numbers} LIMIT 4")
        limit = self.pick("LIMIT 3", "LIMIT 2", "LIMIT 1", "LIMIT 5 OFFSET 2", "LIMIT 9")
        page = f"SELECT * FROM ({text}) AS a{self.conditions(table, order)} ORDER BY {self.order(table, order)} {limit}"
        if self.pick(True, False):
            return page
        other = self.pick(*COLUMNS)
        link = f"d.{self.pick(*COLUMNS[table])} = e.{self.pick(*COLUMNS[other])}"
        every = ", ".join(f"{name}.{column}" for name, of in (("d", table), ("e", other)) for column in COLUMNS[of])
        return f"SELECT * FROM ({page}) AS d LEFT JOIN {other} AS e ON {link} ORDER BY {every}"

    def front(self) -> str:
        if self.pick(False, False, True):
            return self.union()
        table = self.pick(*COLUMNS)
        order = self.pick(*SORTED[table])
        scope = [("a", table)]
        where = self.conditions(table, order).removeprefix(" WHERE ")
        source = f"{table} AS a{self.joins(scope)}"
        if len(scope) > 1 and self.pick(*[False] * 3, True):  # the driving table comes second
            (_, other), rest = scope[1], scope[2:]
            if not rest:
                kind = self.pick("JOIN", "LEFT JOIN")
                source = f"{other} AS o0 {kind} {table} AS a ON {self.link([('a', table)], other, 'o0')}"
        tests = [*([where] if where else []), *self.residual(scope)]
        condition = f" WHERE {' AND '.join(tests)}" if tests else ""
        everything = ", ".join(f"{alias}.{column}" for alias, name in scope[1:] for column in COLUMNS[name])
        terms = self.order(table, order) + (f", {everything}" if everything else "")
        if everything and self.pick(True, False):
            first, _, others = terms.partition(", ")
            terms = f"{first}, {self.pick(*everything.split(', '))}{self.pick('', ' DESC')}, {others}"
        limit = self.pick(
            "LIMIT 3", "LIMIT 2", "LIMIT 1", "LIMIT 5 OFFSET 2", "LIMIT 0", "LIMIT -1 OFFSET 3", "LIMIT 9"
        )
        shown = ", ".join(f"{alias}.{column} AS {alias}_{column}" for alias, name in scope for column in COLUMNS[name])
        distinct = self.pick("", "", "", "DISTINCT ")
        text = f"SELECT {distinct}{shown} FROM {source}{condition} ORDER BY {terms} {limit}"
        if self.pick(*[False] * 5, True):
            keys = ", ".join(f"a.{key}" for key in KEYS[table])
            having = self.pick("", f" HAVING count(*) > 1 OR a.{order[0]} > 1")
            shown = f"{', '.join(f'a.{column}' for column in COLUMNS[table])}, count(*), max({self.column(scope)})"
            group = f"GROUP BY {keys}{having} ORDER BY {self.order(table, order)} {limit}"
            return f"SELECT {shown} FROM {source}{condition} {group}"
        if self.pick(True, True, False):
            return text
        other = self.pick(*COLUMNS)
        link = f"d.a_{self.pick(*COLUMNS[table])} = e.{self.pick(*COLUMNS[other])}"
        more = ", ".join(f"e.{column}" for column in COLUMNS[other])
        every = ", ".join(map(str, range(1, 1 + sum(len(COLUMNS[name]) for _, name in scope))))
        cut = self.pick("", "", " LIMIT 4")
        join = f"{self.pick('LEFT ', '')}JOIN {other} AS e ON {link}"
        what = self.pick("*", "*", "*, quote(d.a_x)" if "x" in COLUMNS[table] else "*, quote(1)")
        return f"SELECT {what} FROM ({text}) AS d {join} ORDER BY {every}, {more}{cut}"


@st.composite
def fronts(draw: Any) -> tuple[str, list[Any]]:
    writer = FrontWriter(draw)
    return writer.front(), writer.parameters


@pytest.fixture(scope="module", autouse=True)
def database() -> Iterator[None]:
    connection = rome.connect(URL)
    for statement in filter(str.strip, DDL.split(";")):
        connection.execute(statement)
    for table, columns in COLUMNS.items():
        for _, row in DATA.rows[table]:
            marks = ", ".join("?" * len(columns))
            connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", row)
    connection.commit()
    connection.close()
    yield
    rome.drop_database(URL)


@contextmanager
def forced(first: int, growth: int, most: float) -> Iterator[None]:
    """Make a Top-N plan wherever there is an ordered path, with batches of given sizes."""

    def plan(plan: ReadPlan, given: PlannerInput) -> ReadPlan:
        with mock.patch.object(topn, "_cost", return_value=1e15):
            plan = topn.plan_topn(plan, given)
        return replace(plan, topn=replace(plan.topn, max_batch=most)) if plan.topn else plan

    steps = tuple(plan if step is topn.plan_topn else step for step in planner.STEPS)
    sizes = {"_batch_for": lambda *_: first, "_rest_of_group": lambda _: 0}
    grow = mock.patch.multiple(topn, **sizes, MIN_GROWTH=growth, MAX_GROWTH=growth)
    with mock.patch.object(planner, "STEPS", steps), grow:
        yield


def random_changes(chosen: random.Random) -> Iterator[str]:
    """Yield the changes of a transaction before its query: mostly none."""
    for table in COLUMNS:
        if chosen.random() < 0.1:
            key, column = KEYS[table][0], {"p": "r", "k": "x", "h": "b", "w": "x"}[table]
            row = chosen.choice(DATA.rows[table])[1]
            value = apsw.format_sql_value(row[COLUMNS[table].index(key)])
            test = f"{key} {chosen.choice('<=>')} {value}"
            new = ", ".join(apsw.format_sql_value(chosen.choice(VALUES)) for _ in COLUMNS[table])
            yield chosen.choice(
                [
                    f"DELETE FROM {table} WHERE {test}",
                    f"UPDATE {table} SET {column} = 1 WHERE {test}",
                    f"INSERT OR IGNORE INTO {table} ({', '.join(COLUMNS[table])}) VALUES ({new})",
                ]
            )


def answer(sql: str, parameters: list[Any], changes: list[str]) -> list[Any]:
    """Return the result of SQLite after some changes, and undo these."""
    with DATA.sqlite:
        DATA.sqlite.execute("SAVEPOINT a")
        try:
            for change in changes:
                DATA.sqlite.execute(change)
            return DATA.sqlite.execute(sql, parameters).fetchall()
        finally:
            DATA.sqlite.execute("ROLLBACK TO a")


@pytest.mark.slow
@settings(max_examples=500)
@given(fronts(), st.randoms(use_true_random=False))
def test_batches_give_the_same_results_as_all_rows(statement: tuple[str, list[Any]], chosen: random.Random) -> None:
    sql, parameters = statement
    parameters = parameters[: sql.count("?")]
    changes = list(random_changes(chosen))
    try:
        expected = answer(sql, parameters, changes)
    except apsw.Error:
        assume(False)
    isolation = chosen.choice(["SNAPSHOT", "SERIALIZABLE", "READ COMMITTED", "AUTOCOMMIT"])
    connection = rome.connect(URL, isolation_level=isolation)
    connection.database.statistics = chosen.choice([Guesses(chosen), Statistics()])
    connection.database.plans.clear()
    with forced(chosen.choice([1, 2, 5]), chosen.choice([2, 3, 8]), chosen.choice([5.0, 20.0, 1e9, 1e9])):
        for table in COLUMNS:
            if chosen.random() < 0.3:
                key = KEYS[table][0]
                some = chosen.choice(DATA.rows[table])[1][COLUMNS[table].index(key)]
                shown = chosen.choice(["*", "*", f"quote({key})"])  # (which brings the rows into the workspace)
                connection.execute(
                    f"SELECT {shown} FROM {table} WHERE {key} {chosen.choice('=>')} ?", [some]
                ).fetchall()
        for change in changes if isolation != "AUTOCOMMIT" else ():
            connection.execute(change)
        if isolation == "AUTOCOMMIT":
            expected = answer(sql, parameters, [])
        for _ in range(2):
            found = connection.execute(sql, parameters).fetchall()
            assert list(map(repr, found)) == list(map(repr, expected)), f"{sql}\n{parameters}\n{changes}"
    connection.close()
