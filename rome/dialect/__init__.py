"""SQLAlchemy on ROME: `create_engine("rome+redis://localhost:6379/app")`.

`RomeDialect` is SQLAlchemy's SQLite dialect on ROME's driver, so SQL, types and reflection are SQLite's, and the
`sqlite_*` arguments of tables, columns, indexes and constraints (`sqlite_where`, `sqlite_autoincrement`, …) mean what
they mean there. What is told apart by the dialect's name is named `rome`; `rome.dialect.variants` says which of it is
taken from `sqlite`.

`insert` is the INSERT with ON CONFLICT.

A store that registers itself under `rome.stores` also registers the dialect under its name:

    [options.entry_points]
    sqlalchemy.dialects =
        rome.fancy = rome.dialect:RomeDialect
"""

from rome.dialect.base import RomeDialect
from rome.dialect.dml import Insert, insert

__all__ = ["Insert", "RomeDialect", "insert"]
