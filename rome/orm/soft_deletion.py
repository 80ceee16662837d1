"""Soft deletion: rows that are marked as deleted instead of being removed.

A model supports it if it has a column `deleted`, of one of three kinds:

    type of `deleted`      live row            deleted row
    Boolean                False               True
    integer                0                   the row's own id, so that a UNIQUE over (name, deleted) allows the
                                               name again, and any number of deleted rows of that name
    text                   the default         the row's own id as text

`deleted_at` gets the time of the deletion, in UTC without a time zone. `updated_at`, if there is one, keeps its value:
it is the time of the last change of the row's content.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import Boolean, ColumnElement, Integer, String, TypeDecorator, cast, inspect
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Mapper
from sqlalchemy.types import TypeEngine

ReadDeleted = Literal["no", "yes", "only"]
"""Which rows a query selects: live ones, all, or deleted ones only."""


@dataclass(frozen=True)
class SoftDeletion:
    """How a model marks its rows as deleted.

    `live` is the value of `deleted` in a live row. `key` is the attribute whose value is stored in `deleted` of a
    deleted row; None if True is stored.
    """

    mapper: Mapper[Any]
    live: object
    key: str | None

    def mark_row(self, row: Any) -> object:
        """Return the value of `deleted` that marks this row, a mapped object."""
        if self.key is None:
            return True
        own = getattr(row, self.key)
        return str(own) if isinstance(self.live, str) else own

    def mark_sql(self) -> object:
        """Return the value as an SQL expression, for an UPDATE of any number of rows."""
        if self.key is None:
            return True
        own = getattr(self.mapper.class_, self.key)
        return cast(own, String) if isinstance(self.live, str) and not isinstance(own.type, String) else own


def soft_deletion(entity: Any) -> SoftDeletion:
    """Return how rows of this entity (a mapped class or an alias) are marked as deleted.

    Raises InvalidRequestError, which names the column that the model lacks.
    """
    mapper = _mapper(entity)
    missing = [name for name in ("deleted", "deleted_at") if name not in mapper.column_attrs]
    if missing:
        raise InvalidRequestError(
            f"{mapper.class_.__name__} can't be soft-deleted: it has no column {' and no column '.join(missing)}"
        )
    live = _live_value(mapper)
    return SoftDeletion(mapper, live, None if isinstance(live, bool) else _own_key(mapper))


def visible(entity: Any, read_deleted: ReadDeleted) -> ColumnElement[bool] | None:
    """Return the condition that selects these rows of the entity, or None for all rows.

    All rows of a model without a column `deleted` are live; 'only' raises InvalidRequestError for it.
    """
    if read_deleted not in get_args(ReadDeleted):
        raise ValueError(f"read_deleted must be one of {', '.join(get_args(ReadDeleted))}; not {read_deleted!r}")
    mapper = _mapper(entity)
    if "deleted" not in mapper.column_attrs:
        if read_deleted == "only":
            raise InvalidRequestError(f"{mapper.class_.__name__} has no deleted rows: it has no column `deleted`")
        return None
    if read_deleted == "yes":
        return None
    live = _live_value(mapper)
    condition: ColumnElement[bool] = entity.deleted == live if read_deleted == "no" else entity.deleted != live
    return condition


def utcnow() -> datetime:
    """Return the current time in UTC, without a time zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def _mapper(entity: Any) -> Mapper[Any]:
    found = inspect(entity, raiseerr=False)
    if found is None or not hasattr(found, "mapper"):
        raise InvalidRequestError(f"soft deletion needs a mapped class; {entity!r} is none")
    mapper: Mapper[Any] = found.mapper
    return mapper


def _live_value(mapper: Mapper[Any]) -> object:
    column = mapper.column_attrs["deleted"].columns[0]
    kind: TypeEngine[Any] = column.type
    if isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, Integer):
        return 0
    default = getattr(column.default, "arg", None)
    if isinstance(kind, String) and isinstance(default, str):
        return default
    raise InvalidRequestError(
        f"{mapper.class_.__name__}.deleted must be a boolean, an integer, or a text with a default; "
        f"it is {column.type!r}"
    )


def _own_key(mapper: Mapper[Any]) -> str:
    """Return the attribute that identifies a row: `id`, or a primary key of one column."""
    if "id" in mapper.column_attrs:
        return "id"
    if len(mapper.primary_key) == 1:
        return mapper.get_property_by_column(mapper.primary_key[0]).key
    raise InvalidRequestError(f"{mapper.class_.__name__} can't be soft-deleted: it has no `id` to mark its rows with")
