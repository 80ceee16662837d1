"""What a CREATE, DROP or ALTER statement changes, told from its tokens."""

from __future__ import annotations

from dataclasses import dataclass

from rome.sql.syntax.tokens import TokenReader


@dataclass(frozen=True, slots=True)
class Alteration:
    """What ALTER TABLE does. `action` is one of the constants of this class."""

    RENAME_TABLE = "rename table"
    RENAME_COLUMN = "rename column"
    ADD_COLUMN = "add column"
    DROP_COLUMN = "drop column"
    OTHER = "other"
    """What SQLite may know and this module does not: the new schema tells what it did."""

    action: str
    column: str | None = None
    """The column that is renamed, added or dropped, as it is written."""
    new_name: str | None = None
    """The new name of the table or column, as it is written."""


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """A change of the schema."""

    action: str
    """`create`, `drop` or `alter`."""
    type: str
    """`table`, `index`, `view` or `trigger`."""
    schema: str | None
    """In lower case."""
    name: str
    """As it is written, without quotes."""
    table: str | None = None
    """In lower case, the table that is concerned: the table itself, or that of a created index or trigger."""
    temporary: bool = False
    if_exists: bool = False
    """IF EXISTS or IF NOT EXISTS stands there."""
    as_select: bool = False
    """CREATE TABLE … AS SELECT."""
    virtual: bool = False
    unique: bool = False
    alteration: Alteration | None = None


def read_change(reader: TokenReader) -> SchemaChange | None:
    """The change that begins at the reader's place; None if it is not formed as one."""
    action = reader.take_any("CREATE", "DROP", "ALTER").lower()
    temporary = bool(reader.take_any("TEMP", "TEMPORARY"))
    unique = reader.take("UNIQUE")
    virtual = reader.take("VIRTUAL")
    kind = reader.take_any("TABLE", "INDEX", "VIEW", "TRIGGER").lower()
    if_exists = reader.take("IF", "NOT", "EXISTS") or reader.take("IF", "EXISTS")
    schema, name = reader.qualified_name()
    if not kind or name is None:
        return None
    table: str | None = name.lower() if kind == "table" else None
    if action == "create" and kind in ("index", "trigger"):
        table = _table_of(reader)
    return SchemaChange(
        action,
        kind,
        schema,
        name,
        table,
        temporary=temporary or schema == "temp",
        if_exists=if_exists,
        as_select=action == "create" and kind == "table" and reader.sees("AS"),
        virtual=virtual,
        unique=unique,
        alteration=_read_alteration(reader) if action == "alter" else None,
    )


def _table_of(reader: TokenReader) -> str | None:
    """Step to behind `ON table`; the table in lower case."""
    while not reader.done and not reader.take("ON"):
        reader.at += 1
    name = reader.qualified_name()[1]
    return name.lower() if name is not None else None


def _read_alteration(reader: TokenReader) -> Alteration:
    if reader.take("RENAME", "TO"):
        return Alteration(Alteration.RENAME_TABLE, new_name=reader.name())
    if reader.take("RENAME"):
        reader.take("COLUMN")
        column = reader.name()
        reader.take("TO")
        return Alteration(Alteration.RENAME_COLUMN, column, reader.name())
    if reader.sees("ADD", "CONSTRAINT") or reader.sees("ADD", "CHECK") or reader.sees("DROP", "CONSTRAINT"):
        return Alteration(Alteration.OTHER)
    for verb, action in (("ADD", Alteration.ADD_COLUMN), ("DROP", Alteration.DROP_COLUMN)):
        if reader.take(verb):
            reader.take("COLUMN")
            return Alteration(action, reader.name())
    return Alteration(Alteration.OTHER)
