"""The databases of a copy as SQLAlchemy engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from rome.cli.failures import CommandFailure
from rome.cli.options import as_rome_url
from rome.url import with_one_host

_NATIVE = frozenset({"rome", "sqlite"})


def engine_of(text: str) -> Engine:
    """Return an engine for a URL or a path: of an SQLite file if there is one, else of a ROME file.

    Foreign keys are not enforced in ROME and SQLite, so that tables may refer to each other and to themselves.
    """
    url = as_rome_url(text)
    if url.startswith("rome+file:") and _is_sqlite(Path(text).expanduser()):
        url = f"sqlite:///{Path(text).expanduser()}"
    try:
        engine = create_engine(with_one_host(url), poolclass=NullPool)
    except (ArgumentError, NoSuchModuleError) as error:
        raise CommandFailure(f"not a database URL: {text}: {error}", "InvalidURL") from None
    except ModuleNotFoundError as error:
        raise CommandFailure(
            f"the package {error.name} is needed for {text.partition(':')[0]}: pip install it"
        ) from None
    if engine.dialect.name == "rome":
        event.listen(engine, "connect", _switch_foreign_keys_off)
    return engine


def _switch_foreign_keys_off(connection: Any, _: object) -> None:
    connection.foreign_keys = False


def is_native(engine: Engine) -> bool:
    """Return True if a database has SQLite's dialect and storage classes."""
    return engine.dialect.name in _NATIVE


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(15) == b"SQLite format 3"
    except OSError:
        return False
