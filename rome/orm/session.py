"""SQLAlchemy's Session with the configured database as its default."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from sqlalchemy import URL, orm

from rome.orm.config import engine_for
from rome.orm.query import Query

_O = TypeVar("_O", bound=Any)


class Session(orm.Session):
    """A Session that needs no engine: `Session()` uses the configured database, `Session(url=...)` that of the URL.

    Otherwise it is SQLAlchemy's, with the same arguments and defaults. `bind` (an engine or connection) takes
    precedence over `url`; `binds` alone is enough, too. `query` returns a `rome.orm.Query`.

    >>> from sqlalchemy import text
    >>> with Session(url="rome+memory:///session") as session:
    ...     session.scalar(text("SELECT 6 * 7"))
    42

    Raises InterfaceError if neither the arguments nor the environment nor a file name a database.
    """

    def __init__(
        self,
        bind: Any = None,
        *,
        url: str | URL | None = None,
        binds: Any = None,
        query_cls: type[orm.Query[Any]] = Query,
        **options: Any,
    ) -> None:
        if bind is None and (url is not None or not binds):
            bind = engine_for(url)
        super().__init__(bind, binds=binds, query_cls=query_cls, **options)

    @overload  # type: ignore[override]  # narrower: SQLAlchemy's overloads return its own Query
    def query(self, entity: type[_O], /) -> Query[_O]: ...

    @overload
    def query(self, *entities: Any, **options: Any) -> Query[Any]: ...

    def query(self, *entities: Any, **options: Any) -> orm.Query[Any]:
        """Return a query of these entities in this session."""
        query: orm.Query[Any] = super().query(*entities, **options)
        return query
