"""Fields and column values of a SQLAlchemy model.

`fields_of` derives a strict field from each column. `to_column` and `from_column` convert the values that a column
represents differently: a datetime has a time zone in a field, and mostly none in a database, where it is UTC.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from oslo_versionedobjects.fields import Field, UnspecifiedDefault
from sqlalchemy.orm import Mapper

from rome_objects import fields
from rome_objects.errors import DefinitionError


def fields_of(objname: str, mapper: Mapper[Any], declared: Collection[str]) -> dict[str, Field[Any]]:
    """Return a field for each mapped column that is not declared by hand.

    Raise DefinitionError for a column whose type has no strict field.
    """
    derived: dict[str, Field[Any]] = {}
    for attribute in mapper.column_attrs:
        if attribute.key in declared:
            continue
        column = attribute.columns[0]
        if isinstance(column, sa.Column):
            derived[attribute.key] = field_of(objname, column)
    return derived


def field_of(objname: str, column: sa.Column[Any]) -> Field[Any]:
    """Return the strict field of a column. A primary key can't change once it is set."""
    options: dict[str, Any] = {
        "nullable": bool(column.nullable),
        "read_only": column.primary_key,
        "default": UnspecifiedDefault,
    }
    kind = column.type
    match kind:
        case sa.Enum():
            return fields.EnumField(kind.enum_class or kind.enums, **options)
        case sa.Boolean():
            return fields.BooleanField(**options)
        case sa.Integer():
            return fields.IntegerField(**options)
        case sa.Float():
            return fields.FloatField(**options)
        case sa.Numeric():
            return fields.DecimalField(**options) if kind.asdecimal else fields.FloatField(**options)
        case sa.String():
            return fields.StringField(kind.length, **options)
        case sa.DateTime():
            return fields.DateTimeField(**options)
        case sa.Date():
            return fields.DateField(**options)
        case sa.Time():
            return fields.TimeField(**options)
        case sa.LargeBinary():
            return fields.BinaryField(kind.length, **options)
        case sa.JSON():
            return fields.JSONField(**options)
        case sa.Uuid():
            return fields.UUIDField(**options) if kind.as_uuid else fields.StringField(36, **options)
    raise DefinitionError(
        objname=objname,
        reason=f"column {column.name} has the type {kind!r}, which has no strict field: declare one in `fields`, or "
        "name the column in `excluded`",
    )


def to_column(column: sa.Column[Any], value: Any) -> Any:
    """Return what a column stores for the value of a field."""
    if isinstance(value, dt.datetime) and isinstance(column.type, sa.DateTime) and value.tzinfo is not None:
        value = value.astimezone(dt.UTC)
        return value if column.type.timezone else value.replace(tzinfo=None)
    return value


def from_column(value: Any) -> Any:
    """Return the value of a field for what a column returned."""
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value


def unique_columns(table: sa.Table) -> set[str]:
    """Return the names of the columns that alone identify a row that is not deleted.

    A column that is unique together with `deleted` is one of them; a single-column primary key is not.
    """
    names = {column.name for column in table.columns if column.unique}
    together = [each.columns for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
    together += [index.columns for index in table.indexes if index.unique]
    for columns in together:
        unique = {column.name for column in columns} - {"deleted"}
        if len(unique) == 1:
            names |= unique
    return names
