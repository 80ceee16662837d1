"""Objects in dictionaries of this process: an example of another implementation, and a fast one for tests.

    class Server(MemoryObject, fleet.objects.Server, abstract=True):
        rows = {}

    class ServerList(MemoryList, fleet.objects.ServerList, of=Server, abstract=True):
        pass

They have the fields and versions of the classes that they replace. Unique values and NOT NULL are checked, foreign keys
are not; relationships are neither loaded nor saved. Rows are marked as deleted where the table has the columns for it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NoReturn, Self

import sqlalchemy as sa
from oslo_versionedobjects.exception import ObjectActionError

from rome.forks import new_rlock
from rome_objects.base import Object
from rome_objects.errors import ConstraintViolated, InvalidQuery, NotFound, ObjectGone, StateConflict
from rome_objects.lists import ObjectList
from rome_objects.rows.mapping import from_column, unique_columns
from rome_objects.rows.query import Filters, conditions, sort_keys
from rome_objects.values.dicts import ClassOrDict
from rome_objects.values.mutable import snapshot

Values = dict[str, Any]
"""Field → value."""

_lock = new_rlock()

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "in": lambda value, wanted: value in wanted,
    "like": lambda value, wanted: _like(wanted).fullmatch(value) is not None,
}


class MemoryObject(Object, abstract=True):
    """An object whose row is a dictionary."""

    rows: ClassVar[dict[tuple[Any, ...], Values]]

    @ClassOrDict
    @classmethod
    def get(cls, context: Any, *key: Any, load: Iterable[str] = (), with_deleted: bool = False) -> Self:
        """Return the object with this primary key. Raise NotFound."""
        if len(key) != len(cls._key):
            raise TypeError(f"the primary key of {cls.obj_name()} is {', '.join(cls._key)}")
        return cls._find(context, dict(zip(cls._key, key, strict=True)), load, with_deleted)

    @classmethod
    def get_by(cls, context: Any, load: Iterable[str] = (), with_deleted: bool = False, **values: Any) -> Self:
        """Return the object with these values. Raise NotFound."""
        return cls._find(context, values, load, with_deleted)

    def create(self) -> None:
        """Insert the object. Raise ConstraintViolated."""
        self._refuse_relationships("create")
        with _lock:
            row = {name: snapshot(self._value(name, column)) for name, column in self._columns.items()}
            self._check(row)
            self.rows[tuple(row[name] for name in self._key)] = row
            self._take(row)

    def save(self, expected: Filters | None = None) -> None:
        """Write the changed fields. Raise StateConflict, ObjectGone or ConstraintViolated."""
        self._refuse_relationships("save")
        with _lock:
            row = self._row(expected)
            changed = {name: snapshot(getattr(self, name)) for name in self.obj_what_changed()}
            for name, column in self._columns.items():
                if changed and name not in changed and column.onupdate is not None:
                    changed[name] = from_column(column.onupdate.arg(None))  # type: ignore[attr-defined]
            self._check({**row, **changed}, row)
            row.update(changed)
            self._take({name: row[name] for name in changed})

    def destroy(self, expected: Filters | None = None) -> None:
        """Delete the row, or mark it as deleted. Raise StateConflict or ObjectGone."""
        with _lock:
            row = self._row(expected)
            if self._soft_deletion is None:
                del self.rows[self._key_values()]
                return
            marks = self._soft_deletion.marks(self._key_values())
            row.update({name: from_column(value) for name, value in marks.items()})
            self._take({name: row[name] for name in marks})

    def refresh(self) -> None:
        """Read the row again. Raise ObjectGone."""
        with _lock:
            self._take(self._row(None))

    @classmethod
    def matching(cls, filters: Filters, with_deleted: bool = False) -> list[Values]:
        """Return the rows that match. Raise InvalidQuery."""
        conditions(cls.obj_name(), cls._columns, filters)  # to check the filters
        with _lock:
            rows = [row for row in cls.rows.values() if with_deleted or cls._is_live(row)]
            return [dict(row) for row in rows if _matches(row, filters)]

    @classmethod
    def refuse_to_load(cls) -> NoReturn:
        """Raise InvalidQuery."""
        raise InvalidQuery(objname=cls.obj_name(), reason="objects in memory do not load relationships")

    @classmethod
    def from_values(cls, context: Any, values: Values) -> Self:
        """Return the object of a row."""
        obj = cls(context)
        obj._take(values)
        return obj

    @classmethod
    def _find(cls, context: Any, values: Mapping[str, Any], load: Iterable[str], with_deleted: bool) -> Self:
        if list(load):
            cls.refuse_to_load()
        found = cls.matching(values, with_deleted)
        if not found:
            key = ", ".join(f"{name} = {value!r}" for name, value in values.items())
            raise NotFound(objname=cls.obj_name(), key=key)
        return cls.from_values(context, min(found, key=lambda row: [row[name] for name in cls._key]))

    @classmethod
    def _is_live(cls, row: Values) -> bool:
        return cls._soft_deletion is None or not row.get(cls._soft_deletion.column.key)

    def _refuse_relationships(self, action: str) -> None:
        if names := sorted(self.obj_what_changed().difference(self._columns)):
            raise ObjectActionError(action=action, reason=f"objects in memory do not save {', '.join(names)}")

    def _key_values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._key)

    def _row(self, expected: Filters | None) -> Values:
        key = ", ".join(f"{name} = {getattr(self, name)!r}" for name in self._key)
        row = self.rows.get(self._key_values())
        if row is None or not self._is_live(row):
            raise ObjectGone(objname=self.obj_name(), key=key)
        conditions(self.obj_name(), self._columns, expected or {})
        if not _matches(row, expected or {}):
            text = ", ".join(f"{name} = {value!r}" for name, value in (expected or {}).items())
            raise StateConflict(objname=self.obj_name(), key=key, expected=text)
        return row

    def _value(self, name: str, column: sa.Column[Any]) -> Any:
        """Return what a new row has in a column."""
        if self.obj_attr_is_set(name):
            return getattr(self, name)
        default: Any = column.default
        if default is not None:
            return from_column(default.arg(None) if callable(default.arg) else default.arg)
        if column.primary_key and isinstance(column.type, sa.Integer):
            return max((row[name] for row in self.rows.values()), default=0) + 1
        return None

    def _check(self, row: Values, replaced: Values | None = None) -> None:
        """Raise ConstraintViolated if the table can't have this row."""
        unique = unique_columns(self._table)
        for name, column in self._columns.items():
            value = row[name]
            if value is None:
                if not column.nullable:
                    raise ConstraintViolated(objname=self.obj_name(), reason=f"NOT NULL constraint failed: {column}")
                continue
            others = [other for other in self.rows.values() if other is not replaced]
            if column.name in unique and value in [other[name] for other in others if self._is_live(other)]:
                raise ConstraintViolated(objname=self.obj_name(), reason=f"UNIQUE constraint failed: {column}")
            if self._key == (name,) and value in [other[name] for other in others]:
                raise ConstraintViolated(objname=self.obj_name(), reason=f"UNIQUE constraint failed: {column}")

    def _take(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name in self.fields:
                self._set_loaded(name, snapshot(value))
        self.obj_reset_changes()


class MemoryList(ObjectList, abstract=True):
    """A list of objects in memory."""

    of: ClassVar[type[MemoryObject]]

    @classmethod
    def list(
        cls,
        context: Any,
        filters: Filters | None = None,
        sort: Sequence[str] = (),
        limit: int | None = None,
        marker: Any = None,
        load: Iterable[str] = (),
        with_deleted: bool = False,
    ) -> Self:
        """Return a page of the objects that match. Raise InvalidQuery, NotFound."""
        of = cls.of
        cls._check_limit(limit)
        names = {column: name for name, column in of._columns.items()}
        if list(load):
            of.refuse_to_load()
        rows = of.matching(filters or {}, with_deleted)
        keys = sort_keys(of.obj_name(), of._columns, [of._columns[name] for name in of._key], sort)
        order = [(names[column], descending) for column, descending in keys]
        if marker is not None:
            rows = [row for row in rows if _is_after(row, of.rows[cls._marker(marker)], order)]
        for name, descending in reversed(order):
            rows.sort(key=lambda row: _sortable(row[name]), reverse=descending)
        page = cls(context)
        page._set_loaded("objects", [of.from_values(context, row) for row in rows[:limit]])
        return page

    @classmethod
    def count(cls, context: Any, filters: Filters | None = None, with_deleted: bool = False) -> int:
        """Return the number of objects that match. Raise InvalidQuery."""
        return len(cls.of.matching(filters or {}, with_deleted))

    @classmethod
    def _marker(cls, marker: Any) -> tuple[Any, ...]:
        key = tuple(cls._marker_key(marker))
        if key not in cls.of.rows:
            raise NotFound(objname=cls.of.obj_name(), key=f"the primary key of the marker, {marker!r}")
        return key


def _matches(row: Values, filters: Filters) -> bool:
    for name, wanted in filters.items():
        value = row[name]
        if isinstance(wanted, Mapping):
            if value is None or not all(_OPERATORS[sign](value, other) for sign, other in wanted.items()):
                return False
        elif isinstance(wanted, list | tuple | set | frozenset):
            if value not in wanted:
                return False
        elif value != wanted:
            return False
    return True


def _is_after(row: Values, marker: Values, order: Sequence[tuple[str, bool]]) -> bool:
    for name, descending in order:
        mine, other = _sortable(row[name]), _sortable(marker[name])
        if mine != other:
            return (mine < other) is descending
    return False


def _sortable(value: Any) -> tuple[bool, Any]:
    """Return a value so that None sorts before everything else."""
    return (value is not None, value if value is not None else 0)


def _like(pattern: str) -> re.Pattern[str]:
    text = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.compile(text, re.IGNORECASE | re.DOTALL)
