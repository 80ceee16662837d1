"""Schema changes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rome.verify.sql.schema import Relation, Schema
from rome.verify.sql.values import literal, value

_TYPES = ("INTEGER", "INT", "TEXT", "REAL", "NUMERIC", "BLOB", "", "VARCHAR(9)", "TEXT COLLATE NOCASE", "BOOLEAN")
_STRICT_TYPES = ("INTEGER", "INT", "TEXT", "REAL", "BLOB", "ANY", "TEXT COLLATE NOCASE")
_ON_DELETE = ("CASCADE", "SET NULL", "RESTRICT", "SET DEFAULT", "NO ACTION", "", "")
_ON_UPDATE = ("CASCADE", "CASCADE", "SET NULL", "RESTRICT", "SET DEFAULT", "", "", "")
_KEYS = (
    *("id INTEGER PRIMARY KEY",) * 6,
    *("id TEXT PRIMARY KEY", "id PRIMARY KEY", "id INT NOT NULL PRIMARY KEY", "id"),
    *("id INTEGER PRIMARY KEY AUTOINCREMENT", "id INTEGER PRIMARY KEY DESC"),
)
_STRICT_KEYS = ("id INTEGER PRIMARY KEY", "id TEXT PRIMARY KEY", "id ANY NOT NULL PRIMARY KEY", "id INT")
_NAMES = "abcdefgh"


def schema_change(random: Random, schema: Schema) -> str:
    """Return a statement that changes this schema, or tries to."""
    table = random.choice(schema.tables) if schema.tables else None
    if table is None or (len(schema.tables) < 5 and random.random() < 0.25):
        return create_table(random, schema)
    (maker,) = random.choices(tuple(_MAKERS), tuple(_MAKERS.values()))
    return maker(random, schema, table)


def schema_changes(random: Random, schema: Schema) -> list[str]:
    """Return one or two statements that change this schema, or try to."""
    if schema.tables and random.random() < 0.08:
        table = random.choice(schema.tables)
        again = table.sql if random.random() < 0.5 else create_table(random, schema, table.name)
        return [f"DROP TABLE {table.name}", again]
    return [schema_change(random, schema)]


def create_table(random: Random, schema: Schema, name: str = "") -> str:
    """Return a CREATE TABLE with constraints, generated columns and foreign keys."""
    name = name or _free(random, "tuvwxyz", {relation.name for relation in schema.relations})
    is_strict = random.random() < 0.06
    types = _STRICT_TYPES if is_strict else _TYPES
    key = random.choice(_STRICT_KEYS if is_strict else _KEYS)
    columns = [key + (_on_conflict(random) if key.endswith("PRIMARY KEY") else "")]
    used = ["id"]
    for letter in random.sample(_NAMES, random.randint(1, 4)):
        columns.append(_column(random, schema, name, letter, types))
        used.append(letter)
    if random.random() < 0.2:
        # No text that is not UTF-8, which other columns can't hold: SQLite stores what `||` makes of a blob.
        expression = random.choice(("{}", "{} + 1", "hex({})", "coalesce({}, 'n')")).format(random.choice(used))
        type_ = " ANY" if is_strict else ""
        unique = " UNIQUE" if random.random() < 0.2 else ""
        reference = " " + _references(random, schema, name) if random.random() < 0.15 else ""
        columns.append(f"gg{type_} AS ({expression}){random.choice((' STORED', ' VIRTUAL', ''))}{unique}{reference}")
    if "PRIMARY" not in key and random.random() < 0.5:
        key = f"PRIMARY KEY ({', '.join(random.sample(used, 2))})"
        columns.append(key + _on_conflict(random))
    if len(used) > 2 and random.random() < 0.2:
        columns.append(f"UNIQUE ({', '.join(random.sample(used[1:], 2))}){_on_conflict(random)}")
    if random.random() < 0.5:
        columns += _composite_foreign_key(random, schema, used)
    if random.random() < 0.15:
        columns.append(f"CONSTRAINT ck_{name} CHECK ({random.choice(used[1:])} IS NOT 5)")
    has_rowid = "PRIMARY" not in key or "AUTOINCREMENT" in key or random.random() > 0.15
    options = ["WITHOUT ROWID"] * (not has_rowid) + ["STRICT"] * is_strict
    return f"CREATE TABLE {name} ({', '.join(columns)}) {', '.join(options)}".rstrip()


def _on_conflict(random: Random) -> str:
    """Return the conflict clause of a constraint, which few have. None fails: what it leaves depends on the order."""
    return f" ON CONFLICT {random.choice(('REPLACE', 'IGNORE', 'ROLLBACK', 'ABORT'))}" if random.random() < 0.05 else ""


def _column(random: Random, schema: Schema, table: str, name: str, types: Sequence[str] = _TYPES) -> str:
    type_ = random.choice(types)
    parts = [f"{name} {type_}".rstrip()]
    if random.random() < 0.12:
        default = "" if types is _STRICT_TYPES else f" DEFAULT {literal(random.choice((1, 'a')))}"
        parts.append("NOT NULL" + _on_conflict(random) + random.choice(("", default)))
    elif random.random() < 0.15 and types is not _STRICT_TYPES:
        parts.append(f"DEFAULT {literal(value(random, type_))}")
    if random.random() < 0.12:
        parts.append("UNIQUE" + _on_conflict(random))
    if random.random() < 0.08:
        parts.append(f"CHECK ({name} IS NOT 4)")
    if random.random() < 0.3:
        parts.append(_references(random, schema, table))
    return " ".join(part for part in parts if part)


def _references(random: Random, schema: Schema, table: str) -> str:
    parents = [relation.name for relation in schema.tables] + [table]
    if random.random() < 0.05:
        parents = ["nowhere", *_free_names({relation.name for relation in schema.relations})]
    parent = random.choice(parents)
    keys = [
        f" ({key[0]})" for relation in schema.tables for key in relation.keys if relation.name == parent and not key[1:]
    ]
    column = random.choice(("", "", " (id)", *keys))
    # Not both kinds in one table: where an immediate one fails, SQLite's count of deferred violations may stay wrong.
    deferred = " DEFERRABLE INITIALLY DEFERRED" if table in "yz" else ""
    return f"REFERENCES {parent}{column}{_actions(random)}{deferred}"


def _composite_foreign_key(random: Random, schema: Schema, columns: list[str]) -> list[str]:
    """Return a foreign key of several columns, if a table has a key of several columns."""
    keys = [(table, key) for table in schema.tables for key in table.keys if len(key) > 1]
    if not keys or len(columns) < 2:
        return []
    table, key = random.choice(keys)
    named = f" ({', '.join(key)})"
    return [f"FOREIGN KEY ({', '.join(random.sample(columns, 2))}) REFERENCES {table.name}{named}{_actions(random)}"]


def _actions(random: Random) -> str:
    chosen = (("DELETE", random.choice(_ON_DELETE)), ("UPDATE", random.choice(_ON_UPDATE)))
    return "".join(f" ON {event} {action}" for event, action in chosen if action)


def _free_names(taken: set[str]) -> list[str]:
    return [name for name in "tuvwxyz" if name not in taken] or ["t"]


def _free(random: Random, letters: str, taken: set[str]) -> str:
    free = [letter for letter in letters if letter not in taken]
    return random.choice(free) if free and random.random() < 0.97 else random.choice(letters)


def _some_column(random: Random, table: Relation) -> str:
    return random.choice(table.columns).name


def create_index(random: Random, schema: Schema, table: Relation) -> str:
    """Return a CREATE INDEX; of columns or expressions, unique or partial."""
    name = _free(random, "ijklmn", set(schema.indexes))
    terms = []
    for column in random.sample(table.columns, min(len(table.columns), random.randint(1, 2))):
        draw = random.random()
        if draw < 0.15:
            terms.append(random.choice(("lower({})", "{} + 1", "coalesce({}, 2)", "typeof({})")).format(column.name))
        elif draw < 0.3:
            terms.append(f"{column.name} COLLATE {random.choice(('NOCASE', 'NOCASE', 'RTRIM', 'BINARY'))}")
        else:
            terms.append(column.name + random.choice(("", "", " DESC")))
    unique = "UNIQUE " if random.random() < 0.25 else ""
    predicate = random.choice(("IS NOT NULL", "IS NOT NULL", "IS NULL", "> 1", "<> 'a'", "= 1"))
    where = f" WHERE {_some_column(random, table)} {predicate}" if random.random() < 0.25 else ""
    return f"CREATE {unique}INDEX {name} ON {table.name} ({', '.join(terms)}){where}"


def _add_column(random: Random, schema: Schema, table: Relation) -> str:
    taken = {column.name for column in table.columns}
    name = _free(random, _NAMES, taken)
    if random.random() < 0.1:
        return f"ALTER TABLE {table.name} ADD COLUMN {name} AS ({_some_column(random, table)})"
    return f"ALTER TABLE {table.name} ADD COLUMN {_column(random, schema, table.name, name)}"


def _rename_column(random: Random, _schema: Schema, table: Relation) -> str:
    name = _free(random, _NAMES, {column.name for column in table.columns})
    return f"ALTER TABLE {table.name} RENAME COLUMN {_some_column(random, table)} TO {name}"


def _drop_column(random: Random, _schema: Schema, table: Relation) -> str:
    return f"ALTER TABLE {table.name} DROP COLUMN {_some_column(random, table)}"


def _rename_table(random: Random, schema: Schema, table: Relation) -> str:
    return f"ALTER TABLE {table.name} RENAME TO {_free(random, 'tuvwxyz', {each.name for each in schema.relations})}"


def _create_view(random: Random, schema: Schema, table: Relation) -> str:
    name = _free(random, "pqr", {relation.name for relation in schema.relations})
    other = random.choice(schema.relations)
    one, two = _some_column(random, table), _some_column(random, other)
    draw = random.random()
    if draw < 0.25 and other.name != table.name:
        joined = f"{table.name} o JOIN {other.name} i ON o.{one} = i.{two}"
        return f"CREATE VIEW {name} AS SELECT o.{one} AS a, i.{two} AS b FROM {joined}"
    if draw < 0.35:
        # Of equal values that are not the same, GROUP BY may keep any.
        return f"CREATE VIEW {name} AS SELECT typeof({two}) AS a, count(*) AS b FROM {other.name} GROUP BY 1"
    if draw < 0.5:
        operator = random.choice(("UNION ALL", "UNION", "EXCEPT"))
        terms = [f"SELECT quote({column}) AS a FROM {source.name}" for column, source in ((one, table), (two, other))]
        return f"CREATE VIEW {name} (a) AS {terms[0]} {operator} {terms[1]}"
    columns = ", ".join(column.name for column in random.sample(other.columns, min(len(other.columns), 2)))
    return f"CREATE VIEW {name} AS SELECT {columns} FROM {other.name}"


def _create_table_as(random: Random, schema: Schema, table: Relation) -> str:
    name = _free(random, "tuvwxyz", {relation.name for relation in schema.relations})
    columns = ", ".join(column.name for column in random.sample(table.columns, min(len(table.columns), 3)))
    return f"CREATE TABLE {name} AS SELECT {columns} FROM {table.name}"


def _create_trigger(random: Random, schema: Schema, table: Relation) -> str:
    name = _free(random, "ABCDE", set(schema.triggers))
    if schema.views and random.random() < 0.25:
        view = random.choice(schema.views)
        event = random.choice(("INSERT", "INSERT", "UPDATE", f"UPDATE OF {_some_column(random, view)}", "DELETE"))
        given = f"{'old' if event == 'DELETE' else 'new'}.{_some_column(random, view)}"
        action = random.choice(_trigger_actions(random, schema, table, given)[:2])
        return f"CREATE TRIGGER {name} INSTEAD OF {event} ON {view.name} BEGIN {action}; END"
    event = random.choice(("INSERT", "UPDATE", f"UPDATE OF {_some_column(random, table)}", "DELETE"))
    row = "old" if event == "DELETE" else "new"
    when = f" WHEN {row}.{_some_column(random, table)} > 1" if random.random() < 0.3 else ""
    given = f"{row}.{_some_column(random, table)}"
    time = random.choice(("AFTER", "BEFORE", "AFTER"))
    if random.random() < 0.07:
        time = "BEFORE"
        refusal = random.choice(("ABORT, 'refused'", "IGNORE", "FAIL, 'refused'", "ROLLBACK, 'refused'"))
        action = f"SELECT RAISE({refusal})"
    else:
        target = random.choice(schema.tables)
        actions = _trigger_actions(random, schema, target, given)
        action = "; ".join(random.sample(actions, random.choice((1, 1, 2))))
    return f"CREATE TRIGGER {name} {time} {event} ON {table.name}{when} BEGIN {action}; END"


def _trigger_actions(random: Random, schema: Schema, target: Relation, given: str) -> list[str]:
    """Return statements that change a table by a value of the row for which a trigger fires.

    Keys are always given: ids that ROME assigns may have gaps.
    """
    column = (target.key or target.written or target.columns)[0].name
    changed = random.choice(target.written or target.columns).name
    other, filtered = random.choice(schema.relations), _some_column(random, target)
    one, two = _some_column(random, other), _some_column(random, other)
    insert = f"INSERT OR IGNORE INTO {target.name} ({column})"
    return [
        f"{insert} VALUES (coalesce({given}, 3))",
        f"DELETE FROM {target.name} WHERE {filtered} = {given}",
        f"UPDATE {target.name} SET {changed} = 1 WHERE {filtered} = {given}",
        f"{insert} SELECT coalesce(s.{one}, 3) FROM {other.name} s WHERE s.{two} = {given}",
        f"DELETE FROM {target.name} WHERE {filtered} IS NULL",
    ]


def _drop(random: Random, schema: Schema, table: Relation) -> str:
    choices = [f"DROP INDEX {name}" for name in schema.indexes] + [f"DROP TRIGGER {name}" for name in schema.triggers]
    choices += [f"DROP VIEW {view.name}" for view in schema.views]
    if not choices or random.random() < 0.3:
        return f"DROP TABLE {table.name}"
    return random.choice(choices)


_MAKERS = {
    create_index: 5,
    _add_column: 5,
    _create_trigger: 5,
    _create_view: 2,
    _rename_column: 2,
    _drop_column: 2,
    _drop: 2,
    _rename_table: 1,
    _create_table_as: 1,
}
"""Generators of schema changes, each with its weight."""
