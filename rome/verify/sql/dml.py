"""Statements that change rows."""

from __future__ import annotations

from random import Random

from rome.values import SqlValue
from rome.verify.sql.derived_dml import common, in_common, insert_select, subquery_value, update_from
from rome.verify.sql.queries import condition, key_condition
from rome.verify.sql.schema import Relation, Schema
from rome.verify.sql.script import Step
from rome.verify.sql.values import Arguments, value

_OR = ("", "", "", "", "OR IGNORE ", "OR REPLACE ", "OR ABORT ", "OR FAIL ", "OR ROLLBACK ")


def change(random: Random, schema: Schema) -> Step | None:
    """Return an INSERT, UPDATE or DELETE; None if there is nothing to change."""
    if schema.views and random.random() < 0.12:
        view = random.choice(schema.views)
        draw = random.random()
        if draw < 0.5:
            return _insert(random, view, plain=True)
        return _update(random, schema, view) if draw < 0.75 else _delete(random, schema, view)
    if not schema.tables:
        return None
    table = random.choice(schema.tables)
    draw = random.random()
    if random.random() < 0.05:
        return _many_by_key(random, table)
    if draw < 0.09:
        return _insert_select(random, schema, table)
    if draw < 0.5:
        return _insert(random, table)
    if draw < 0.56:
        return None if _is_partial(schema, table, "") else update_from(random, schema, table)
    return _update(random, schema, table) if draw < 0.8 else _delete(random, schema, table)


def _given(random: Random, table: Relation, name: str, type_: str) -> SqlValue:
    if name in table.parents and random.random() < 0.6:
        return random.choice((1, 2, 3))
    if name == "id" or name in {column.name for column in table.key}:
        return random.choice(("a", "b", "c", 1, 2)) if "TEXT" in type_ else random.randint(1, 9)
    return value(random, type_)


def _insert(random: Random, table: Relation, *, plain: bool = False) -> Step | None:
    columns = [column for column in table.written if column.is_key or random.random() < 0.8]
    if not columns:
        return None
    arguments = Arguments(random)
    action = "" if plain else random.choice(_OR)
    # A failure in the midst of several rows leaves the first ones with OR FAIL: their order is that of VALUES.
    rows = random.choice((1, 1, 1, 2, 3))
    if table.is_strict:
        rows = 1
    verb = "REPLACE INTO" if action == "OR REPLACE " and random.random() < 0.5 else f"INSERT {action}INTO"
    named = f"{verb} {table.name} ({', '.join(column.name for column in columns)})"
    if rows > 1 and random.random() < 0.4 and not plain:
        given = tuple(tuple(_given(random, table, c.name, c.type) for c in columns) for _ in range(rows))
        if "ROLLBACK" in action:
            action = ""
        return Step(
            f"INSERT {action}INTO {named.partition('INTO ')[2]} VALUES ({', '.join('?' * len(columns))})",
            parameters=given,
            many=True,
        )
    values = ", ".join(
        "(" + ", ".join(arguments(_given(random, table, c.name, c.type)) for c in columns) + ")" for _ in range(rows)
    )
    upsert = "" if plain or action else _upsert(random, table, arguments)
    returning = _returning(random, table, 0.0 if plain else 0.15)
    return Step(f"{named} VALUES {values}{upsert}{returning}", parameters=(tuple(arguments.values),))


def _returning(random: Random, table: Relation, share: float) -> str:
    if random.random() > share:
        return ""
    one, two = (random.choice(table.columns).name for _ in range(2))
    return random.choice((" RETURNING *", f" RETURNING {one}, typeof({two}) AS n"))


def _upsert(random: Random, table: Relation, arguments: Arguments) -> str:
    targets = [f"({', '.join(key)})" for key in table.keys]
    targets += [f"({', '.join(key)}) WHERE {predicate}" for key, predicate in table.partial_keys]
    if random.random() > 0.4 or not targets:
        return ""
    free = [column for column in table.written if column.name not in table.unique]
    if not free or random.random() < 0.2:
        return f" ON CONFLICT{random.choice(('', ' ' + random.choice(targets)))} DO NOTHING"
    column = random.choice(free)
    given = f"excluded.{column.name}" if random.random() < 0.5 else arguments(value(random, column.type))
    where = ""
    if random.random() < 0.4:
        where = f" WHERE {table.name}.{column.name} {random.choice(('IS NOT', '<', '>='))} excluded.{column.name}"
    first = ""
    if len(targets) > 1 and random.random() < 0.3:
        action = random.choice(("DO NOTHING", f"DO UPDATE SET {column.name} = 1"))
        first = f" ON CONFLICT {random.choice(targets)} {action}"
    return f"{first} ON CONFLICT {random.choice(targets)} DO UPDATE SET {column.name} = {given}{where}"


def _insert_select(random: Random, schema: Schema, table: Relation) -> Step | None:
    if random.random() < 0.5:
        return insert_select(random, schema, table, "", "")
    action = random.choice(_OR)
    arguments = Arguments(random, share=0.0)
    upsert = "" if action else _upsert(random, table, arguments)
    return insert_select(random, schema, table, action, upsert + _returning(random, table, 0.15))


def _is_partial(schema: Schema, table: Relation, action: str) -> bool:
    """Return whether the order of rows would decide what a statement leaves, where it fails or changes more rows.

    SQLite does not always undo what was done before a value of a wrong type for a STRICT table. And where one row's
    change may change the next one, the order decides how many are counted.
    """
    return schema.fails or table.is_strict or not table.is_order_free or action not in ("", "OR ABORT ")


def _where(random: Random, schema: Schema, table: Relation, action: str, arguments: Arguments) -> str:
    if (_is_partial(schema, table, action) or random.random() < 0.5) and table.key:
        return key_condition(random, table, arguments)
    if _is_partial(schema, table, action):
        return "0"
    return condition(random, schema, table, table.name, arguments)


def _update(random: Random, schema: Schema, table: Relation) -> Step | None:
    if not table.written:
        return None
    action = random.choice(_OR)
    arguments = Arguments(random)
    with_ = "" if _is_partial(schema, table, action) else common(random, schema, arguments)
    assigned = []
    for column in random.sample(table.written, min(len(table.written), random.choice((1, 1, 2)))):
        if column.name not in table.unique and random.random() < 0.08:
            assigned.append(f"{column.name} = {subquery_value(random, schema, table)}")
        elif column.name not in table.unique and random.random() < 0.3:
            other = random.choice(table.columns).name
            assigned.append(f"{column.name} = {random.choice((other, f'{other} + 1', f'coalesce({other}, 1)'))}")
        elif column.name in table.unique and random.random() < 0.3:
            assigned.append(f"{column.name} = {column.name} + 100")
        else:
            assigned.append(f"{column.name} = {arguments(_given(random, table, column.name, column.type))}")
    where = _where(random, schema, table, action, arguments) if not with_ else in_common(random, table)
    returning = _returning(random, table, 0.1)
    return Step(
        f"{with_}UPDATE {action}{table.name} SET {', '.join(assigned)} WHERE {where}{returning}",
        parameters=(tuple(arguments.values),),
    )


def _delete(random: Random, schema: Schema, table: Relation) -> Step:
    arguments = Arguments(random)
    if random.random() < 0.1 and not schema.fails and table.is_order_free:
        return Step(f"DELETE FROM {table.name}")
    with_ = "" if _is_partial(schema, table, "") else common(random, schema, arguments)
    where = _where(random, schema, table, "", arguments) if not with_ else in_common(random, table)
    sql = f"{with_}DELETE FROM {table.name} WHERE {where}{_returning(random, table, 0.1)}"
    return Step(sql, parameters=(tuple(arguments.values),))


def _many_by_key(random: Random, table: Relation) -> Step | None:
    """Return an UPDATE or DELETE by key, for several keys."""
    if not table.key or not table.written:
        return None
    column = random.choice(table.written)
    where = " AND ".join(f"{key.name} = ?" for key in table.key)
    keys = [
        random.choice(table.present)
        if table.present and random.random() < 0.8
        else tuple(_given(random, table, key.name, key.type) for key in table.key)
        for _ in range(random.randint(1, 3))
    ]
    if random.random() < 0.3:
        return Step(f"DELETE FROM {table.name} WHERE {where}", parameters=tuple(keys), many=True)
    given = tuple((_given(random, table, column.name, column.type), *key) for key in keys)
    return Step(f"UPDATE {table.name} SET {column.name} = ? WHERE {where}", parameters=given, many=True)
