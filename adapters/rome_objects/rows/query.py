"""Filters, sort keys and markers as SQL.

    filters  {"host": "h1", "state": ["up", "down"], "reports": {"ge": 3}, "deleted_at": None}
    sort     ["host", "-created_at"]     a minus sorts descending; the primary key is always the last sort key
    limit    the number of objects
    marker   the primary key of the last object of the previous page

A page begins in the index where the previous one ended: a comparison with the marker's values (keyset pagination), not
an offset. So a page costs the same wherever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from rome_objects.errors import InvalidQuery
from rome_objects.rows.mapping import to_column

Filters = Mapping[str, Any]
Columns = Mapping[str, sa.Column[Any]]
"""Field → column."""

_OPERATORS: dict[str, Callable[[sa.Column[Any], Any], sa.ColumnElement[bool]]] = {
    "eq": lambda column, value: column == value,
    "ne": lambda column, value: column != value,
    "lt": lambda column, value: column < value,
    "le": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "ge": lambda column, value: column >= value,
    "in": lambda column, value: column.in_(value),
    "like": lambda column, value: column.like(value),
}


def conditions(objname: str, columns: Columns, filters: Filters) -> list[sa.ColumnElement[bool]]:
    """Return a condition for each filter. Raise InvalidQuery for an unknown field or operator."""
    found = []
    for name, wanted in filters.items():
        column = _column(objname, columns, name)
        if isinstance(wanted, Mapping):
            for operator, value in wanted.items():
                if operator not in _OPERATORS:
                    raise InvalidQuery(
                        objname=objname, reason=f"operator {operator!r} is none of {', '.join(_OPERATORS)}"
                    )
                found.append(_OPERATORS[operator](column, _convert(column, value)))
        elif isinstance(wanted, list | tuple | set | frozenset):
            found.append(_among(column, [_convert(column, value) for value in wanted]))
        else:
            found.append(column == _convert(column, wanted))
    return found


def sort_keys(
    objname: str, columns: Columns, key: Sequence[sa.Column[Any]], sort: Sequence[str]
) -> list[tuple[sa.Column[Any], bool]]:
    """Return the columns to sort by, each with true if it is descending. The primary key makes the order total."""
    if isinstance(sort, str):
        raise InvalidQuery(objname=objname, reason=f"sort takes a list of fields, not the text {sort!r}")
    keys = [(_column(objname, columns, name.removeprefix("-")), name.startswith("-")) for name in sort]
    used = {column for column, _ in keys}
    # Equal sort keys in the direction of the last one: an index on them is then read in one direction.
    descending = keys[-1][1] if keys else False
    return keys + [(column, descending) for column in key if column not in used]


def order_by(keys: Sequence[tuple[sa.Column[Any], bool]]) -> list[sa.ColumnElement[Any]]:
    """Return the terms of ORDER BY."""
    return [column.desc() if descending else column.asc() for column, descending in keys]


def after(keys: Sequence[tuple[sa.Column[Any], bool]], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Return the condition for rows after the one with these values. NULL sorts before everything else."""
    (column, descending), value = keys[0], values[0]
    later: sa.ColumnElement[bool] | None
    if value is None:
        later = None if descending else column.is_not(None)
    else:
        later = column < value if descending else column > value
        if descending and column.nullable:
            later = later | column.is_(None)
    if len(keys) == 1:
        return sa.false() if later is None else later
    equal = column.is_(None) if value is None else column == value
    tie = equal & after(keys[1:], values[1:])
    return tie if later is None else later | tie


def any_of(columns: Sequence[Any], values: Sequence[Sequence[Any]]) -> sa.ColumnElement[bool]:
    """Return the condition that these columns together have one of these tuples of values."""
    if len(columns) == 1:
        return columns[0].in_([value for (value,) in values])  # type: ignore[no-any-return]
    return sa.or_(
        *(sa.and_(*(column == part for column, part in zip(columns, value, strict=True))) for value in values)
    )


def _column(objname: str, columns: Columns, name: str) -> sa.Column[Any]:
    if name not in columns:
        raise InvalidQuery(objname=objname, reason=f"{name!r} is no field that has a column")
    return columns[name]


def _convert(column: sa.Column[Any], value: Any) -> Any:
    if isinstance(value, list | tuple | set | frozenset):
        return [to_column(column, item) for item in value]
    return to_column(column, value)


def _among(column: sa.Column[Any], values: list[Any]) -> sa.ColumnElement[bool]:
    present = [value for value in values if value is not None]
    condition = column.in_(present)
    return condition if len(present) == len(values) else condition | column.is_(None)
