"""SELECT statements and conditions."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from rome.verify.sql.schema import Relation, Schema
from rome.verify.sql.script import Step
from rome.verify.sql.values import Arguments, value

_COMPARISONS = ("=", "=", "=", "<", ">", "<=", ">=", "<>", "IS", "IS NOT")


def key_condition(random: Random, table: Relation, arguments: Arguments) -> str:
    """Return a condition that at most one row fulfils: often one that is there."""
    if table.present and random.random() < 0.6:
        given = random.choice(table.present)
    else:
        given = tuple(random.choice((1, 2, 3, 4, 5, "a", "b")) for _ in table.key)
    pairs = zip(table.key, given, strict=True)
    return " AND ".join(f"{column.name} = {arguments(value)}" for column, value in pairs)


def condition(random: Random, schema: Schema, table: Relation, name: str, arguments: Arguments, depth: int = 0) -> str:
    """Return a condition on the rows of a table that is called `name`."""
    draw = random.random()
    if depth < 2 and draw < 0.25:
        sides = [condition(random, schema, table, name, arguments, depth + 1) for _ in range(2)]
        return f"({random.choice((' AND ', ' OR ')).join(sides)})"
    column = random.choice(table.columns)
    term = f"{name}.{column.name}"
    if draw < 0.55:
        return f"{term} {random.choice(_COMPARISONS)} {arguments(value(random, column.type))}"
    if draw < 0.62:
        return f"{term} IS {random.choice(('', 'NOT '))}NULL"
    if draw < 0.7:
        return f"{term} IN ({', '.join(arguments(value(random, column.type)) for _ in range(random.randint(0, 3)))})"
    if draw < 0.76:
        return f"{term} BETWEEN {arguments(value(random, column.type))} AND {arguments(value(random, column.type))}"
    if draw < 0.8:
        return f"{term} LIKE {arguments(random.choice(('a%', '%b', '1%', '_', 'A_')))}"
    if draw < 0.92 and depth < 2 and schema.tables:
        return _subquery(random, schema, term, arguments)
    if draw < 0.96:
        return _expression(random, table, name, term, arguments)
    return f"{random.choice(('lower', 'abs', 'typeof', 'length'))}({term}) = {arguments(value(random, column.type))}"


def _expression(random: Random, table: Relation, name: str, term: str, arguments: Arguments) -> str:
    """Return a condition of a rarer form."""
    other = f"{name}.{random.choice(table.columns).name}"
    given = arguments(value(random))
    return random.choice(
        (
            f"{term} COLLATE {random.choice(('NOCASE', 'RTRIM', 'BINARY'))} = {given}",
            f"{term} IS DISTINCT FROM {given}",
            f"coalesce({term}, {other}) = {given}",
            f"CASE {term} WHEN {given} THEN {other} ELSE 1 END",
            f"CASE WHEN {term} < {given} THEN 1 WHEN {other} IS NULL THEN NULL END",
            f"({term}, {other}) = ({given}, {other})",
            f"NOT ({term} = {given})",
            f"{term} + 1 > {given}",
            f"{given} = {term}",
            f"{term} = {other}" + f" AND {given} IS NOT 0" * (given == "?"),
        )
    )


def _subquery(random: Random, schema: Schema, term: str, arguments: Arguments) -> str:
    other = random.choice(schema.relations)
    inner = random.choice(other.columns).name
    where = condition(random, schema, other, "s", arguments, 2)
    draw = random.random()
    if draw < 0.4:
        union = f" UNION SELECT {arguments(value(random))}" if random.random() < 0.3 else ""
        return f"{term} {random.choice(('', 'NOT '))}IN (SELECT s.{inner} FROM {other.name} s WHERE {where}{union})"
    if draw < 0.8:
        return (
            f"{random.choice(('', 'NOT '))}EXISTS (SELECT 1 FROM {other.name} s WHERE s.{inner} = {term} AND {where})"
        )
    return f"{term} = (SELECT {random.choice(('max', 'min', 'count'))}(s.{inner}) FROM {other.name} s WHERE {where})"


def query(random: Random, schema: Schema) -> Step | None:
    """Return a SELECT; None if there is nothing to read."""
    if not schema.relations:
        return None
    arguments = Arguments(random)
    table = random.choice(schema.relations)
    makers = (
        _by_key,
        _filtered,
        _filtered,
        _joined,
        _joined,
        _aggregated,
        _union,
        _windowed,
        _from_subquery,
        _three_tables,
        _recursive,
        _scalar,
        _compound,
        _first_by_key,
        _first_by_key,
        _joined_to_page,
    )
    maker = random.choice(makers)
    sql, ordered = maker(random, schema, table, arguments), maker in (_compound, _first_by_key)
    if not ordered:
        sql, ordered = _paged(random, sql, arguments)
    return Step(sql, parameters=(tuple(arguments.values),), ordered=ordered)


def _columns(random: Random, table: Relation, name: str) -> str:
    if random.random() < 0.4:
        return ", ".join(f"{name}.{column.name}" for column in table.columns)
    picked = random.sample(table.columns, random.randint(1, len(table.columns)))
    return ", ".join(f"{name}.{column.name}" for column in picked)


def _by_key(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    if not table.key:
        return _filtered(random, schema, table, arguments)
    columns = _columns(random, table, table.name)
    return f"SELECT {columns} FROM {table.name} WHERE {key_condition(random, table, arguments)}"


def _filtered(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    columns = _columns(random, table, "q")
    if random.random() < 0.2:  # of equal values that are not the same, DISTINCT may keep any
        columns = "DISTINCT " + ", ".join(f"quote({column})" for column in columns.split(", "))
    return f"SELECT {columns} FROM {table.name} q WHERE {condition(random, schema, table, 'q', arguments)}"


def _on(random: Random, left: tuple[Relation, str], right: tuple[Relation, str]) -> str:
    pairs = [
        f"{right[1]}.{column} = {left[1]}.{other}"
        for column, (parent, other) in right[0].parents.items()
        if parent == left[0].name and other
    ]
    if pairs and random.random() < 0.6:
        return pairs[0]
    one, two = random.choice(left[0].columns).name, random.choice(right[0].columns).name
    return f"{left[1]}.{one} {random.choice(('=', '=', '=', '=', '<', 'IS'))} {right[1]}.{two}"


def _joined(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    other = random.choice(schema.relations)
    kind = random.choice(("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
    on = _on(random, (table, "q"), (other, "r"))
    if random.random() < 0.3:
        on += f" AND {condition(random, schema, other, 'r', arguments, 2)}"
    picked = random.choice(((table, "q"), (other, "r"), (table, "q")))
    where = condition(random, schema, *picked, arguments, 1) if random.random() < 0.7 else "1"
    columns = f"{_columns(random, table, 'q')}, {_columns(random, other, 'r')}"
    return f"SELECT {columns} FROM {table.name} q {kind} {other.name} r ON {on} WHERE {where}"


def _three_tables(random: Random, schema: Schema, table: Relation, _arguments: Arguments) -> str:
    two, three = random.choice(schema.relations), random.choice(schema.relations)
    first, second = _on(random, (table, "q"), (two, "r")), _on(random, (two, "r"), (three, "s"))
    columns = f"{_columns(random, table, 'q')}, {_columns(random, three, 's')}"
    return f"SELECT {columns} FROM {table.name} q, {two.name} r, {three.name} s WHERE {first} AND {second}"


def _aggregated(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    column = random.choice(table.columns).name
    terms = random.sample(
        ["count(*)", *(f"{name}(q.{column})" for name in ("count", "max", "min", "sum", "total", "count"))], 2
    )
    where = condition(random, schema, table, "q", arguments)
    if random.random() < 0.4:
        return f"SELECT {', '.join(terms)} FROM {table.name} q WHERE {where}"
    by = random.choice(table.columns).name
    having = random.choice(("", "", " HAVING count(*) > 1"))
    return (
        f"SELECT typeof(q.{by}), {', '.join(terms)} FROM {table.name} q WHERE {where} GROUP BY typeof(q.{by}){having}"
    )


def _union(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    other = random.choice(schema.relations)
    operator = random.choice(("UNION", "UNION ALL", "EXCEPT", "INTERSECT"))
    one, two = random.choice(table.columns).name, random.choice(other.columns).name
    where = condition(random, schema, other, "r", arguments, 1)
    # typeof beside the value: of equal values of two types, UNION may keep either.
    first = f"SELECT q.{one}, typeof(q.{one}) FROM {table.name} q"
    return f"{first} {operator} SELECT r.{two}, typeof(r.{two}) FROM {other.name} r WHERE {where}"


def _recursive(random: Random, _schema: Schema, table: Relation, arguments: Arguments) -> str:
    numbers = f"n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {arguments(4)})"
    on = f"q.{random.choice(table.columns).name} = n.i"
    return (
        f"WITH RECURSIVE {numbers} SELECT {_columns(random, table, 'q')}, n.i FROM n LEFT JOIN {table.name} q ON {on}"
    )


def _scalar(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    other = random.choice(schema.relations)
    one, two, three = (random.choice(each.columns).name for each in (table, other, other))
    inner = f"SELECT {random.choice(('count', 'max', 'min'))}(r.{three}) FROM {other.name} r WHERE r.{two} = q.{one}"
    where = condition(random, schema, table, "q", arguments, 1)
    return f"SELECT q.{one}, typeof(({inner})) FROM {table.name} q WHERE {where}"


def _compound(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    terms = []
    for number in range(random.randint(2, 3)):
        other = table if number == 0 else random.choice(schema.relations)
        where = condition(random, schema, other, "r", arguments, 1)
        terms.append(f"SELECT quote(r.{random.choice(other.columns).name}) FROM {other.name} r WHERE {where}")
    return f" {random.choice(('UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT'))} ".join(terms) + " ORDER BY 1"


def _first_by_key(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    """Return a page of a table, in an order that ends with its integer key."""
    keyed = [each for each in schema.tables if each.has_integer_key]
    if not keyed:
        return "SELECT 1"
    table = random.choice(keyed)
    return _page(random, schema, table, _columns(random, table, "q"), arguments)


def _page(random: Random, schema: Schema, table: Relation, columns: str, arguments: Arguments) -> str:
    where = condition(random, schema, table, "q", arguments, 1)
    page = f"LIMIT {arguments(random.randint(1, 4))}"
    if random.random() < 0.3:
        page += f" OFFSET {arguments(random.randint(0, 3))}"
    return f"SELECT {columns} FROM {table.name} q WHERE {where} ORDER BY {_order(random, table)} {page}"


def _order(random: Random, table: Relation) -> str:
    """Return an order of rows that ends with their integer key: an index may have all of it, or the first terms."""
    direction = random.choice(("", "", " DESC"))
    columns = [column.name for column in random.sample(table.columns, min(len(table.columns), 2))]
    if table.ordered_by and random.random() < 0.7:
        columns.insert(0, random.choice(sorted(table.ordered_by)))
    terms = [f"q.{column}{direction}" for column in columns[: random.choice((0, 1, 1, 1, 2))]]
    if terms and random.random() < 0.5:
        term = random.choice(("{0}", "{0} + 0", "{0} IS NULL", "coalesce({0}, 1)", "typeof({0})", "{0} COLLATE NOCASE"))
        order = random.choice(("", " DESC", " NULLS LAST", " DESC NULLS FIRST"))
        terms.append(term.format(f"q.{random.choice(table.columns).name}") + order)
    key = f"q.{table.key[0].name}{random.choice((direction, direction, '', ' DESC'))}"
    return ", ".join([*terms, key])


def _joined_to_page(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    """Return a join of a page of a table with another table, as ORMs load collections."""
    keyed = [each for each in schema.tables if each.has_integer_key]
    if not keyed:
        return "SELECT 1"
    paged = random.choice(keyed)
    inner = _page(random, schema, paged, ", ".join(f"q.{column.name}" for column in paged.columns), arguments)
    kind = random.choice(("JOIN", "LEFT JOIN", "LEFT JOIN"))
    on = _on(random, (paged, "d"), (table, "r"))
    columns = f"{_columns(random, paged, 'd')}, {_columns(random, table, 'r')}"
    return f"SELECT {columns} FROM ({inner}) d {kind} {table.name} r ON {on}"


def with_lock(random: Random, schema: Schema, step: Step) -> Step:
    """Return a SELECT with a locking clause. SKIP LOCKED goes only with rows of a table."""
    clauses = ["UPDATE", "UPDATE", "UPDATE NOWAIT", "SHARE"]
    of_table = re.match(r"SELECT [\w., ]+ FROM (\w+)( q)? WHERE ", step.sql)
    if of_table and of_table[1] in {table.name for table in schema.tables} and " UNION" not in step.sql:
        clauses += ["UPDATE SKIP LOCKED"] * 2
    return replace(step, locking=f" FOR {random.choice(clauses)}")


def _windowed(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    by = ", ".join(column.name for column in table.columns)
    where = condition(random, schema, table, "q", arguments)
    part = random.choice(("", f"PARTITION BY typeof(q.{random.choice(table.columns).name}) "))
    function = random.choice(("count(*)", "rank()", "dense_rank()"))
    return f"SELECT q.*, {function} OVER ({part}ORDER BY {by}) FROM {table.name} q WHERE {where}"


def _from_subquery(random: Random, schema: Schema, table: Relation, arguments: Arguments) -> str:
    where = condition(random, schema, table, "i", arguments, 1)
    inner = f"SELECT {', '.join(f'i.{column.name}' for column in table.columns)} FROM {table.name} i WHERE {where}"
    outer = condition(random, schema, table, "q", arguments, 1)
    columns = _columns(random, table, "q")
    if random.random() < 0.5:
        return f"WITH q AS ({inner}) SELECT {columns} FROM q WHERE {outer}"
    return f"SELECT {columns} FROM ({inner}) q WHERE {outer}"


def _paged(random: Random, sql: str, arguments: Arguments) -> tuple[str, bool]:
    """Return a SELECT with ORDER BY all of its columns, perhaps with LIMIT; and whether its order is total."""
    if random.random() < 0.6 or sql.startswith("WITH"):
        return sql, False
    head = sql.partition(" FROM ")[0].removeprefix("SELECT ")
    if any(part in head for part in ("(", "*", "DISTINCT")):
        return sql, False
    columns = head.split(", ")
    descending = random.choice(("", "", " DESC"))
    # Values that are equal and not the same (1 and 1.0, 'a' and 'A') get their order from quote().
    order = ", ".join([f"{column}{descending}" for column in columns] + [f"quote({column})" for column in columns])
    limit = ""
    if random.random() < 0.6:
        limit = f" LIMIT {arguments(random.randint(1, 3))}"
        if random.random() < 0.3:
            limit += f" OFFSET {arguments(1)}"
    return f"{sql} ORDER BY {order}{limit}", True
