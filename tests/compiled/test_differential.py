"""Random statements over random schemas and rows: the compiled evaluator returns the rows that SQLite returns."""

import random
from collections import Counter
from typing import Any

import apsw
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rome.compiled.compile import Compiled, NotCompiled
from rome.fallback import UnsupportedValue
from rome.sql.rewrite.row_keys import without_limit
from tests.compiled.grammar import Statement, TableShape, Writer, schema
from tests.compiled.harness import Database, normalized, same_rows


def database(tables: list[TableShape]) -> Database:
    return Database("".join(table.ddl for table in tables), {table.name: table.rows for table in tables})


def compare(db: Database, statement: Statement) -> str:
    """Run a statement in both evaluators, compare the rows, and return the outcome."""
    sql, parameters = statement.text, statement.parameters
    try:
        expected: list[Any] | apsw.Error = db.expected(sql, parameters)
    except apsw.Error as error:
        expected = error
        if not isinstance(error, apsw.SQLError) or "overflow" not in str(error):
            return f"wrong: {error}"
    compiled, tables = db.compile(sql)
    if isinstance(compiled, NotCompiled):
        return f"refused: {compiled.reason}"
    for shuffle in (None, random.Random(1)):
        try:
            found = compiled.run(db.fetched(tables, shuffle), parameters)
        except UnsupportedValue as unsupported:
            return f"unsupported value: {unsupported}"
        story = f"{sql}\n{parameters}\n{compiled.source}\n{found}\n{expected}"
        assert not isinstance(expected, apsw.Error), story
        if statement.merges:
            found, wanted = normalized(found), normalized(expected)
        else:
            wanted = expected
        assert same_rows(found, wanted, ordered=statement.ordered), story
        unlimited = without_limit(sql)
        if unlimited is not None:
            number = compiled.unlimited.run(db.fetched(tables, shuffle), parameters)
            assert len(number) == len(db.expected(unlimited, parameters)), story
    return "compiled"


@pytest.mark.slow
@settings(max_examples=100)
@given(st.data())
def test_random_statements_return_the_rows_of_sqlite(data: st.DataObject) -> None:
    def pick(*choices: Any) -> Any:
        return data.draw(st.sampled_from(choices))

    tables = schema(pick)
    db = database(tables)
    writer = Writer(tables, pick)
    outcome = compare(db, writer.statement())
    assume(outcome == "compiled")


@pytest.mark.slow
def test_many_random_statements_return_the_rows_of_sqlite_and_most_are_compiled() -> None:
    """The same with a plain random generator, which is faster than Hypothesis but does not simplify failures."""
    outcomes: Counter[str] = Counter()
    for seed in range(100):
        chosen = random.Random(seed)

        def pick(*choices: Any, chosen: random.Random = chosen) -> Any:
            return chosen.choice(choices)

        tables = schema(pick)
        db = database(tables)
        for _ in range(20):
            outcomes[compare(db, Writer(tables, pick).statement())] += 1
    total = sum(outcomes.values())
    refused = sum(count for outcome, count in outcomes.items() if outcome.startswith(("refused", "not parsed")))
    assert refused < 0.12 * total, outcomes
    assert outcomes["compiled"] > 0.75 * total, outcomes


@pytest.mark.slow
def test_a_condition_its_negation_and_its_null_partition_the_rows() -> None:
    """Ternary logic partitioning: every row is in exactly one of WHERE p, WHERE NOT p, WHERE p IS NULL."""
    seen = 0
    for seed in range(300):
        chosen = random.Random(seed)

        def pick(*choices: Any, chosen: random.Random = chosen) -> Any:
            return chosen.choice(choices)

        tables = schema(pick)
        writer = Writer(tables, pick)
        table = pick(*tables)
        condition = writer.test(writer.table_scope(table, table.name), 2)
        db = database(tables)
        parts = []
        for form in ("({0})", "NOT ({0})", "CASE WHEN {0} THEN 0 WHEN NOT ({0}) THEN 0 ELSE 1 END"):
            text = f"SELECT * FROM {table.name} WHERE {form.format(condition)}"
            parameters = {f"p{number}": value for number, value in enumerate(writer.parameters)}
            compiled, table_refs = db.compile(text)
            if not isinstance(compiled, Compiled):
                break
            try:
                parts += compiled.run(db.fetched(table_refs), parameters)
            except UnsupportedValue:
                break
        else:
            seen += 1
            assert same_rows(parts, db.rows(db.catalog.tables[table.name]), ordered=False), condition
    assert seen > 120
