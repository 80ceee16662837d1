"""Statements that change rows by what a SELECT finds: INSERT … SELECT, UPDATE … FROM, subqueries in SET, and WITH."""

from __future__ import annotations

from random import Random

from rome.verify.sql.queries import condition
from rome.verify.sql.schema import Relation, Schema
from rome.verify.sql.script import Step
from rome.verify.sql.values import Arguments, value


def insert_select(random: Random, schema: Schema, table: Relation, action: str, tail: str) -> Step | None:
    """Return an INSERT … SELECT. `action`: its conflict clause; `tail`: an upsert clause, RETURNING.

    Where a failure or a conflict depends on the order of the rows, this is the order of an integer key.
    """
    ordered = [relation for relation in schema.tables if relation.has_integer_key]
    needs_order = bool(schema.fails or action or tail)
    sources = ordered if needs_order else schema.relations
    columns = [column for column in table.written if column.is_key or random.random() < 0.7]
    if not columns or not sources or table.is_strict:
        return None
    source = random.choice(sources)
    arguments = Arguments(random)
    terms = [_term(random, source, arguments) for _ in columns[1:]]
    if columns[0].is_key and source.key:
        shift = random.choice((0, 1, 20, 20))
        terms.insert(0, f"s.{source.key[0].name} + {shift}" if shift else f"s.{source.key[0].name}")
    else:
        terms.insert(0, f"s.{random.choice(source.columns).name}")
    if columns[0].is_key and table.has_rowid_key:  # ids that ROME assigns may have gaps
        terms[0] = f"coalesce({terms[0]}, 3)"
    where = condition(random, schema, source, "s", arguments, 1) if random.random() < 0.5 else "1"
    order = f" ORDER BY s.{source.key[0].name}" if source in ordered else ""
    if order and random.random() < 0.3:
        order += f" LIMIT {arguments(random.randint(1, 3))}"
    listed = ", ".join(column.name for column in columns)
    into = f"INSERT {action}INTO {table.name} ({listed})"
    if random.random() < 0.15 and not arguments.values:
        given = ", ".join(f"c{at}" for at in range(len(columns)))
        with_ = f"WITH s2 ({given}) AS (SELECT {', '.join(terms)} FROM {source.name} s WHERE {where}{order})"
        return Step(f"{with_} {into} SELECT {given} FROM s2 WHERE 1{tail}") if not needs_order else None
    sql = f"{into} SELECT {', '.join(terms)} FROM {source.name} s WHERE {where}{order}{tail}"
    return Step(sql, parameters=(tuple(arguments.values),))


def _term(random: Random, source: Relation, arguments: Arguments) -> str:
    column = random.choice(source.columns)
    draw = random.random()
    if draw < 0.7:
        return f"s.{column.name}"
    if draw < 0.85:
        return arguments(value(random, column.type))
    return random.choice((f"coalesce(s.{column.name}, 1)", f"s.{column.name} + 1", f"typeof(s.{column.name})"))


def subquery_value(random: Random, schema: Schema, table: Relation) -> str:
    """Return a scalar subquery for SET, over another table: SQLite computes it row by row."""
    others = [relation for relation in schema.relations if relation.name != table.name]
    if not others:
        return "NULL"
    other = random.choice(others)
    one, two = random.choice(other.columns).name, random.choice(other.columns).name
    found = f"SELECT {random.choice(('max', 'min', 'count'))}(o.{one}) FROM {other.name} o"
    if random.random() < 0.6:
        found += f" WHERE o.{two} = {table.name}.{random.choice(table.columns).name}"
    # The aggregates of equal values that are not the same may be any of them.
    return f"typeof(({found}))"


def update_from(random: Random, schema: Schema, table: Relation) -> Step | None:
    """Return an UPDATE … FROM. Each row meets at most one of the other table's, which is found by its integer key."""
    others = [relation for relation in schema.tables if relation.has_integer_key]
    free = [column.name for column in table.written if column.name not in table.unique]
    if not others or not free:
        return None
    other = random.choice(others)
    arguments = Arguments(random)
    where = f"{table.name}.{random.choice(table.columns).name} = s.{other.key[0].name}"
    if random.random() < 0.5:
        where += f" AND {condition(random, schema, other, 's', arguments, 1)}"
    given = random.choice(other.columns).name
    returning = f" RETURNING {table.name}.{random.choice(table.columns).name}" if random.random() < 0.2 else ""
    return Step(
        f"UPDATE {table.name} SET {random.choice(free)} = s.{given} FROM {other.name} s WHERE {where}{returning}",
        parameters=(tuple(arguments.values),),
    )


def common(random: Random, schema: Schema, arguments: Arguments) -> str:
    """Return a WITH clause for a few statements."""
    if random.random() > 0.08:
        return ""
    source = random.choice(schema.relations)
    where = condition(random, schema, source, "s", arguments, 1)
    return f"WITH q (n) AS (SELECT s.{random.choice(source.columns).name} FROM {source.name} s WHERE {where}) "


def in_common(random: Random, table: Relation) -> str:
    """Return a condition on the rows of a table that refers to the WITH clause."""
    return f"{table.name}.{random.choice(table.columns).name} IN (SELECT q.n FROM q)"
