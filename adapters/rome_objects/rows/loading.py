"""Rows as objects, with the relationships that a caller names.

A relationship that leads to one object is joined: it costs no statement of its own. One that leads to many objects is
loaded by one more statement, for one object or for a page of them; a `get` by the primary key joins the first of
these, too, so that it takes one round trip. `load=["rack.room"]` loads the room of the rack as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import RelationshipDirection, RelationshipProperty, aliased

from rome_objects import database, registry
from rome_objects.errors import DefinitionError, InvalidQuery
from rome_objects.rows.query import any_of
from rome_objects.schema import on_load
from rome_objects.versioned import VersionedBase


@dataclass
class _Joined:
    """A relationship whose objects are in the columns of a row from `start` on; `key` are those of the primary key."""

    name: str
    target: Any
    start: int
    key: list[int]


class Query:
    """A SELECT of the objects of a class, with relationships. `single` is true if it returns one object at most."""

    def __init__(self, cls: Any, load: Iterable[str] = (), single: bool = False, with_deleted: bool = False) -> None:
        self._cls = cls
        self._paths = _paths(cls, load)
        self._joined: list[_Joined] = []
        self.order: list[Any] = []
        """The order of the rows of a joined relationship to many objects."""
        columns = cls._table_columns()
        joins: list[Any] = []
        for name in self._paths:
            relationship = relationship_of(cls, name)
            many = relationship.direction is not RelationshipDirection.MANYTOONE
            target = target_of(cls, name)
            if many and (not single or self.order or target._table is cls._table):
                continue
            if many:
                self.order = _order(relationship, target)
            join, selected = _join(cls, relationship, target, use_alias=not many)
            self._joined.append(
                _Joined(name, target, len(columns), [list(target._columns).index(field) for field in target._key])
            )
            columns, joins = columns + selected, [*joins, join]
        self.statement = sa.select(*columns)
        if joins:
            self.statement = self.statement.select_from(cls.model)
        for join in joins:
            self.statement = self.statement.outerjoin(join)
        if cls._soft_deletion is not None and not with_deleted:
            self.statement = self.statement.where(cls._soft_deletion.live())

    def fetch(self, context: Any, statement: sa.Select[Any]) -> list[Any]:
        """Run the statement, to which conditions and an order have been added. Return the objects."""
        if on_load.pending:
            on_load.before(statement)
        cls, width = self._cls, len(self._cls._columns)
        objects: dict[Any, Any] = {}
        related: dict[str, dict[Any, list[Any]]] = {it.name: defaultdict(list) for it in self._joined}
        key = [list(cls._columns).index(field) for field in cls._key]
        for row in database.connection().execute(statement):
            identity = tuple(row[place] for place in key)
            if identity not in objects:
                objects[identity] = cls.from_row(context, row[:width])
            for it in self._joined:
                part = row[it.start : it.start + len(it.target._columns)]
                if all(part[place] is not None for place in it.key):
                    related[it.name][identity].append(it.target.from_row(context, part))
        for it in self._joined:
            for identity, obj in objects.items():
                set_related(obj, it.name, related[it.name][identity])
        return self._load_rest(list(objects.values()))

    def _load_rest(self, objects: list[Any]) -> list[Any]:
        for name, paths in self._paths.items():
            if not any(it.name == name for it in self._joined):
                _load(objects, name)
            _load_paths(objects, name, paths)
        return objects


def load_related(objects: Sequence[Any], names: Iterable[str]) -> None:
    """Load these relationships of objects of one class. Raise InvalidQuery for a name that is no relationship."""
    for name, paths in _paths(type(objects[0]), names).items():
        _load([obj for obj in objects if not obj.obj_attr_is_set(name)], name)
        _load_paths(objects, name, paths)


def related_rows(obj: Any, name: str) -> list[Any]:
    """Return the objects to which a relationship leads in the database."""
    return _related([obj], name)[tuple(getattr(obj, field) for field in obj._key)]


def set_related(obj: Any, name: str, found: list[Any]) -> None:
    """Set the field of a relationship to these objects, without a change."""
    if not relationship_of(type(obj), name).uselist:
        obj._set_loaded(name, found[0] if found else None)
        return
    target = registry.classes_of(registry.name_of(obj.related[name]))[0]
    if hasattr(target, "of"):
        page: Any = target(obj._context)
        page._set_loaded("objects", found)
        obj._set_loaded(name, page)
    else:
        obj._set_loaded(name, found)


def relationship_of(cls: Any, name: str) -> RelationshipProperty[Any]:
    """Return the relationship of a class's model."""
    return sa.inspect(cls.model).relationships[name]  # type: ignore[no-any-return]


def target_of(cls: Any, name: str) -> Any:
    """Return the class of the objects to which a relationship leads. Raise UnknownObject or DefinitionError."""
    target: Any = registry.classes_of(registry.name_of(cls.related[name]))[0]
    target = getattr(target, "of", target)
    if not issubclass(target, VersionedBase) or target.model is None:
        raise DefinitionError(objname=cls.obj_name(), reason=f"`related` {name} leads to a class without a model")
    return target


def _paths(cls: Any, names: Iterable[str]) -> Mapping[str, list[str]]:
    """Return relationship → what to load of its objects. Raise InvalidQuery for a name that is no relationship."""
    if isinstance(names, str):
        raise InvalidQuery(objname=cls.obj_name(), reason=f"load takes a list of relationships, not the text {names!r}")
    paths: dict[str, list[str]] = {}
    for path in names:
        name, _, rest = path.partition(".")
        if name not in cls.related:
            raise InvalidQuery(
                objname=cls.obj_name(),
                reason=f"{name!r} is no relationship: it can't be loaded. Its relationships: "
                f"{', '.join(cls.related) or 'none'}",
            )
        paths.setdefault(name, []).extend([rest] if rest else [])
    return paths


def _order(relationship: RelationshipProperty[Any], target: Any) -> list[Any]:
    return list(relationship.order_by or target._table.primary_key.columns)


def _join(cls: Any, relationship: RelationshipProperty[Any], target: Any, use_alias: bool) -> tuple[Any, list[Any]]:
    """Return a join for a relationship, and the columns of its objects."""
    entity = aliased(target.model) if use_alias else target.model
    selectable = sa.inspect(entity).selectable
    join = getattr(cls.model, relationship.key).of_type(entity)
    if target._soft_deletion is not None:
        join = join.and_(target._soft_deletion.live(selectable))
    return join, [selectable.c[column.key] for column in target._table_columns()]


def _load_paths(objects: Sequence[Any], name: str, paths: Sequence[str]) -> None:
    """Load what paths name of the objects to which a relationship has led."""
    found = [item for obj in objects for item in objects_of(getattr(obj, name))]
    if paths and found:
        load_related(found, paths)


def objects_of(value: Any) -> list[Any]:
    """Return the objects of a relationship: of a list, an ObjectList, one object or None."""
    if value is None:
        return []
    return list(value) if isinstance(value, Sequence) else [value]


def _load(objects: Sequence[Any], name: str) -> None:
    if not objects:
        return
    found = _related(objects, name)
    for obj in objects:
        set_related(obj, name, found[tuple(getattr(obj, field) for field in obj._key)])


def _related(objects: Sequence[Any], name: str) -> dict[tuple[Any, ...], list[Any]]:
    """Return primary key → the objects to which a relationship leads, by one statement.

    The rows of the objects themselves are joined. The transaction has mostly read them, so this costs nothing, and a
    relationship may have any condition.
    """
    cls: Any = type(objects[0])
    target = target_of(cls, name)
    relationship = relationship_of(cls, name)
    parent = aliased(cls.model)
    rows = sa.inspect(parent).selectable
    key = [rows.c[cls._columns[field].key] for field in cls._key]
    wanted = sorted({tuple(getattr(obj, field) for field in cls._key) for obj in objects}, key=repr)
    statement = (
        sa.select(*key, *target._table_columns())
        .select_from(parent)
        .join(getattr(parent, name).of_type(target.model))
        .where(any_of(key, wanted))
        .order_by(*_order(relationship, target))
    )
    if target._soft_deletion is not None:
        statement = statement.where(target._soft_deletion.live())
    if on_load.pending:
        on_load.before(statement)
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for row in database.connection().execute(statement):
        found[tuple(row[: len(key)])].append(target.from_row(objects[0]._context, row[len(key) :]))
    return found
