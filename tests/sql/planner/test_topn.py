"""Top-N, min(), max() and count(*): only the rows that are needed are fetched, and they are the right ones.

Random statements over the data of `test_superset`, each with a total order, so that there is one correct answer.
"""

import random
from collections import defaultdict
from typing import Any

import apsw
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rome.sql.planner.bind import bind_count
from rome.sql.planner.statistics import Statistics
from tests.sql.planner.test_superset import COLUMNS, DATA, Guesses, Writer, insert, new_sqlite
from tests.sql.schema import plan_reads

KEYS = {"p": ["id"], "k": ["a", "s"], "h": ["rowid"], "w": ["c"]}

SORTED = {
    "p": [["u", "n", "id"], ["n", "b", "id"], ["r", "id"], ["id"], ["u", "id"], ["n", "b"], ["c", "id"], ["b", "id"]],
    "k": [["a", "s"], ["n", "x", "a", "s"], ["x", "a", "s"], ["a"], ["s", "a"]],
    "h": [["x", "b", "rowid"], ["rowid"], ["x", "rowid"], ["x", "b"]],
    "w": [["c"], ["x", "c"]],
}


class PageWriter(Writer):
    """Writes statements that need only the first rows of one table, or their number."""

    def conditions(self, table: str, order: list[str]) -> str:
        """Write conditions that mostly fit the order: values of its first columns, a range on the next, a keyset."""
        parts: list[str] = []
        at = self.pick(0, 0, 1, 1, 2)
        for column in order[:at]:
            one = self.perhaps_filled(f"a.{column}")
            parts.append(f"{one} {self.pick('=', '=', '=', 'IS')} {self.value()}")
            if self.pick(*[False] * 3, True):
                parts[-1] = f"a.{column} IN ({self.value()}, {self.value()})"
        rest = order[at:]
        kind = self.pick("none", "none", "range", "between", "keyset", "row", "present", "any", "or")
        if kind == "range" and rest:
            one = self.perhaps_filled(f"a.{rest[0]}")
            parts.append(f"{one} {self.pick('<', '<=', '>', '>=')} {self.value()}")
        if kind == "between" and rest:
            parts.append(f"a.{rest[0]} BETWEEN {self.value()} AND {self.value()}")
        if kind in ("keyset", "row") and len(rest) > 1:
            parts.append(self.keyset(rest, kind))
        if kind == "present" and rest:
            parts.append(f"a.{rest[0]} IS NOT NULL")
        if table == "p" and self.pick(*[False] * 4, True):
            parts.append("a.n > 1")
        if kind == "any":
            parts.append(self.test([("a", table)], 0))
        if kind == "or" and rest:
            one, two = (f"a.{rest[0]} {self.pick('=', '<', '>')} {self.value()}" for _ in range(2))
            parts.append(self.pick(f"({one} OR {two})", f"NOT ({one} AND {two})", f"({one} OR a.{rest[-1]} = 1)"))
        return f" WHERE {' AND '.join(parts)}" if parts else ""

    def keyset(self, columns: list[str], kind: str) -> str:
        op = self.pick("<", ">")
        count = self.pick(2, len(columns))
        values = [self.pick(*[apsw.format_sql_value(value) for value in (0, 1, 2, "a", None)]) for _ in range(count)]
        columns = [f"a.{column}" for column in columns[:count]]
        if kind == "row":
            op = self.pick(op, f"{op}=")
            return f"({', '.join(columns)}) {op} ({', '.join(values)})"
        members = []
        filled = [self.perhaps_filled(column) for column in columns]
        for at in range(count):
            pairs = [f"{filled[before]} = {values[before]}" for before in range(at)]
            last = f"{filled[at]} {op} {values[at]}"
            if self.pick(*[False] * 4, True):  # as oslo.db writes where NULLs are to be
                last = f"({last} OR {columns[at]} IS NULL)"
            members.append(f"({' AND '.join([*pairs, last])})")
        return f"({' OR '.join(members)})"

    def order(self, table: str, order: list[str]) -> str:
        terms = [*order, *(key for key in KEYS[table] if key not in order)]
        direction = self.pick("", "", " DESC")
        written = [f"a.{term}{direction}" for term in terms]
        if self.pick(*[False] * 5, True):
            at = self.pick(*range(len(written)))
            written[at] = f"a.{terms[at]} {self.pick('DESC', 'ASC NULLS LAST', 'DESC NULLS FIRST')}"
        if self.pick(*[False] * 4, True):  # as oslo.db writes where NULLs are to be
            at = self.pick(*range(len(written)))
            test = self.pick("IS NULL", "IS NOT NULL")
            written.insert(at, f"a.{terms[at]} {test}{self.pick('', ' DESC')}")
        if self.pick(*[False] * 3, True):  # the whole row key, or nearly, has been in it already
            written = written[self.pick(0, 1) :]
        every = [f"a.{column}" for column in COLUMNS[table]]
        return ", ".join([*written, *every])

    def page(self) -> str:
        table = self.pick(*COLUMNS)
        order = self.pick(*SORTED[table])
        every = ", ".join(f"a.{column} AS {column}" for column in COLUMNS[table])
        source = f"{table} AS a{self.conditions(table, order)}"
        limit = self.pick("LIMIT 3", "LIMIT 5 OFFSET 2", "LIMIT 0", "LIMIT -1 OFFSET 3", "LIMIT 2 + 1", "LIMIT 9")
        kind = self.pick("page", "page", "page", "joined", "within", "extreme", "count", "exists", "counted")
        if kind == "page":
            return f"SELECT {every} FROM {source} ORDER BY {self.order(table, order)} {limit}"
        if kind == "joined":
            where = source.partition(" WHERE ")[2]
            other = self.pick(*COLUMNS)
            link = f"{self.pick('LEFT', 'LEFT', 'INNER')} JOIN {other} AS o ON {self.link([('a', table)], other, 'o')}"
            more = ", ".join(f"o.{column}" for column in COLUMNS[other])
            condition = f"WHERE {where}" if where else ""
            return f"SELECT * FROM {table} AS a {link} {condition} ORDER BY {self.order(table, order)}, {more} {limit}"
        if kind == "within":
            other = self.pick(*COLUMNS)
            link = f"LEFT JOIN {other} AS o ON {self.link([('d', table)], other, 'o')}"
            inner = f"SELECT {every} FROM {source} ORDER BY {self.order(table, order)} {limit}"
            return (
                f"SELECT * FROM ({inner}) AS d {link} ORDER BY {', '.join(map(str, range(1, len(COLUMNS[table]) + 1)))}"
            )
        if kind == "extreme":
            extreme = f"{self.pick('min', 'max')}(a.{self.pick(*order)})"
            return f"SELECT {self.pick(extreme, f'coalesce({extreme}, 7) AS e', f'{extreme}, count(*)')} FROM {source}"
        if kind == "exists":
            return self.pick(
                f"SELECT EXISTS (SELECT 1 FROM {source})",
                f"SELECT * FROM w WHERE NOT EXISTS (SELECT * FROM {source})",
                f"SELECT EXISTS (SELECT 1 FROM {source} LIMIT 1 OFFSET 1)",
            )
        if kind == "counted":
            return f"SELECT count(*) AS n FROM (SELECT {every} FROM {source}) AS d"
        return f"SELECT count({self.pick('*', '1', 'a.' + order[0])}) FROM {source}"


@st.composite
def pages(draw: Any) -> tuple[str, list[Any]]:
    writer = PageWriter(draw)
    return writer.page(), writer.parameters


@pytest.mark.slow
@settings(max_examples=400)
@given(pages(), st.randoms(use_true_random=False))
def test_first_rows_answer_as_all_rows(statement: tuple[str, list[Any]], chosen: random.Random) -> None:
    sql, parameters = statement
    parameters = parameters[: sql.count("?")]
    try:
        expected = DATA.sqlite.execute(sql, parameters).fetchall()
    except apsw.Error:
        assume(False)
    plan = plan_reads(sql, DATA.catalog, chosen.choice([Guesses(chosen), Statistics(), Statistics()]))
    some = chosen.choice([0.0, 0.3])
    known = {name: {key for key, _ in rows if chosen.random() < some} for name, rows in DATA.rows.items()}
    DATA.fetch(plan, parameters, known, limited=True)
    with_some = new_sqlite()
    for name, rows in DATA.rows.items():
        insert(with_some, name, [row for key, row in rows if key in known[name]])
    assert with_some.execute(sql, parameters).fetchall() == expected, f"{sql}\n{parameters}\n{plan}"
    count = bind_count(plan.count_step, parameters) if plan.count_step else None
    if count is not None:
        assert [tuple(DATA.store.fetch([count]).answers)] == expected, f"{sql}\n{parameters}\n{plan}"


@pytest.mark.parametrize(
    ("sql", "most"),
    [
        ("SELECT * FROM p ORDER BY id LIMIT 3", 3),
        ("SELECT * FROM p ORDER BY id DESC LIMIT 3 OFFSET 2", 5),
        ("SELECT * FROM p ORDER BY n, b, id LIMIT 4", 4),
        ("SELECT * FROM p WHERE n = 1 ORDER BY b DESC LIMIT 2", 2),
        ("SELECT * FROM p WHERE (n, b) > (0, 1) ORDER BY n, b, id LIMIT 2", 2),
        ("SELECT * FROM p WHERE n > 0 OR n = 0 AND b > 1 ORDER BY n, b LIMIT 2", 2),
        ("SELECT min(n) FROM p", 1),
        ("SELECT max(r) FROM p WHERE r < 2", 1),
        ("SELECT EXISTS (SELECT 1 FROM p WHERE n = 1)", 1),
        ("SELECT * FROM (SELECT id FROM p ORDER BY r, id LIMIT 3) AS d LEFT JOIN k ON k.s = d.id", 27),
    ],
)
def test_no_more_rows_than_needed(sql: str, most: int) -> None:
    known: dict[str, set[bytes]] = defaultdict(set)
    DATA.fetch(plan_reads(sql, DATA.catalog), (), known, limited=True)
    assert 0 < sum(map(len, known.values())) <= most
