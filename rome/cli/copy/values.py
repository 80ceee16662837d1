"""Values on their way from one database to another.

A batch is processed by column, not by value: most columns of most batches need nothing, which the set of their types
shows.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.types import JSON, NullType, Text

Row = tuple[Any, ...]
Rows = Sequence[Row]
Process = Callable[[Any], Any]
Change = Callable[[Sequence[Any]], Iterable[Any]]
"""Returns the values of a column for those of a batch; the same object if they stay as they are."""

_STORED = frozenset({type(None), bool, int, float, str, bytes})
"""Types whose values are the same in all databases."""
_TEXTS = frozenset({type(None), str, bytes})
_UNCONVERTED = _STORED | {Decimal, dt.date, dt.time, dt.timedelta, dict, list}


def by_column(changes: Sequence[Change | None]) -> Callable[[Rows], Rows]:
    """Return the function that applies to each column of some rows its change, if it has one."""
    if not any(changes):
        return lambda rows: rows

    def convert(rows: Rows) -> Rows:
        columns: list[Any] = list(zip(*rows, strict=True))
        changed = [
            column if change is None else change(column) for change, column in zip(changes, columns, strict=True)
        ]
        if all(new is old for new, old in zip(changed, columns, strict=True)):
            return rows
        return list(zip(*changed, strict=True))

    return convert


def each(process: Process | None) -> Change | None:
    """Return the change that applies a processor of SQLAlchemy to each value; None if there is no processor."""
    return process and (lambda column: map(process, column))


def converter(table: Table) -> Callable[[Rows], Rows]:
    """Return the function that makes rows what the types of a target take."""
    return by_column([_change_to(column.type) for column in table.columns])


def _change_to(kind: Any) -> Change | None:
    if isinstance(kind, NullType):
        return None  # stored values, as they are
    return _as_texts if isinstance(kind, Text) and not isinstance(kind, JSON) else _converted


def binder(table: Table, names: Sequence[str], dialect: Dialect) -> Callable[[Rows], Rows]:
    """Return the function that makes of some columns' values what SQLAlchemy would pass to the driver."""
    return by_column([each(table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names])


def _converted(column: Sequence[Any]) -> Iterable[Any]:
    """Return values without what other databases do not have: time zones, views of memory."""
    return column if _UNCONVERTED.issuperset(map(type, column)) else map(converted, column)


def converted(value: Any) -> Any:
    """Return a value without what other databases do not have."""
    if isinstance(value, dt.datetime):
        return value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)
    return bytes(value) if isinstance(value, memoryview) else value


def _as_texts(column: Sequence[Any]) -> Iterable[Any]:
    return column if _TEXTS.issuperset(map(type, column)) else map(_as_text, column)


def _as_text(value: Any) -> Any:
    value = converted(value)
    return value if value is None or isinstance(value, (str, bytes)) else str(value)


def canonical_rows(rows: Rows) -> Rows:
    """Return rows that are packed to the same bytes where both databases have equal rows."""
    return by_column([_canonical] * len(rows[0]))(rows) if rows else rows


def _canonical(column: Sequence[Any]) -> Iterable[Any]:
    kinds = set(map(type, column)) - {type(None)}
    if kinds <= _STORED:
        return column
    process = canonical if len(kinds) > 1 else _CANONICAL.get(kinds.pop(), canonical)
    return [value if value is None else process(value) for value in column]


def canonical(value: Any) -> Any:
    """Return a value, but not None, that is packed to the same bytes where both databases have equal values."""
    value = converted(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, default=str)
    if isinstance(value, Decimal):
        return _without_trailing_zeros(value)
    return value if isinstance(value, (int, float, str, bytes)) else str(value)


def _moment(value: dt.datetime) -> str:
    return str(value if value.tzinfo is None else converted(value))


def _without_trailing_zeros(value: Decimal) -> str:
    return str(value.normalize())


_CANONICAL: dict[type, Process] = {dt.date: str, dt.time: str, dt.datetime: _moment, Decimal: _without_trailing_zeros}
"""`canonical` for values of one type."""
