"""`ObjectList`: a page of objects.

    class ServerList(ObjectList, of=Server):
        VERSION = "1.0"

    page = ServerList.list(context, filters={"host": "h1"}, sort=["-created_at"], limit=100)
    following = ServerList.list(context, filters={"host": "h1"}, sort=["-created_at"], limit=100, marker=page[-1].id)

`rome_objects.rows.query` describes filters, sort keys and markers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import sqlalchemy as sa
from oslo_versionedobjects.base import ObjectListBase

from rome_objects import database
from rome_objects.base import Object
from rome_objects.errors import InvalidQuery, NotFound
from rome_objects.fields import ListOfObjectsField
from rome_objects.remoting import remotable, safe_to_repeat
from rome_objects.rows import loading
from rome_objects.rows.query import Filters, after, conditions, order_by, sort_keys
from rome_objects.schema import on_load
from rome_objects.versioned import VersionedBase


class ObjectList(ObjectListBase[Any], VersionedBase, abstract=True):
    """A list of objects of one class, with the methods that read it from the database."""

    of: ClassVar[type[Object]]

    obj_what_changed = VersionedBase.obj_what_changed

    def __init_subclass__(cls, of: type[Object] | None = None, **kwargs: Any) -> None:
        if of is not None:
            cls.of = of
            cls.fields = {**cls.__dict__.get("fields", {}), "objects": ListOfObjectsField(of.obj_name())}
        super().__init_subclass__(**kwargs)

    @classmethod
    @remotable
    @safe_to_repeat
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
        """Return a page of the objects that match, in the order of the sort keys. Raise InvalidQuery, NotFound.

        `with_deleted` finds rows that are marked as deleted, too.
        """
        of = cls.of
        name = of.obj_name()
        cls._check_limit(limit)
        keys = sort_keys(name, of._columns, [of._columns[field] for field in of._key], sort)
        query = loading.Query(of, load, with_deleted=with_deleted)
        statement = query.statement.where(*conditions(name, of._columns, filters or {}))
        if marker is not None:
            statement = statement.where(after(keys, cls._marker_values(marker, [column for column, _ in keys])))
        objects = query.fetch(context, statement.order_by(*order_by(keys)).limit(limit))
        page = cls(context)
        page._set_loaded("objects", objects)
        return page

    @classmethod
    @remotable
    @safe_to_repeat
    def count(cls, context: Any, filters: Filters | None = None, with_deleted: bool = False) -> int:
        """Return the number of objects that match. Raise InvalidQuery."""
        of = cls.of
        where = conditions(of.obj_name(), of._columns, filters or {})
        if of._soft_deletion is not None and not with_deleted:
            where.append(of._soft_deletion.live())
        statement = sa.select(sa.func.count()).select_from(of._table).where(*where)
        if on_load.pending:
            on_load.before_count(of._table, statement)
        return int(database.connection().execute(statement).scalar_one())

    @classmethod
    def _check_limit(cls, limit: Any) -> None:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
            raise InvalidQuery(objname=cls.of.obj_name(), reason=f"limit is a number of objects, not {limit!r}")

    @classmethod
    def _marker_key(cls, marker: Any) -> Sequence[Any]:
        key: Sequence[Any] = marker if isinstance(marker, list | tuple) else [marker]
        if len(key) != len(cls.of._key):
            reason = f"marker is a primary key: {', '.join(cls.of._key)}"
            raise InvalidQuery(objname=cls.of.obj_name(), reason=reason)
        return key

    @classmethod
    def _marker_values(cls, marker: Any, columns: Sequence[sa.Column[Any]]) -> Sequence[Any]:
        """Return the marker's values of the sort keys; it is read only if the primary key is not all of them."""
        of = cls.of
        by_column = dict(zip((of._columns[name] for name in of._key), cls._marker_key(marker), strict=True))
        if all(column in by_column for column in columns):
            return [by_column[column] for column in columns]
        where = [column == value for column, value in by_column.items()]
        row = database.connection().execute(sa.select(*columns).where(*where)).one_or_none()
        if row is None:
            raise NotFound(objname=of.obj_name(), key=f"the primary key of the marker, {marker!r}")
        return row
