"""Saving what was assigned to relationships.

Assigned objects that are new are created, changed ones are saved, and their foreign keys are set. Of a relationship to
many objects, those that were removed are destroyed if it cascades `delete-orphan`; otherwise their foreign key becomes
NULL. Of a many-to-many relationship, rows of the secondary table are inserted and deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from oslo_versionedobjects.base import ObjectListBase
from oslo_versionedobjects.exception import ObjectActionError
from sqlalchemy.orm import RelationshipDirection, RelationshipProperty

from rome_objects import database
from rome_objects.rows.loading import objects_of, related_rows, relationship_of


def save_before(obj: Any, names: Iterable[str]) -> None:
    """Save the relationships that the object's own foreign keys express, and set these."""
    for name in names:
        relationship = relationship_of(type(obj), name)
        if relationship.direction is not RelationshipDirection.MANYTOONE:
            continue
        target = getattr(obj, name)
        for item in objects_of(target):
            _write(item)
        if _is_assigned(obj, name):
            _check_writable(obj, relationship)
            for remote, local in relationship.synchronize_pairs:
                value = None if target is None else getattr(target, _field(target, remote))
                _assign(obj, _field(obj, local), value)


def save_after(obj: Any, names: Iterable[str], is_new: bool) -> None:
    """Save the relationships that rows of other tables express. `is_new` objects have no such rows yet."""
    for name in names:
        relationship = relationship_of(type(obj), name)
        if relationship.direction is RelationshipDirection.MANYTOONE:
            continue
        found = objects_of(getattr(obj, name))
        if not _is_assigned(obj, name):
            for item in found:
                _write(item)
            continue
        _check_writable(obj, relationship)
        before = [] if is_new else related_rows(obj, name)
        if relationship.secondary is not None:
            _save_links(obj, relationship, found, before)
        else:
            _save_children(obj, relationship, found, before)
        page = _page(obj, name)
        if page is not None:
            page.obj_reset_changes()


def _is_assigned(obj: Any, name: str) -> bool:
    """Return whether other objects were assigned: to the field, or within its list."""
    page = _page(obj, name)
    return name in obj._own_changes() or (page is not None and "objects" in page._own_changes())


def _page(obj: Any, name: str) -> Any:
    """Return the ObjectList in a field; None if it has another value."""
    value = getattr(obj, name)
    return value if isinstance(value, ObjectListBase) else None


def _save_children(obj: Any, relationship: RelationshipProperty[Any], found: list[Any], before: list[Any]) -> None:
    for item in found:
        for local, remote in relationship.synchronize_pairs:
            _assign(item, _field(item, remote), getattr(obj, _field(obj, local)))
        _write(item)
    kept = {_key(item) for item in found}
    for item in before:
        if _key(item) not in kept:
            _remove(obj, relationship, item)


def _remove(obj: Any, relationship: RelationshipProperty[Any], item: Any) -> None:
    if relationship.cascade.delete_orphan:
        item.destroy()
        return
    for _, remote in relationship.synchronize_pairs:
        if not remote.nullable:
            raise _error(
                obj, relationship, f"{item.obj_name()}.{remote.key} can't be NULL: destroy what you remove, or declare "
                "cascade='all, delete-orphan'",
            )  # fmt: skip
        _assign(item, _field(item, remote), None)
    item.save()


def _save_links(obj: Any, relationship: RelationshipProperty[Any], found: list[Any], before: list[Any]) -> None:
    for item in found:
        _write(item)
    secondary: Any = relationship.secondary
    pairs = relationship.secondary_synchronize_pairs or ()

    def row(item: Any) -> dict[str, Any]:
        values: Any = {column: getattr(obj, _field(obj, local)) for local, column in relationship.synchronize_pairs}
        values |= {column: getattr(item, _field(item, remote)) for remote, column in pairs}
        return {column.key: value for column, value in values.items()}

    old, new = [row(item) for item in before], [row(item) for item in found]
    for link in old:
        if link not in new:
            where = [secondary.c[name] == value for name, value in link.items()]
            database.connection().execute(sa.delete(secondary).where(*where))
    added = [link for place, link in enumerate(new) if link not in old and link not in new[:place]]
    if added:
        database.connection().execute(sa.insert(secondary), added)


def _write(item: Any) -> None:
    """Create an object that is new, or save one that has changed."""
    if not item._is_created:
        item.create()
    elif item.obj_what_changed():
        item.save()


def _assign(obj: Any, field: str, value: Any) -> None:
    if not obj.obj_attr_is_set(field) or getattr(obj, field) != value:
        setattr(obj, field, value)


def _field(obj: Any, column: Any) -> str:
    """Return the field of a column. Raise ObjectActionError if it has none."""
    for name, own in obj._columns.items():
        if own is column:
            return str(name)
    raise ObjectActionError(action="save", reason=f"column {column} of {obj.obj_name()} has no field")


def _key(item: Any) -> tuple[Any, ...]:
    return tuple(getattr(item, name) for name in item._key)


def _check_writable(obj: Any, relationship: RelationshipProperty[Any]) -> None:
    if relationship.viewonly or not relationship.synchronize_pairs:
        raise _error(obj, relationship, "the relationship is viewonly: save what it leads to")


def _error(obj: Any, relationship: RelationshipProperty[Any], reason: str) -> ObjectActionError:
    return ObjectActionError(action="save", reason=f"{obj.obj_name()}.{relationship.key}: {reason}")
