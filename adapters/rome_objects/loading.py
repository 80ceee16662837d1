"""Relationships: what they lead to is loaded by one statement, for one object or for a page of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_versionedobjects.base import VersionedObject

from rome_objects import database, registry
from rome_objects.errors import InvalidQuery
from rome_objects.versioned import VersionedBase


def load_related(objects: Sequence[Any], names: Iterable[str]) -> None:
    """Set these relationships of objects of one class. Raise InvalidQuery for a name that is no relationship."""
    for name in names:
        for obj in objects[:1]:
            if name not in obj.related:
                raise InvalidQuery(objname=obj.obj_name(), reason=f"{name!r} is no relationship: it can't be loaded")
        if objects:
            _load(objects, name)


def save_changed(value: Any) -> None:
    """Save the changed objects in the value of a field."""
    for item in [value] if isinstance(value, VersionedObject) else value:
        if item.obj_what_changed():
            item.save()


def _load(objects: Sequence[VersionedBase], name: str) -> None:
    cls = type(objects[0])
    relationship = sa.inspect(cls.model).relationships[name]
    target: Any = registry.classes_of(cls.related[name])[0]
    fields = {column: field for field, column in cls._columns.items()}
    pairs = relationship.local_remote_pairs or []
    # Of a many-to-many relationship, some pairs join the secondary table to the target.
    keys = [(fields[local], remote) for local, remote in pairs if local in fields and _leads_away(relationship, local)]
    joins = [local == remote for local, remote in pairs if not (local in fields and _leads_away(relationship, local))]
    wanted = {tuple(getattr(obj, field) for field, _ in keys) for obj in objects}
    wanted = {values for values in wanted if None not in values}
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    if wanted:
        remote = [column for _, column in keys]
        matches = _among(remote, sorted(wanted, key=repr))
        statement = sa.select(*remote, *target._table_columns()).where(matches, *joins)
        order = relationship.order_by or target._table.primary_key.columns
        for row in database.connection().execute(statement.order_by(*order)):
            found[tuple(row[: len(remote)])].append(target.from_row(objects[0]._context, row[len(remote) :]))
    for obj in objects:
        related = found[tuple(getattr(obj, field) for field, _ in keys)]
        obj._set_loaded(name, related if relationship.uselist else related[0] if related else None)


def _leads_away(relationship: Any, column: Any) -> bool:
    """Return whether a local column of a pair is one of the object's own table, not of the target's."""
    return relationship.secondary is None or column.table is relationship.parent.local_table


def _among(columns: Sequence[Any], values: Sequence[tuple[Any, ...]]) -> sa.ColumnElement[bool]:
    if len(columns) == 1:
        return columns[0].in_([value for (value,) in values])  # type: ignore[no-any-return]
    return sa.or_(
        *(sa.and_(*(column == part for column, part in zip(columns, value, strict=True))) for value in values)
    )
