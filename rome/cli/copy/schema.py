"""The conversion of a schema: its dialects, and its notes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import Integer, String, TypeEngine

from rome.cli.copy.databases import is_native
from rome.cli.copy.translate import Kind, translated


class Conversion:
    """One conversion. `source` and `target` are the names of dialects."""

    def __init__(self, source: Connection, target: Connection) -> None:
        self.source = source.dialect.name
        self.target = target.dialect.name
        self.from_sqlite = is_native(source.engine)
        self.to_sqlite = is_native(target.engine)
        self.notes: list[str] = []
        """A sentence on each thing that the target will lack."""
        self.commented: list[str] = []
        """Tables and columns whose comments are not copied."""
        self._schema: str | None = inspect(source).default_schema_name

    def note(self, sentence: str) -> None:
        """Add a sentence."""
        self.notes.append(sentence)

    def translate(self, sql: str, *tables: Table) -> str:
        """Return an expression or a SELECT on some tables in the SQL of the target. Raise Untranslatable."""
        kinds: dict[str, Kind] = {}
        for column in (column for table in tables for column in table.columns):
            kind = _kind_of(getattr(column.type, "data_type", column.type))  # of a domain of PostgreSQL
            same = kinds.setdefault(column.name, kind) is kind
            if not same:
                kinds[column.name] = Kind.TEXT if Kind.TEXT in (kind, kinds[column.name]) else Kind.OTHER
        return translated(sql, self.source, self.target, kinds, self._schema)


def _kind_of(kind: TypeEngine[Any]) -> Kind:
    if isinstance(kind, String):  # an enumeration, too
        return Kind.TEXT
    return Kind.INTEGER if isinstance(kind, Integer) else Kind.OTHER


def first_line(error: SQLAlchemyError) -> str:
    """Return the first line of a database's message."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
