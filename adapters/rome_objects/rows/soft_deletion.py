"""Soft deletion: destroying an object marks its row as deleted and keeps it.

A table whose rows are deleted so has the columns `deleted` and `deleted_at`. A row that is not deleted has `deleted`
0, false or an empty text. The mark is the row's own key if the types allow it, as in oslo.db's SoftDeleteMixin: so a
unique key of a name and `deleted` admits one live row of a name, and any number of deleted ones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from rome_objects.rows.mapping import to_column


class SoftDeletion:
    """How a table marks deleted rows."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self.column = table.c.deleted
        kinds: tuple[type[sa.types.TypeEngine[Any]], ...] = (sa.Boolean, sa.Integer, sa.String)
        self._kind = next((kind for kind in kinds if isinstance(self.column.type, kind)), sa.Integer)
        self.live_value: Any = {sa.Boolean: False, sa.Integer: 0, sa.String: ""}[self._kind]

    def live(self, selectable: sa.FromClause | None = None) -> sa.ColumnElement[bool]:
        """Return the condition for rows that are not deleted, of the table or of an alias of it."""
        found: sa.ColumnElement[bool] = (self._table if selectable is None else selectable).c.deleted == self.live_value
        return found

    def marks(self, key: Sequence[Any]) -> dict[str, Any]:
        """Return what the deleted row with this primary key has in its columns, by their keys."""
        at = self._table.c.deleted_at
        mark = {sa.Boolean: True, sa.Integer: 1, sa.String: "1"}[self._kind]
        if len(key) == 1 and type(key[0]) is type(mark):
            mark = key[0]
        return {self.column.key: mark, at.key: to_column(at, dt.datetime.now(dt.UTC))}


def soft_deletion_of(table: sa.Table) -> SoftDeletion | None:
    """Return how a table marks deleted rows; None if it does not."""
    return SoftDeletion(table) if {"deleted", "deleted_at"} <= set(table.c.keys()) else None
