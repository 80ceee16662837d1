"""Values on their way from one database to another."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.types import JSON, NullType, Text

Row = tuple[Any, ...]
Rows = Sequence[Row]
Process = Callable[[Any], Any]

_STORED = frozenset({type(None), int, float, str, bytes})
"""Types whose values are the same in all databases."""


def by_column(processors: Sequence[Process | None]) -> Callable[[Rows], Rows]:
    """Return the function that applies to each column of some rows its processor, if it has one."""
    found = [(place, process) for place, process in enumerate(processors) if process]
    if not found:
        return lambda rows: rows

    def convert(rows: Rows) -> Rows:
        columns: list[Any] = list(zip(*rows, strict=True))
        for place, process in found:
            columns[place] = map(process, columns[place])
        return list(zip(*columns, strict=True))

    return convert


def converter(table: Table) -> Callable[[Rows], Rows]:
    """Return the function that makes rows what the types of a target take."""
    return by_column([_process_of(column.type) for column in table.columns])


def _process_of(kind: Any) -> Process | None:
    if isinstance(kind, NullType):
        return None  # stored values, as they are
    return _as_text if isinstance(kind, Text) and not isinstance(kind, JSON) else converted


def binder(table: Table, names: Sequence[str], dialect: Dialect) -> Callable[[Rows], Rows]:
    """Return the function that makes of some columns' values what SQLAlchemy would pass to the driver."""
    return by_column([table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names])


def converted(value: Any) -> Any:
    """Return a value without what other databases do not have: time zones, views of memory."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return value


def _as_text(value: Any) -> Any:
    value = converted(value)
    return value if value is None or isinstance(value, (str, bytes)) else str(value)


def canonical_rows(rows: Rows) -> Rows:
    """Return rows that are packed to the same bytes where both databases have equal rows."""
    processors = [None if _STORED.issuperset(map(type, column)) else canonical for column in zip(*rows, strict=True)]
    return by_column(processors)(rows)


def canonical(value: Any) -> Any:
    """Return a value that is packed to the same bytes where both databases have equal values."""
    value = converted(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, default=str)
    if isinstance(value, Decimal):
        return str(value.normalize())
    return value if value is None or isinstance(value, (int, float, str, bytes)) else str(value)
