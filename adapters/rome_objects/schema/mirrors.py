"""Mirrors: two forms of the same data, one for each release.

    Columns(
        "instances",
        old={"size": "cores || 'x' || memory"},
        new={"cores": "CAST(substr(size, 1, instr(size, 'x') - 1) AS INTEGER)",
             "memory": "CAST(substr(size, instr(size, 'x') + 1) AS INTEGER)"},
    )
    Move("events", "actions", {"id": "id", "instance": "instance", "text": "message"})

The expressions are SQL. Between expand and contract, triggers compute the columns of one side when the other side is
written, so neither release knows of the other. A row that existed before has NULL in all its new columns, or is
missing in the new table, until it is migrated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rome_objects.rows.query import any_of

Key = Sequence[Any]
"""The values of a primary key."""


@dataclass(frozen=True)
class Columns:
    """Columns that the new release has in place of others of the same table.

    `old` are the old columns, each with its value as an expression of the new columns; `new` is the reverse.
    """

    table: str
    old: Mapping[str, str]
    new: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return the name of the mirror within its release."""
        return f"{self.table}.{'+'.join(self.new)}"

    @property
    def source(self) -> str:
        """Return the table whose rows are migrated."""
        return self.table

    @property
    def target(self) -> str:
        """Return the table that the new release reads."""
        return self.table

    def source_key(self, key: Sequence[str]) -> list[str]:
        """Return the columns of the old form that are the primary key `key` of the new form."""
        return list(key)

    def uses(self, columns: Iterable[str]) -> bool:
        """Return whether a condition on these columns needs rows that are migrated."""
        return any(column in self.new for column in columns)

    def fill(self, key: Sequence[str], rows: Sequence[Key]) -> sa.Update:
        """Return the statement that migrates the rows with these keys, except those that are migrated already."""
        table = sa.table(self.table, *map(sa.column, (*key, *self.new)))
        return (
            sa.update(table)
            .values({name: sa.literal_column(expression) for name, expression in self.new.items()})
            .where(any_of([table.c[name] for name in key], rows), *(table.c[name].is_(None) for name in self.new))
        )


@dataclass(frozen=True)
class Move:
    """A table that the new release has in place of another one.

    `columns` are the columns of the old table that the new one has, each with its new name.
    """

    old: str
    new: str
    columns: Mapping[str, str]

    @property
    def name(self) -> str:
        """Return the name of the mirror within its release."""
        return f"{self.old}→{self.new}"

    @property
    def source(self) -> str:
        """Return the table whose rows are migrated."""
        return self.old

    @property
    def target(self) -> str:
        """Return the table that the new release reads."""
        return self.new

    def source_key(self, key: Sequence[str]) -> list[str]:
        """Return the columns of the old form that are the primary key `key` of the new form."""
        old_names = {new: old for old, new in self.columns.items()}
        return [old_names[name] for name in key]

    def uses(self, columns: Iterable[str]) -> bool:
        """Return whether a condition on these columns needs rows that are migrated: rows are missing until then."""
        return True

    def fill(self, key: Sequence[str], rows: Sequence[Key]) -> sa.Insert:
        """Return the statement that migrates the rows with these keys, except those that are migrated already."""
        old = sa.table(self.old, *map(sa.column, self.columns))
        new = sa.table(self.new, *map(sa.column, self.columns.values()))
        exists = sa.exists().where(*(new.c[self.columns[name]] == old.c[name] for name in key))
        select = sa.select(*old.c).where(any_of([old.c[name] for name in key], rows), ~exists)
        return sa.insert(new).from_select(list(self.columns.values()), select)


Mirror = Columns | Move
