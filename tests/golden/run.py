"""Run a case: the predicates that the analysis extracts, the plan as EXPLAIN prints it, and the rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import apsw

import rome
from rome.catalog.model import Catalog
from rome.sql.analysis.analyze import analyze
from rome.sql.analysis.relation import AnyOf, Predicate, Relation, TopN
from rome.sql.syntax.parse import normalize
from rome.sql.syntax.statement import classify
from rome.sql.syntax.tokens import names
from tests.golden.files import Case
from tests.sql.schema import catalog_from

_NUMBER = itertools.count()


def run_case(schema: str, case: Case) -> list[str]:
    """Return the lines below a case's statement. Each case has a database of its own, so none learns from another."""
    url = f"rome+memory:///golden{next(_NUMBER)}"
    connection = rome.connect(url, isolation_level="AUTOCOMMIT")
    try:
        _create(connection, schema)
        plan = [line for (line,) in connection.execute(f"EXPLAIN PLAN FOR {case.statement}", case.parameters)]
        predicates = list(extracted_predicates(case.statement, catalog_from(schema)))
        heading, result = _result(connection, schema, case)
    finally:
        connection.close()
        rome.drop_database(url)
    sections = {"predicates": predicates, "plan": plan, heading: result}
    return [line for title, lines in sections.items() if lines for line in (title, *(f"    {one}" for one in lines))]


def _create(connection: Any, schema: str) -> None:
    for statement in _statements(schema):
        connection.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; each ends with a semicolon at a line's end."""
    for statement in re.split(r";\n", script.strip().removesuffix(";") + ";\n"):
        if statement.strip():
            yield statement


# ── predicates ────────────────────────────────────────────────────────────────────────────────────────────────────────


def extracted_predicates(sql: str, catalog: Catalog) -> Iterator[str]:
    """Yield a line for each table reference that has predicates or is part of a Top-N."""
    normalized = normalize(sql)
    assert normalized is not None
    analysis = analyze(classify(sql), names(sql), normalized, catalog)
    if not analysis.parsed:
        yield "not understood"
        return
    lists = normalized.lists
    for relation in [each.with_lists(lists, catalog) for each in analysis.relations]:
        known = [*map(_predicate, relation.predicates), *map(_any_of, relation.any_of)]
        if known:
            yield f"{_name(relation)}: {' AND '.join(known)}"
        if relation.topn is not None:
            yield f"{_name(relation)}: Top-N, {_topn(relation)}"
    if analysis.topn is not None and all(each.topn is None for each in analysis.relations):
        relation = analysis.topn.relation.with_lists(lists, catalog)
        yield f"{_name(relation)}: Top-N, {_topn(relation)}, of which some may be dropped"


def _name(relation: Relation) -> str:
    table = relation.table.name
    return table if relation.name == table.lower() else f"{table} AS {relation.name}"


def _predicate(predicate: Predicate) -> str:
    name, op = predicate.column.name, predicate.op.value
    sources = [str(source) for source in dict.fromkeys(predicate.sources)]
    null_as = next((found for each in predicate.sources if (found := getattr(each, "null_as", None))), None)
    shown = name if null_as is None else f"coalesce({name}, {null_as})"
    if not sources:
        return f"{shown} {op}"
    if op == "LIKE":
        return f"{shown} {sources[0]}"
    if len(sources) > 1 and op == "=":
        return f"{shown} IN ({', '.join(sources)})"
    return f"{shown} {op} {' or '.join(sources)}"


def _any_of(any_of: AnyOf) -> str:
    return f"({' OR '.join(' AND '.join(map(_predicate, each)) for each in any_of.alternatives)})"


def _topn(relation: Relation) -> str:
    topn = relation.topn
    assert isinstance(topn, TopN)
    order = [column.name + " DESC" * topn.descending for column in topn.order] + ["…"] * topn.order_continues
    return " ".join(
        [
            f"first {' + '.join(map(str, topn.limit))}" if topn.limit else "all",
            *([f"by {', '.join(order)}"] if order else []),
        ]
    )


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _result(connection: rome.Connection, schema: str, case: Case) -> tuple[str, list[str]]:
    """Run the statement on ROME and on SQLite, which must agree. Return a heading, and the rows or what has changed."""
    sqlite = apsw.Connection(":memory:")
    sqlite.execute("PRAGMA foreign_keys = ON")
    _create(sqlite, schema)
    before = _contents(sqlite)
    found, expected = _outcome(connection, case), _outcome(sqlite, case)
    assert found == expected, f"ROME: {found}\nSQLite: {expected}"
    after = _contents(sqlite)
    assert _contents(connection) == after, "the tables differ from SQLite's"
    if isinstance(found, str):
        return "error", [found]
    if before == after:
        return "rows", [_row(row) for row in found] or ["none"]
    changes = [f"- {line}" for line in before if line not in after] + [
        f"+ {line}" for line in after if line not in before
    ]
    return "changes", [*(f"returns {_row(row)}" for row in found), *changes]


def _outcome(connection: Any, case: Case) -> list[tuple[Any, ...]] | str:
    """Return the rows, sorted unless the statement orders them, or the error."""
    try:
        rows = connection.execute(case.statement, case.parameters).fetchall()
    except (rome.dbapi.Error, apsw.Error) as error:
        return str(error)
    return list(rows) if _is_ordered(case.statement) else sorted(rows, key=repr)


def _is_ordered(sql: str) -> bool:
    _, found, order = sql.rpartition("ORDER BY")
    return bool(found) and order.count("(") == order.count(")")


def _contents(connection: Any) -> list[str]:
    """Return all rows of all tables, a line each."""
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
    return [
        f"{table} {_row(row)}"
        for (table,) in found
        for row in sorted(connection.execute(f'SELECT * FROM "{table}"').fetchall(), key=repr)
    ]


def _row(values: Sequence[Any]) -> str:
    return " | ".join("NULL" if value is None else repr(value) for value in values)
