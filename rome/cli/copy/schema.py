"""What a conversion of a schema is from and to, and what is found out on the way."""

from __future__ import annotations

from sqlalchemy import Connection, Table, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import Enum, String

from rome.cli.copy.databases import is_native
from rome.cli.copy.translate import translated


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
        texts = {column.name for table in tables for column in table.columns if isinstance(column.type, (String, Enum))}
        return translated(sql, self.source, self.target, texts, self._schema)


def first_line(error: SQLAlchemyError) -> str:
    """Return the first line of a database's message."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
