"""Tables and changes as applications have them most: by key and in bulk, without what only SQLite can do.

ROME has short ways for these (`rome.session.point_dml`, `rome.session.bulk_dml`). Other scripts hardly ever take them:
after one change that needs SQLite, as those of tables with triggers do, a transaction goes on in the workspace.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from rome.values import SqlValue
from rome.verify.sql.dml import change
from rome.verify.sql.schema import Column, Relation, Schema
from rome.verify.sql.script import Step
from rome.verify.sql.values import Arguments, value

_KEYS = (*("id INTEGER PRIMARY KEY",) * 5, "id TEXT NOT NULL PRIMARY KEY", "id INTEGER NOT NULL")
_TYPES = ("INTEGER", "INTEGER", "TEXT", "VARCHAR(9)", "REAL", "NUMERIC", "BOOLEAN", "")


def create_plain_table(random: Random, schema: Schema) -> str:
    """Return a CREATE TABLE with keys, defaults and foreign keys."""
    taken = {relation.name for relation in schema.relations}
    name = next(letter for letter in "tuvwxyz" if letter not in taken)
    key = random.choice(_KEYS)
    columns = [key]
    letters = random.sample("abcdefgh", random.randint(2, 5))
    for letter in letters:
        type_ = random.choice(_TYPES)
        clauses = [f"{letter} {type_}".rstrip()]
        if random.random() < 0.15:
            clauses.append(f"NOT NULL DEFAULT {random.randint(0, 3)}")
        elif random.random() < 0.2:
            clauses.append("UNIQUE")
        parents = [relation.name for relation in schema.tables if relation.has_integer_key]
        if type_ == "INTEGER" and parents and random.random() < 0.5:
            clauses.append(f"REFERENCES {random.choice(parents)} (id)")
        columns.append(" ".join(clauses))
    if "PRIMARY" not in key:
        columns.append(f"PRIMARY KEY (id, {letters[0]})")
    elif random.random() < 0.2:
        columns.append(f"UNIQUE ({letters[0]}, {letters[1]})")
    return f"CREATE TABLE {name} ({', '.join(columns)})"


def create_plain_index(random: Random, schema: Schema) -> str:
    """Return a CREATE INDEX of columns."""
    table = random.choice(schema.tables)
    name = next(letter for letter in "ijklmn" if letter not in schema.indexes)
    columns = random.sample([column.name for column in table.columns], random.randint(1, 2))
    return f"CREATE {random.choice(('', '', 'UNIQUE '))}INDEX {name} ON {table.name} ({', '.join(columns)})"


def plain_change(random: Random, schema: Schema) -> Step | None:
    """Return a change by key or in bulk, or now and then any other; None if there is nothing to change."""
    if not schema.tables or random.random() < 0.08:
        return change(random, schema)
    table = random.choice(schema.tables)
    (maker,) = random.choices(tuple(_MAKERS), tuple(_MAKERS.values()))
    return maker(random, schema, table)


def _row(random: Random, table: Relation, columns: list[Column]) -> tuple[SqlValue, ...]:
    return tuple(_value(random, table, column) for column in columns)


def _value(random: Random, table: Relation, column: Column) -> SqlValue:
    if column.name == "id" or (column.is_key and table.has_integer_key):
        number = random.randint(1, 40)
        return f"k{number}" if "TEXT" in column.type else number
    if column.name in table.parents and random.random() < 0.8:
        return None if random.random() < 0.1 else random.randint(1, 11)
    return value(random, column.type)


def _insert(random: Random, _schema: Schema, table: Relation) -> Step:
    columns = [column for column in table.written if column.is_key or random.random() < 0.9]
    count = random.choice((1, 1, 1, 1, 3, 6))
    named = f"{table.name} ({', '.join(column.name for column in columns)})"
    returning = " RETURNING id" if count == 1 and random.random() < 0.1 else ""
    sql = f"INSERT INTO {named} VALUES ({', '.join('?' * len(columns))}){returning}"
    rows = tuple(_row(random, table, columns) for _ in range(count))
    return Step(sql, parameters=rows, many=count > 1)


def _update_by_key(random: Random, _schema: Schema, table: Relation) -> Step | None:
    free = _free(random, table)
    if not table.key or not table.present or not free:
        return None
    count = random.choice((1, 1, 1, 3))
    columns = random.sample(free, random.randint(1, min(2, len(free))))
    assigned = ", ".join(f"{column.name} = ?" for column in columns)
    if count == 1 and random.random() < 0.2:
        assigned, columns = f"{columns[0].name} = coalesce({columns[0].name}, 0) + 1", []
    where = " AND ".join(f"{column.name} = ?" for column in table.key)
    rows = tuple((*_row(random, table, columns), *random.choice(table.present)) for _ in range(count))
    return Step(f"UPDATE {table.name} SET {assigned} WHERE {where}", parameters=rows, many=count > 1)


def _free(random: Random, table: Relation) -> list[Column]:
    """Return the columns outside of keys, or now and then all of them."""
    if random.random() < 0.1:
        return table.written
    return [column for column in table.written if column.name not in table.unique | table.parents.keys()]


def _simple(random: Random, table: Relation, arguments: Arguments) -> str:
    column = random.choice(table.columns)
    given = arguments(_value(random, table, column))
    return f"{column.name} {random.choice(('=', '>', '<', '>=', 'IS NOT'))} {given}"


def _update_many(random: Random, _schema: Schema, table: Relation) -> Step | None:
    free = _free(random, table)
    if not free or not table.is_order_free or table.is_strict:
        return None  # if SQLite refuses a value in a STRICT table, it keeps the rows that it changed before
    arguments = Arguments(random)
    column, other = random.choice(free), random.choice(table.columns).name
    given = random.choice((arguments(_value(random, table, column)), other, f"{column.name} + 1"))
    if "?" not in given:
        arguments = Arguments(random)
    where = _simple(random, table, arguments)
    sql = f"UPDATE {table.name} SET {column.name} = {given} WHERE {where}"
    return Step(sql, parameters=(tuple(arguments.values),))


def _delete_many(random: Random, _schema: Schema, table: Relation) -> Step | None:
    if not table.is_order_free:
        return None
    if random.random() < 0.2:
        return Step(f"DELETE FROM {table.name}")
    arguments = Arguments(random)
    return Step(
        f"DELETE FROM {table.name} WHERE {_simple(random, table, arguments)}", parameters=(tuple(arguments.values),)
    )


def _copy(random: Random, schema: Schema, table: Relation) -> Step | None:
    """Return an INSERT … SELECT, whose rows get keys of their own."""
    sources = [each for each in schema.tables if each.has_integer_key]
    if not sources or not table.has_integer_key:
        return None
    source = random.choice(sources)
    columns = [column for column in table.written if column.name not in table.unique and random.random() < 0.8]
    terms = [f"s.{random.choice(source.columns).name}" for _ in columns]
    arguments = Arguments(random)
    listed = ", ".join(["id", *(column.name for column in columns)])
    selected = ", ".join([f"s.id + {random.choice((50, 100, 150))}", *terms])
    where = f"s.id > {arguments(random.randint(0, 20))}"
    sql = f"INSERT INTO {table.name} ({listed}) SELECT {selected} FROM {source.name} s WHERE {where}"
    return Step(sql, parameters=(tuple(arguments.values),))


_MAKERS: dict[Callable[[Random, Schema, Relation], Step | None], int] = {
    _insert: 8,
    _update_by_key: 6,
    _update_many: 3,
    _delete_many: 2,
    _copy: 2,
}
"""Generators of changes, each with its weight."""
