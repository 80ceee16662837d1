"""The columns of a copied table: types and defaults that both databases have, generated columns, enumerations."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, JSON, BigInteger, CheckConstraint, Column, Computed, Enum, Integer, Table, Text, text
from sqlalchemy.schema import DefaultClause
from sqlalchemy.types import String, TypeEngine

from rome.cli.copy.schema import Conversion
from rome.cli.copy.translate import Untranslatable
from rome.sql.syntax.tokens import TokenKind, TokenReader


def convert_columns(table: Table, conversion: Conversion) -> None:
    """Give the columns of a copy of a reflected table types and defaults that the target has."""
    for column in table.columns:
        _convert_type(table, column, conversion)
        if column.identity is not None:
            column.identity = column.server_default = None
            if not column.primary_key:
                conversion.note(f"{table.name}.{column.name} is no identity column in the copy: INSERT must give it")
        elif column.computed is not None:
            _convert_computed(table, column, conversion)
        else:
            _convert_default(table, column, conversion)
        if column.comment and conversion.to_sqlite:
            conversion.commented.append(f"{table.name}.{column.name}")
            column.comment = None
    if table.comment and conversion.to_sqlite:
        conversion.commented.append(table.name)
        table.comment = None


def _convert_type(table: Table, column: Column[Any], conversion: Conversion) -> None:
    kind = column.type
    if type(kind).__name__ == "DOMAIN":
        if getattr(kind, "check", None) is not None:
            conversion.note(f"the CHECK constraint of {table.name}.{column.name}'s domain {kind.name} is not copied")  # type: ignore[attr-defined]
        kind = kind.data_type  # type: ignore[attr-defined]
    column.type = generic = _generic(kind)
    if isinstance(generic, Text) and not isinstance(kind, String):
        conversion.note(f"{table.name}.{column.name} holds texts: only {conversion.source} has the type {kind!r}")
    if isinstance(generic, Enum):
        generic.name = generic.name or f"{table.name}_{column.name}"
        if conversion.to_sqlite:
            table.append_constraint(CheckConstraint(column.in_(generic.enums)))
    if conversion.from_sqlite and type(generic) is Integer:
        column.type = BigInteger()  # it has 64 bits there


def _generic(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    if isinstance(kind, (ARRAY, JSON)):
        return JSON()
    try:
        generic = kind.as_generic()
    except NotImplementedError:
        return Text()
    if isinstance(generic, String):
        generic.collation = None
    return generic


def _convert_computed(table: Table, column: Column[Any], conversion: Conversion) -> None:
    computed: Any = column.computed
    column.computed = column.server_default = column.server_onupdate = None
    try:
        sql = conversion.translate(str(computed.sqltext), table)
    except Untranslatable as error:
        conversion.note(f"{table.name}.{column.name} is not generated in the copy, but holds its values: {error}")
        return
    made = Computed(text(sql.replace(":", "\\:")), persisted=computed.persisted or conversion.target == "postgresql")
    made.column = column
    column.computed = column.server_default = column.server_onupdate = made


def _convert_default(table: Table, column: Column[Any], conversion: Conversion) -> None:
    default: Any = column.server_default
    column.server_default = None
    if not isinstance(default, DefaultClause):
        return
    shown = str(default.arg)
    constant = _constant_of(shown.replace("now()", "CURRENT_TIMESTAMP"))
    if constant:
        column.server_default = DefaultClause(text(constant))
    elif "nextval" not in shown:
        conversion.note(f"the default of {table.name}.{column.name} is not copied: {shown}")
    elif not column.primary_key:
        conversion.note(f"{table.name}.{column.name} takes no numbers of a sequence in the copy: {shown}")


def _constant_of(default: str) -> str:
    """Return the constant or the present time that a default is, without a cast (`'x'::text`); "" for any other."""
    reader = TokenReader(default)
    is_negative = reader.take("-")
    token, word = reader.token, reader.token.word()
    is_constant = token.kind is TokenKind.NUMBER or (
        not is_negative and (token.kind is TokenKind.STRING or word in ("TRUE", "FALSE") or word.startswith("CURRENT_"))
    )
    is_whole = reader.at + 1 == len(reader.tokens) or default.startswith("::", token.end)
    return default[: token.end].strip() if is_constant and is_whole else ""
