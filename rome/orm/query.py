"""SQLAlchemy's Query, which can also run without a session, with methods for soft deletion.

A query with a session behaves like SQLAlchemy's: its objects belong to the session, its changes to the session's
transaction. A query without a session is *stand-alone*:

* Each call that runs it (`all`, `first`, `one`, iteration, `count`, `update` …) is one transaction in a temporary
  session on the configured database. It is committed and closed before the call returns. So each call reads the newest
  version, the query may be shared between threads, and it holds no connection between calls.
* Its objects are *detached*: everything that the query loaded can be read at any time and in any thread. Relationships
  that it did not load raise DetachedInstanceError: load them with the query, `.options(selectinload(Server.disks))`, or
  use a session.
* To write a detached object back, use `session.add(object)` or, for an `Entity`, `object.save()`.

    >>> from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
    >>> from rome.orm import Entity, Query, engine_for
    >>> class Base(DeclarativeBase): pass
    >>> class Dog(Entity, Base):
    ...     __tablename__ = "dogs"
    ...     id: Mapped[int] = mapped_column(primary_key=True)
    ...     name: Mapped[str]
    >>> Base.metadata.create_all(engine_for())
    >>> dog = Dog(name="Snoopy").save()
    >>> [found.name for found in Query(Dog).filter(Dog.name.like("S%"))]
    ['Snoopy']
    >>> Query(Dog).update({"name": "Rintintin"})
    1
    >>> Query(Dog.name).all()
    [('Rintintin',)]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, overload

from sqlalchemy import orm
from sqlalchemy.exc import InvalidRequestError

from rome.orm import update_match
from rome.orm.config import engine_for
from rome.orm.soft_deletion import ReadDeleted, soft_deletion, utcnow, visible

_T = TypeVar("_T", bound=Any)
_O = TypeVar("_O")

Owner = orm.Session | orm.scoped_session[Any]
"""The session of a query."""

Synchronize = Literal[False, "auto", "evaluate", "fetch"]
"""How an UPDATE or DELETE updates the session's objects, as in SQLAlchemy."""


class Query(orm.Query[_T]):
    """`Query(A)`, `Query(A, B)`, `Query(A.id, func.count())`: stand-alone, or with `session=` in a session.

    SQLAlchemy's form, `Query([A, B], session)`, works as well.
    """

    @overload
    def __init__(self: Query[_O], entity: type[_O], /, *, session: Owner | None = None) -> None: ...

    @overload
    def __init__(self: Query[Any], *entities: Any, session: Owner | None = None) -> None: ...

    def __init__(self, *entities: Any, session: Owner | None = None) -> None:
        if entities and (entities[-1] is None or isinstance(entities[-1], orm.Session | orm.scoped_session)):
            *entities, session = entities  # type: ignore[assignment]  # SQLAlchemy's form
        if len(entities) == 1 and isinstance(entities[0], list | tuple):
            (entities,) = entities
        super().__init__(entities, session)  # type: ignore[arg-type]  # a scoped_session acts as a Session

    @contextmanager
    def _attached(self) -> Iterator[Query[_T]]:
        """Yield this query, or if it is stand-alone, the same query in a temporary session's transaction."""
        if self.session is not None:
            yield self
            return
        with orm.Session(engine_for(), expire_on_commit=False, query_cls=Query) as session, session.begin():
            yield self.with_session(session)

    # These are documented by SQLAlchemy; a stand-alone query gets a session to run in.

    def all(self) -> list[_T]:  # noqa: D102
        with self._attached() as query:
            return super(Query, query).all()

    def __iter__(self) -> Iterator[_T]:
        if self.session is not None:
            return super().__iter__()
        return iter(self.all())

    def first(self) -> _T | None:  # noqa: D102
        with self._attached() as query:
            return super(Query, query).first()

    def one_or_none(self) -> _T | None:  # noqa: D102
        with self._attached() as query:
            return super(Query, query).one_or_none()

    def one(self) -> _T:  # noqa: D102
        with self._attached() as query:
            return super(Query, query).one()

    def scalar(self) -> Any:  # noqa: D102
        with self._attached() as query:
            return super(Query, query).scalar()

    def count(self) -> int:  # noqa: D102
        with self._attached() as query:
            return super(Query, query).count()

    def get(self, ident: Any) -> _T | None:  # noqa: D102
        with self._attached() as query:
            return super(Query, query).get(ident)

    def update(  # noqa: D102
        self,
        values: dict[Any, Any],
        synchronize_session: Synchronize = "auto",
        update_args: dict[Any, Any] | None = None,
    ) -> int:
        with self._attached() as query:
            return super(Query, query).update(values, synchronize_session, update_args)

    def delete(  # noqa: D102
        self, synchronize_session: Synchronize = "auto", delete_args: dict[Any, Any] | None = None
    ) -> int:
        with self._attached() as query:
            return super(Query, query).delete(synchronize_session, delete_args)

    def read_deleted(self, read_deleted: ReadDeleted) -> Query[_T]:
        """Select live rows ('no'), all rows ('yes') or deleted rows ('only') of the query's first entity.

        A model without a column `deleted` has only live rows; 'only' raises InvalidRequestError for it.
        """
        condition = visible(self._first_entity(), read_deleted)
        return self if condition is None else self.filter(condition)

    def soft_delete(self, synchronize_session: Synchronize = "evaluate") -> int:
        """Mark the rows of this query as deleted, in one UPDATE. Return their number.

        This sets `deleted` to the row's id (True if it is a boolean) and `deleted_at` to now, and keeps `updated_at`.
        Rows that are marked already are marked again, unless `read_deleted('no')` excludes them. Raises
        InvalidRequestError if the model lacks the columns for it.
        """
        entity = self._first_entity()
        markers = soft_deletion(entity)
        values: dict[Any, Any] = {"deleted": markers.mark_sql(), "deleted_at": utcnow()}
        if "updated_at" in markers.mapper.column_attrs:
            values["updated_at"] = entity.updated_at  # otherwise its onupdate would change it
        return self.update(values, synchronize_session)

    def update_on_match(
        self,
        specimen: _T,
        surrogate_key: str | Iterable[str],
        values: Mapping[str, Any] | None = None,
        *,
        attempts: int = 3,
        include_only: Collection[str] | None = None,
        process_query: Callable[[Query[_T]], Query[_T]] | None = None,
        handle_failure: Callable[[Query[_T]], bool | None] | None = None,
    ) -> _T:
        """Update the one row that matches the specimen: see `rome.orm.update_match.update_on_match`."""
        with self._attached() as query:
            return update_match.update_on_match(
                query,
                specimen,
                surrogate_key,
                values,
                attempts=attempts,
                include_only=include_only,
                process_query=process_query,
                handle_failure=handle_failure,
            )

    def _first_entity(self) -> Any:
        entity = next((found["entity"] for found in self.column_descriptions if found["entity"] is not None), None)
        if entity is None:
            raise InvalidRequestError(f"this query has no mapped class: {self}")
        return entity


def model_query(
    context: Any,
    model: Any,
    args: Iterable[Any] | None = None,
    *,
    read_deleted: ReadDeleted | None = None,
) -> Query[Any]:
    """Return a query of a model, or of `args` (its columns), by default without deleted rows.

    `context` is a session; or an object with a `session` and, like the contexts of services, a `read_deleted`, which is
    the default of the argument; or None for a stand-alone query.

    >>> from types import SimpleNamespace
    >>> from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
    >>> class Base(DeclarativeBase): pass
    >>> class Cat(Base):
    ...     __tablename__ = "cats"
    ...     id: Mapped[int] = mapped_column(primary_key=True)
    ...     deleted: Mapped[int] = mapped_column(default=0)
    >>> print(model_query(None, Cat, (Cat.id,)).whereclause)
    cats.deleted = :deleted_1
    >>> print(model_query(SimpleNamespace(session=None, read_deleted="only"), Cat).whereclause)
    cats.deleted != :deleted_1
    """
    default: ReadDeleted
    if context is None or isinstance(context, orm.Session | orm.scoped_session):
        session, default = context, "no"
    else:
        session, default = context.session, getattr(context, "read_deleted", "no")
    query: Query[Any] = Query(*(args or (model,)), session=session)
    condition = visible(model, read_deleted or default)
    return query if condition is None else query.filter(condition)
