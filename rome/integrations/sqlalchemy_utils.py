"""`sqlalchemy_utils.database_exists` for ROME. Importing this module replaces a function that it calls.

For a dialect that it does not know, SQLAlchemy-Utils takes a database for existing if a connection to it executes
`SELECT 1`. A ROME database needs not exist for that. (`create_database` and `drop_database` need no help: they execute
CREATE DATABASE and DROP DATABASE by a URL without the name of a database.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Engine

from rome.database.registry import database_exists
from rome.url import parse_url


def first_value(original: Callable[[Engine, Any], Any], engine: Engine, statement: Any) -> Any:
    """Return what SQLAlchemy-Utils' function returns; for a ROME database, if it exists."""
    if engine.dialect.name != "rome":
        return original(engine, statement)
    (url,), _ = engine.dialect.create_connect_args(engine.url)
    return database_exists(parse_url(url))


def _register() -> None:
    module: Any = sys.modules.get("sqlalchemy_utils.functions.database")
    original = getattr(module, "_get_scalar_result", None)
    if original is not None:
        module._get_scalar_result = lambda engine, statement: first_value(original, engine, statement)


_register()
