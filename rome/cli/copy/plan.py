"""The tables of a copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, Table, cast, collate
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import Enum, String

_BYTEWISE = {"postgresql": "C", "mysql": "utf8mb4_bin", "mariadb": "utf8mb4_bin"}
"""By dialect, the collation that sorts texts as ROME does."""


@dataclass(frozen=True)
class TableCopy:
    """A table in the source and in the target, with the same columns. `key`: the columns of its order, or none."""

    source: Table
    target: Table
    key: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.target.name


@dataclass
class CopyPlan:
    """The tables in the order of foreign keys, and what is done before and after their rows are copied."""

    tables: list[TableCopy]
    create: Callable[[Connection], None]
    finish: Callable[[Connection], None]
    notes: list[str] = field(default_factory=list)
    """A sentence on each thing that the target will lack."""


def ordered_by(table: Table, key: Sequence[str], dialect: str) -> list[ColumnElement[Any]]:
    """Return the terms of the order of a key, which is the same in both databases."""
    return [_term(table.c[name], dialect) for name in key]


def _term(column: Column[Any], dialect: str) -> ColumnElement[Any]:
    if dialect in _BYTEWISE and isinstance(column.type, String):
        # The values of an enumeration are in the order of its declaration there.
        text = cast(column, String(255)) if isinstance(column.type, Enum) else column
        return collate(text, _BYTEWISE[dialect])
    return column
