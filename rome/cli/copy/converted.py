"""Copies from or to other databases: the reflected schema, with types that both databases have.

Primary keys, unique constraints, foreign keys, indexes of columns and simple defaults are copied. CHECK constraints,
views and triggers are not, as their SQL is that of the source. A column of a type that SQLAlchemy knows only for one
database becomes text, an array becomes JSON, and a time with a zone becomes UTC without one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    CheckConstraint,
    Connection,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.schema import AddConstraint, DefaultClause
from sqlalchemy.types import String, TypeEngine

from rome.cli.copy.databases import is_native
from rome.cli.copy.mysql import fit_types, is_mysql
from rome.cli.copy.plan import CopyPlan, TableCopy
from rome.folding import fold_name
from rome.sql.syntax.tokens import TokenKind, TokenReader


def plan_converted(source: Connection, target: Connection, only: Collection[str]) -> CopyPlan:
    """Return the plan of a copy between databases of different dialects."""
    reflected, made = MetaData(), MetaData()
    names = [name for name in inspect(source).get_table_names() if not only or fold_name(name) in only]
    reflected.reflect(source, only=names, resolve_fks=False)
    notes: list[str] = []
    tables = [table for table in reflected.sorted_tables if table.name in names]
    for table in tables:
        copied = table.to_metadata(made)
        _convert(copied, notes)
        if is_native(source.engine):
            _widen_integers(copied)
        if is_mysql(target):
            fit_types(copied, notes)
    foreign_keys = [] if is_native(target.engine) else _take_foreign_keys(made)
    views = inspect(source).get_view_names()
    if views:
        notes.append(f"views are not copied between these databases: {', '.join(views)}")

    def finish(connection: Connection) -> None:
        present = inspect(connection)
        for constraint in foreign_keys:
            known = [each["constrained_columns"] for each in present.get_foreign_keys(constraint.table.name)]
            if constraint.column_keys not in known:
                connection.execute(AddConstraint(constraint))
        if connection.dialect.name == "postgresql":
            _set_sequences(connection, made)

    copies = [TableCopy(table, made.tables[table.name], _key_of(table)) for table in tables]
    return CopyPlan(copies, made.create_all, finish, notes)


def _key_of(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key.columns)


def _convert(table: Table, notes: list[str]) -> None:
    """Give a copy of a reflected table types and defaults that every database has."""
    for column in table.columns:
        column.type = _generic(column.type)
        default = column.server_default
        column.server_default = None
        if isinstance(default, DefaultClause):
            constant = _constant_of(str(default.arg).replace("now()", "CURRENT_TIMESTAMP"))
            if constant:
                column.server_default = DefaultClause(text(constant))
            elif "nextval" not in str(default.arg):
                notes.append(f"the default of {table.name}.{column.name} is not copied: {default.arg}")
    for constraint in [each for each in table.constraints if isinstance(each, CheckConstraint)]:
        table.constraints.discard(constraint)
        notes.append(f"a CHECK constraint of {table.name} is not copied: {constraint.sqltext}")
    for index in list(table.indexes):
        if len(index.expressions) != len(index.columns) or _is_partial(index):
            table.indexes.discard(index)
            notes.append(f"the index {index.name} of {table.name} is not copied: it is partial or has expressions")


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


def _widen_integers(table: Table) -> None:
    """Let the columns that are INTEGER in SQLite's dialect have 64 bits, as they have there."""
    for column in table.columns:
        if type(column.type) is Integer:
            column.type = BigInteger()


def _is_partial(index: Any) -> bool:
    return any(name.endswith("_where") and value is not None for name, value in index.dialect_kwargs.items())


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


def _take_foreign_keys(metadata: MetaData) -> list[ForeignKeyConstraint]:
    """Remove all foreign keys from tables, to be added after the rows. Return them."""
    taken: list[ForeignKeyConstraint] = []
    for table in metadata.tables.values():
        for constraint in [each for each in table.constraints if isinstance(each, ForeignKeyConstraint)]:
            table.constraints.discard(constraint)
            taken.append(constraint)
    return taken


def _set_sequences(connection: Connection, metadata: MetaData) -> None:
    """Set the sequences of PostgreSQL beyond the ids of rows."""
    for table in metadata.tables.values():
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = func.pg_get_serial_sequence(connection.dialect.identifier_preparer.quote(table.name), column.name)
        highest = select(func.max(column)).scalar_subquery()
        connection.execute(select(func.setval(sequence, func.coalesce(highest, 1))))
