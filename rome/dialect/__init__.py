"""SQLAlchemy on ROME: `create_engine("rome+redis://localhost:6379/app")`.

`RomeDialect` is SQLAlchemy's SQLite dialect on ROME's driver. SQL, types and reflection are SQLite's, and the
`sqlite_*` arguments of tables, columns, indexes and constraints (`sqlite_where`, `sqlite_autoincrement`, …) have the
same meaning. The dialect's name is `rome`; `rome.dialect.type_compiler` explains which lookups by name fall back to
`sqlite`. `sqlite+rome://…` URLs lead to the same dialect under the name `sqlite` (`rome.dialect.sqlite_name`).

`insert` makes an INSERT that supports ON CONFLICT.

A package that registers a store under `rome.stores` also registers the dialect under the store's name:

    [options.entry_points]
    sqlalchemy.dialects =
        rome.fancy = rome.dialect:RomeDialect
"""

from rome.dialect.base import RomeDialect
from rome.dialect.dml import Insert, insert
from rome.dialect.sqlite_name import SqliteRomeDialect

__all__ = ["Insert", "RomeDialect", "SqliteRomeDialect", "insert"]
