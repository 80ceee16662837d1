"""`Object`: a versioned object with a row in the database.

Each method is one transaction. A `get` takes one round trip, a `save` two: it reads the row that it changes, and
commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Self, cast

import sqlalchemy as sa
from oslo_versionedobjects.base import VersionedObjectDictCompat
from oslo_versionedobjects.exception import ObjectActionError

from rome_objects import database
from rome_objects.errors import NotFound, ObjectGone, StateConflict
from rome_objects.remoting import remotable, safe_to_repeat
from rome_objects.rows import loading
from rome_objects.rows.mapping import from_column, to_column, unique_columns
from rome_objects.rows.query import Filters, conditions
from rome_objects.rows.relationships import save_after, save_before
from rome_objects.schema import on_load
from rome_objects.values.changes import objects_in
from rome_objects.values.dicts import ClassOrDict
from rome_objects.versioned import VersionedBase


class Object(VersionedObjectDictCompat, VersionedBase, abstract=True):
    """A versioned object that is created, read, saved and destroyed as a row of its model's table."""

    @classmethod
    def _define(cls) -> None:
        if cls.model is not None:
            for name in unique_columns(cls._table):
                field = next((field for field, column in cls._columns.items() if column.name == name), None)
                if field and not hasattr(cls, f"get_by_{field}"):
                    setattr(cls, f"get_by_{field}", _getter(field))
        super()._define()

    @ClassOrDict
    @classmethod
    @remotable
    @safe_to_repeat
    def get(cls, context: Any, *key: Any, load: Iterable[str] = (), with_deleted: bool = False) -> Self:
        """Return the object with this primary key, with the named relationships loaded. Raise NotFound.

        `with_deleted` finds rows that are marked as deleted, too.
        """
        if len(key) != len(cls._key):
            raise TypeError(f"the primary key of {cls.obj_name()} is {', '.join(cls._key)}")
        return cls._find(context, dict(zip(cls._key, key, strict=True)), load, with_deleted)

    @classmethod
    @remotable
    @safe_to_repeat
    def get_by(cls, context: Any, load: Iterable[str] = (), with_deleted: bool = False, **values: Any) -> Self:
        """Return the object with these values; if there are several, the first by its primary key. Raise NotFound."""
        return cls._find(context, values, load, with_deleted)

    @remotable
    def create(self) -> None:
        """Insert the object, and what is assigned to its relationships.

        Raise ConstraintViolated if its key or a unique value exists.
        """
        related = [name for name in self.related if self.obj_attr_is_set(name)]
        save_before(self, related)
        values = self._column_values(self.fields.keys() - self.related.keys(), "create")
        if self._soft_deletion is not None:
            values = {self._soft_deletion.column.key: self._soft_deletion.live_value, **values}
        columns = self._columns
        if on_load.pending:
            on_load.parents(self._table)
        statement = sa.insert(self._table).values(values).returning(*self._table_columns())
        row = database.connection().execute(statement).one()
        for name, value in zip(columns, row, strict=True):
            self._set_loaded(name, from_column(value))
        save_after(self, related, is_new=True)
        self.obj_reset_changes()

    @remotable
    def save(self, expected: Filters | None = None) -> None:
        """Write the changed fields, the changed objects in its fields, and what was assigned to its relationships.

        `expected` are filters that the row must match; otherwise StateConflict is raised. Raise ObjectGone if the row
        was destroyed.
        """
        changes = self.obj_what_changed()
        related = sorted(changes.intersection(self.related))
        save_before(self, related)
        values = self._column_values(self._own_changes().difference(related), "save")
        if values or expected:
            self._update(values, expected or {})
        save_after(self, related, is_new=False)
        for name in changes.difference(self._columns, related):
            for obj in objects_in(getattr(self, name)):
                if obj.obj_what_changed():
                    obj.save()
        self.obj_reset_changes()

    @remotable
    def destroy(self, expected: Filters | None = None) -> None:
        """Delete the row, or mark it as deleted if its table has the columns `deleted` and `deleted_at`.

        Raise StateConflict if it does not match the filters `expected`, and ObjectGone.
        """
        if self._soft_deletion is not None:
            marks = self._soft_deletion.marks([getattr(self, name) for name in self._key])
            self._update(marks, expected or {})
            for name, column in self._columns.items():
                if column.key in marks:
                    self._set_loaded(name, from_column(marks[column.key]))
            return
        where = self._where(expected or {})
        if database.connection().execute(sa.delete(self._table).where(*where)).rowcount == 0:
            self._raise_unmatched(expected or {})

    @remotable
    @safe_to_repeat
    def refresh(self) -> None:
        """Read the row again. Changes that are not saved are lost. Loaded relationships are unloaded."""
        row = database.connection().execute(sa.select(*self._table_columns()).where(*self._where({}))).one_or_none()
        if row is None:
            self._raise_unmatched({})
        for name, value in zip(self._columns, row, strict=True):
            self._set_loaded(name, from_column(value))
        for name in self.related:
            self.__dict__.pop(f"_obj_{name}", None)
        self.obj_reset_changes()

    @remotable
    @safe_to_repeat
    def load(self, *names: str) -> None:
        """Load relationships that have no value yet. `rack.room` names the room of the rack."""
        loading.load_related([self], names)

    @property
    def _is_created(self) -> bool:
        """Return whether the object has a row, as far as it knows."""
        return all(self.obj_attr_is_set(name) and name not in self._changed_fields for name in self._key)

    @classmethod
    def _table_columns(cls) -> list[sa.Column[Any]]:
        return list(cls._columns.values())

    @classmethod
    def from_row(cls, context: Any, row: Iterable[Any]) -> Self:
        """Return the object of a row of its columns."""
        obj = cls(context)
        for name, value in zip(cls._columns, row, strict=True):
            obj._set_loaded(name, from_column(value))
        return obj

    @classmethod
    def _find(cls, context: Any, values: Mapping[str, Any], load: Iterable[str], with_deleted: bool) -> Self:
        whole_key = set(cls._key) <= values.keys()
        query = loading.Query(cls, load, single=whole_key, with_deleted=with_deleted)
        statement = query.statement.where(*conditions(cls.obj_name(), cls._columns, values))
        if not whole_key:
            statement = statement.order_by(*(cls._columns[name] for name in cls._key)).limit(1)
        elif query.order:
            statement = statement.order_by(*query.order)
        for obj in query.fetch(context, statement):
            return cast("Self", obj)
        raise NotFound(objname=cls.obj_name(), key=_describe(values))

    def _column_values(self, names: Iterable[str], action: str) -> dict[str, Any]:
        """Return the values to write, by the keys of columns. Raise ObjectActionError for fields without a column."""
        values = {}
        for name in names:
            if not self.obj_attr_is_set(name):
                continue
            column = self._columns.get(name)
            if column is None:
                if name in self._changed_fields:
                    raise ObjectActionError(
                        action=action, reason=f"{self.obj_name()}.{name} has no column; save what it refers to itself"
                    )
                continue
            values[column.key] = to_column(column, getattr(self, name))
        return values

    def _where(self, expected: Filters) -> list[sa.ColumnElement[bool]]:
        key = {name: getattr(self, name) for name in self._key}
        if on_load.pending:
            on_load.row(self._table, list(key.values()))
        where = conditions(self.obj_name(), self._columns, {**key, **expected})
        return where if self._soft_deletion is None else [*where, self._soft_deletion.live()]

    def _update(self, values: dict[str, Any], expected: Filters) -> None:
        connection = database.connection()
        if not values:
            found = connection.execute(sa.select(sa.literal(1)).where(*self._where(expected))).first()
            if found is None:
                self._raise_unmatched(expected)
            return
        result = connection.execute(sa.update(self._table).where(*self._where(expected)).values(values))
        if result.rowcount == 0:
            self._raise_unmatched(expected)
        written: Any = result.last_updated_params()
        for name, column in self._columns.items():
            if column.key in values:
                continue
            if column.onupdate is not None and column.key in written:
                self._set_loaded(name, from_column(written[column.key]))
            elif column.onupdate is not None or column.server_onupdate is not None:
                self.__dict__.pop(f"_obj_{name}", None)  # the database computed it: refresh() reads it

    def _raise_unmatched(self, expected: Filters) -> NoReturn:
        """Raise StateConflict if the row exists, otherwise ObjectGone."""
        exists = database.connection().execute(sa.select(sa.literal(1)).where(*self._where({}))).first()
        key = _describe({name: getattr(self, name) for name in self._key})
        if exists:
            raise StateConflict(objname=self.obj_name(), key=key, expected=_describe(expected))
        raise ObjectGone(objname=self.obj_name(), key=key)


def _getter(field: str) -> classmethod[Any, Any, Any]:
    """Return the method `get_by_FIELD` of a unique field."""

    @safe_to_repeat
    def get_by(cls: Any, context: Any, value: Any, load: Iterable[str] = (), with_deleted: bool = False) -> Any:
        return cls._find(context, {field: value}, load, with_deleted)

    get_by.__name__ = f"get_by_{field}"
    get_by.__doc__ = f"Return the object with this {field}. Raise NotFound."
    return classmethod(remotable(get_by))


def _describe(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())
