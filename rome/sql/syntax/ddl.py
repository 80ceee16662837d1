"""DDL: what a CREATE, DROP or ALTER statement changes, read from its tokens.

ALTER TABLE t RENAME COLUMN a TO b

SchemaChange("alter", "table", None, "t", "t", alteration=Alteration("rename column", "a", "b"))
"""

from __future__ import annotations

from dataclasses import dataclass

from rome.folding import fold_name
from rome.sql.syntax.tokens import TokenKind, TokenReader


@dataclass(frozen=True, slots=True)
class Alteration:
    """A change by ALTER TABLE. `action` is one of the constants of this class."""

    RENAME_TABLE = "rename table"
    RENAME_COLUMN = "rename column"
    ADD_COLUMN = "add column"
    DROP_COLUMN = "drop column"
    OTHER = "other"
    """A form that this module does not know: the difference of the schemas shows what it changed."""

    action: str
    column: str | None = None
    """The column that is renamed, added or dropped, as written."""
    new_name: str | None = None
    """The new name of the table or column, as written."""


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
    """As written, without quotes."""
    table: str | None = None
    """In lower case, the table itself, or the table of a created index or trigger."""
    temporary: bool = False
    as_select: bool = False
    """True for CREATE TABLE … AS SELECT."""
    virtual: bool = False
    alteration: Alteration | None = None


def read_schema_change(reader: TokenReader) -> SchemaChange | None:
    """Return the change that begins at the reader's position; None if it is malformed."""
    action = reader.take_any("CREATE", "DROP", "ALTER").lower()
    temporary = bool(reader.take_any("TEMP", "TEMPORARY"))
    reader.take("UNIQUE")
    virtual = reader.take("VIRTUAL")
    kind = reader.take_any("TABLE", "INDEX", "VIEW", "TRIGGER").lower()
    if not reader.take("IF", "NOT", "EXISTS"):
        reader.take("IF", "EXISTS")
    schema, name = reader.qualified_name()
    if not kind or name is None:
        return None
    table: str | None = fold_name(name) if kind == "table" else None
    if action == "create" and kind in ("index", "trigger"):
        table = _table_after_on(reader)
    return SchemaChange(
        action,
        kind,
        schema,
        name,
        table,
        temporary=temporary or schema == "temp",
        as_select=action == "create" and kind == "table" and reader.sees("AS"),
        virtual=virtual,
        alteration=_read_alteration(reader) if action == "alter" else None,
    )


def _table_after_on(reader: TokenReader) -> str | None:
    """Step over `… ON table`; return the table in lower case."""
    reader.skip_to("ON")
    reader.take("ON")
    name = reader.qualified_name()[1]
    return fold_name(name) if name is not None else None


def skip_trigger_head(reader: TokenReader) -> None:
    """Step over `CREATE TRIGGER … ON table [FOR EACH ROW] [WHEN condition] BEGIN`, to the trigger's first statement."""
    _table_after_on(reader)
    reader.take("FOR", "EACH", "ROW")
    if reader.take("WHEN"):
        _skip_condition(reader)
    reader.take("BEGIN")


_NEEDS_OPERAND = frozenset(
    {
        *("AND", "OR", "NOT", "IS", "DISTINCT", "FROM", "IN", "LIKE", "GLOB", "REGEXP", "MATCH", "BETWEEN", "ESCAPE"),
        *("COLLATE", "CASE", "WHEN", "THEN", "ELSE"),
    }
)
"""The keywords of an expression that an operand follows."""
_RESERVED = frozenset({"NOT", "DISTINCT", "FROM", "CASE", "WHEN", "THEN", "ELSE"})
"""Those of them that are never names, and so may come where an operand is due."""


def _skip_condition(reader: TokenReader) -> None:
    """Step to the BEGIN after an expression. Where an operand is due, the word is a name: SQLite does not reserve it.

    WHEN new.begin IS NOT begin AND CASE begin WHEN 1 THEN 2 END BEGIN …
    """
    is_operand_due = True
    while not reader.done and (is_operand_due or not reader.sees("BEGIN")):
        token = reader.token
        is_operator = token.kind is TokenKind.OP and not token.is_op("(")
        is_keyword = token.word() in (_RESERVED if is_operand_due else _NEEDS_OPERAND)
        is_operand_due = is_operator or is_keyword
        reader.skip_group()


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
