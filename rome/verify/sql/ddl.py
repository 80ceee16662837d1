"""Schema changes."""

from __future__ import annotations

from random import Random

from rome.verify.sql.schema import Relation, Schema
from rome.verify.sql.values import literal, value

_TYPES = ("INTEGER", "INT", "TEXT", "REAL", "NUMERIC", "BLOB", "", "VARCHAR(9)", "TEXT COLLATE NOCASE", "BOOLEAN")
_ACTIONS = (
    *("", "", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON DELETE RESTRICT", " ON DELETE SET DEFAULT"),
    *(" ON UPDATE CASCADE", " ON DELETE CASCADE ON UPDATE CASCADE", " ON UPDATE SET NULL"),
)
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
    key = random.choice(
        ("id INTEGER PRIMARY KEY",) * 6 + ("id TEXT PRIMARY KEY", "id PRIMARY KEY", "id INT NOT NULL PRIMARY KEY", "id")
    )
    columns = [key]
    used = ["id"]
    for letter in random.sample(_NAMES, random.randint(1, 4)):
        columns.append(_column(random, schema, name, letter))
        used.append(letter)
    if random.random() < 0.2:
        # No text that is not UTF-8: SQLite stores what `||` makes of a blob, ROME does not.
        expression = random.choice(("{}", "{} + 1", "hex({})")).format(random.choice(used))
        columns.append(f"gg AS ({expression}) {random.choice(('STORED', 'VIRTUAL', ''))}".rstrip())
    if "PRIMARY" not in key and random.random() < 0.5:
        key = f"PRIMARY KEY ({', '.join(random.sample(used, 2))})"
        columns.append(key)
    if len(used) > 2 and random.random() < 0.2:
        columns.append(f"UNIQUE ({', '.join(random.sample(used[1:], 2))})")
    if random.random() < 0.5:
        columns += _composite_foreign_key(random, schema, used)
    if random.random() < 0.15:
        columns.append(f"CONSTRAINT ck_{name} CHECK ({random.choice(used[1:])} IS NOT 5)")
    without_rowid = " WITHOUT ROWID" if "PRIMARY" in key and random.random() < 0.15 else ""
    return f"CREATE TABLE {name} ({', '.join(columns)}){without_rowid}"


def _column(random: Random, schema: Schema, table: str, name: str) -> str:
    type_ = random.choice(_TYPES)
    parts = [f"{name} {type_}".rstrip()]
    if random.random() < 0.12:
        parts.append("NOT NULL" + random.choice(("", f" DEFAULT {literal(random.choice((1, 'a')))}")))
    elif random.random() < 0.15:
        parts.append(f"DEFAULT {literal(value(random, type_))}")
    if random.random() < 0.12:
        parts.append("UNIQUE")
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
    column = random.choice(("", "", " (id)"))
    # Not both kinds in one table: where an immediate one fails, SQLite's count of deferred violations may stay wrong.
    deferred = " DEFERRABLE INITIALLY DEFERRED" if table in "yz" else ""
    return f"REFERENCES {parent}{column}{random.choice(_ACTIONS)}{deferred}"


def _composite_foreign_key(random: Random, schema: Schema, columns: list[str]) -> list[str]:
    """Return a foreign key of several columns, if a table has a key of several columns."""
    keys = [(table, key) for table in schema.tables for key in table.keys if len(key) > 1]
    if not keys or len(columns) < 2:
        return []
    table, key = random.choice(keys)
    named = f" ({', '.join(key)})"
    return [
        f"FOREIGN KEY ({', '.join(random.sample(columns, 2))}) REFERENCES {table.name}{named}{random.choice(_ACTIONS)}"
    ]


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
        if draw < 0.1:
            terms.append(f"lower({column.name})")
        elif draw < 0.25:
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
    columns = ", ".join(column.name for column in random.sample(table.columns, min(len(table.columns), 2)))
    other = random.choice(schema.tables)
    if other.name != table.name and random.random() < 0.3:
        one, two = _some_column(random, table), _some_column(random, other)
        joined = f"{table.name} o JOIN {other.name} i ON o.{one} = i.{two}"
        return f"CREATE VIEW {name} AS SELECT o.{one} AS a, i.{two} AS b FROM {joined}"
    return f"CREATE VIEW {name} AS SELECT {columns} FROM {table.name}"


def _create_table_as(random: Random, schema: Schema, table: Relation) -> str:
    name = _free(random, "tuvwxyz", {relation.name for relation in schema.relations})
    columns = ", ".join(column.name for column in random.sample(table.columns, min(len(table.columns), 3)))
    return f"CREATE TABLE {name} AS SELECT {columns} FROM {table.name}"


def _create_trigger(random: Random, schema: Schema, table: Relation) -> str:
    name = _free(random, "ABCDE", set(schema.triggers))
    if schema.views and random.random() < 0.25:
        view = random.choice(schema.views)
        column = (table.key or table.written or table.columns)[0].name
        return (
            f"CREATE TRIGGER {name} INSTEAD OF INSERT ON {view.name} BEGIN "
            f"INSERT OR IGNORE INTO {table.name} ({column}) VALUES (coalesce(new.{_some_column(random, view)}, 3)); END"
        )
    event = random.choice(("INSERT", "UPDATE", f"UPDATE OF {_some_column(random, table)}", "DELETE"))
    row = "old" if event == "DELETE" else "new"
    target = random.choice(schema.tables)
    when = f" WHEN {row}.{_some_column(random, table)} > 1" if random.random() < 0.3 else ""
    given = f"{row}.{_some_column(random, table)}"
    key = [column.name for column in target.key]  # always given: ids that ROME assigns may have gaps
    columns = key or [random.choice(target.written).name] if target.written else ["id"]
    actions = [
        f"INSERT OR IGNORE INTO {target.name} ({columns[0]}) VALUES (coalesce({given}, 3))",
        f"DELETE FROM {target.name} WHERE {_some_column(random, target)} = {given}",
        f"SELECT RAISE({random.choice(('ABORT', 'IGNORE', 'FAIL', 'ROLLBACK'))}, 'refused')"
        if random.random() < 0.3
        else f"DELETE FROM {target.name} WHERE {_some_column(random, target)} IS NULL",
    ]
    action = random.choice(actions).replace("RAISE(IGNORE, 'refused')", "RAISE(IGNORE)")
    time = "BEFORE" if "RAISE" in action else random.choice(("AFTER", "BEFORE", "AFTER"))
    return f"CREATE TRIGGER {name} {time} {event} ON {table.name}{when} BEGIN {action}; END"


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
