"""`Object`: a versioned object with a row in the database.

Each method is one transaction. A `get` takes one round trip, a `save` two: it reads the row that it changes, and
commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Self

import sqlalchemy as sa
from oslo_versionedobjects.base import VersionedObjectDictCompat
from oslo_versionedobjects.exception import ObjectActionError

from rome_objects import database, loading
from rome_objects.dicts import ClassOrDict
from rome_objects.errors import NotFound, ObjectGone, StateConflict
from rome_objects.mapping import from_column, to_column, unique_columns
from rome_objects.query import Filters, conditions
from rome_objects.remoting import remotable, safe_to_repeat
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
    def get(cls, context: Any, *key: Any, load: Iterable[str] = ()) -> Self:
        """Return the object with this primary key, with the named relationships loaded. Raise NotFound."""
        if len(key) != len(cls._key):
            raise TypeError(f"the primary key of {cls.obj_name()} is {', '.join(cls._key)}")
        return cls._find(context, dict(zip(cls._key, key, strict=True)), load)

    @classmethod
    @remotable
    @safe_to_repeat
    def get_by(cls, context: Any, load: Iterable[str] = (), **values: Any) -> Self:
        """Return the object with these values; if there are several, the first by its primary key. Raise NotFound."""
        return cls._find(context, values, load)

    @remotable
    def create(self) -> None:
        """Insert the object. Raise ConstraintViolated if its key or a unique value exists."""
        values = self._column_values(self.fields, "create")
        columns = self._columns
        statement = sa.insert(self._table).values(values).returning(*self._table_columns())
        row = database.connection().execute(statement).one()
        for name, value in zip(columns, row, strict=True):
            self._set_loaded(name, from_column(value))
        self.obj_reset_changes()

    @remotable
    def save(self, expected: Filters | None = None) -> None:
        """Write the changed fields, and the changed objects in its fields.

        `expected` are filters that the row must match; otherwise StateConflict is raised. Raise ObjectGone if the row
        was destroyed.
        """
        changes = self.obj_what_changed()
        children = [name for name in changes if name not in self._columns and name not in self._changed_fields]
        for name in children:
            loading.save_changed(getattr(self, name))
        values = self._column_values(changes.difference(children), "save")
        if values or expected:
            self._update(values, expected or {})
        self.obj_reset_changes()

    @remotable
    def destroy(self, expected: Filters | None = None) -> None:
        """Delete the row. Raise StateConflict if it does not match the filters `expected`, and ObjectGone."""
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
        """Load relationships that have no value yet."""
        loading.load_related([self], [name for name in names if not self.obj_attr_is_set(name)])

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
    def _find(cls, context: Any, values: Mapping[str, Any], load: Iterable[str]) -> Self:
        where = conditions(cls.obj_name(), cls._columns, values)
        order = [cls._columns[name] for name in cls._key]
        statement = sa.select(*cls._table_columns()).where(*where)
        if not set(cls._key) <= values.keys():
            statement = statement.order_by(*order).limit(1)
        row = database.connection().execute(statement).one_or_none()
        if row is None:
            raise NotFound(objname=cls.obj_name(), key=_describe(values))
        obj = cls.from_row(context, row)
        loading.load_related([obj], load)
        return obj

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
        filters = {**{name: getattr(self, name) for name in self._key}, **expected}
        return conditions(self.obj_name(), self._columns, filters)

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
    def get_by(cls: Any, context: Any, value: Any, load: Iterable[str] = ()) -> Any:
        return cls._find(context, {field: value}, load)

    get_by.__name__ = f"get_by_{field}"
    get_by.__doc__ = f"Return the object with this {field}. Raise NotFound."
    return classmethod(remotable(get_by))


def _describe(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())
