"""`sqlite+rome://`: the dialect under the name `sqlite`, for programs that look at the dialect's name.

Programs branch on `dialect.name`: to choose an upsert, a type variant, an `@compiles` construct, or a migration. Those
that know SQLite and not ROME work with this dialect. SQL, types, isolation levels and stores are those of
`RomeDialect`. What differs is what SQLite does differently:

* Foreign keys are not enforced unless `PRAGMA foreign_keys = ON` or the option `foreign_keys=on` says so. Alembic's
  batch mode, which it uses for SQLite, relies on it: it drops a table that others refer to.
* Alembic's own implementation for SQLite runs migrations. ALTER operations need batch mode.
* Constraints that were declared without a name have none in reflection.
* `create_engine(connect_args=…)` takes the arguments of the sqlite3 module.
* The path of a file is relative with three slashes and absolute with four.

Programs that take a URL which begins with `sqlite` for the path of a file have this dialect by the option
`dialect=sqlite` of a `rome+…` URL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import URL

from rome.dialect import compat14
from rome.dialect.base import RomeDialect
from rome.url import parse_url

_WITHOUT_EFFECT = frozenset({"cached_statements", "check_same_thread", "factory", "uri"})
"""Arguments of `sqlite3.connect` that are about its own connections."""

_BEGIN_MODES = ("", "DEFERRED", "IMMEDIATE", "EXCLUSIVE")
"""The values of sqlite3's `isolation_level` that say how a transaction begins."""


@compat14.adapt
class SqliteRomeDialect(RomeDialect):
    """ROME's dialect under the name of SQLite's."""

    name = "sqlite"
    async_class = "SqliteRomeAsyncDialect"
    supports_statement_cache = True
    names_constraints = False
    favor_returning_over_lastrowid = False  # an INSERT of one row returns no rows on SQLite

    def create_connect_args(self, url: URL) -> tuple[Sequence[Any], dict[str, Any]]:
        """Return the arguments of `connect`. Raises InterfaceError for a URL that is not one of ROME's."""
        parsed = parse_url(url.render_as_string(hide_password=False))
        given = {name: value for name, value in parsed.options.items() if name in (*_WITHOUT_EFFECT, "timeout")}
        store_url = URL.create(
            f"rome+{parsed.store}",
            parsed.user,
            parsed.password,
            parsed.host,
            parsed.port,
            parsed.database,
            {name: value for name, value in parsed.options.items() if name not in given},
        )
        arguments, _ = super().create_connect_args(store_url)
        return arguments, {"foreign_keys": parsed.options.get("foreign_keys", "off"), **given}

    def _note_store(self, store: str) -> None:
        """Leave the driver's name as it is: the URL names the driver, and not the store."""

    def connect(self, *arguments: Any, **options: Any) -> Any:
        """Connect with arguments that may be those of the sqlite3 module."""
        return super().connect(*arguments, **driver_options(options))


def driver_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `rome.connect` for arguments of `sqlite3.connect`. Others are passed on.

    >>> driver_options({"check_same_thread": False, "timeout": 5, "isolation_level": None})
    {'lock_timeout': 5, 'isolation_level': 'AUTOCOMMIT'}
    """
    kept = {name: value for name, value in options.items() if name not in _WITHOUT_EFFECT}
    if "timeout" in kept:
        kept["lock_timeout"] = kept.pop("timeout")
    if not kept.get("detect_types", True):
        del kept["detect_types"]
    if "isolation_level" in kept:
        level = kept.pop("isolation_level")
        if level is None:
            kept["isolation_level"] = "AUTOCOMMIT"
        elif level.upper() not in _BEGIN_MODES:
            kept["isolation_level"] = level
    return kept
