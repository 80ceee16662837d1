"""The databases of a copy as SQLAlchemy engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from rome.cli.failures import CommandFailure
from rome.cli.options import as_rome_url
from rome.storage.file.tables import APPLICATION_ID
from rome.url import with_one_host

_NATIVE = frozenset({"rome", "sqlite"})
_WITH_SNAPSHOTS = frozenset({"postgresql", "mysql", "mariadb"})
"""Databases whose transactions may read one state for hours, without holding up those that write."""
_ONE_STATE = "rome_reads_one_state"


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


def read_one_state(connection: Connection) -> Connection:
    """Let a source that can do it answer from one state until it is closed. Return the connection."""
    if connection.dialect.name not in _WITH_SNAPSHOTS:
        return connection
    return connection.execution_options(isolation_level="REPEATABLE READ", **{_ONE_STATE: True})


def end_reading(connection: Connection) -> None:
    """End the transaction in which a batch was read, unless the connection reads one state."""
    if not connection.get_execution_options().get(_ONE_STATE):
        connection.rollback()


def _switch_foreign_keys_off(connection: Any, _: object) -> None:
    connection.foreign_keys = False


def is_native(engine: Engine) -> bool:
    """Return True if a database has SQLite's dialect and storage classes."""
    return engine.dialect.name in _NATIVE


def _is_sqlite(path: Path) -> bool:
    """Return True for a file of SQLite that is not a database of ROME, which is also one."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError:
        return False
    # https://www.sqlite.org/fileformat.html, section 1.3: the application id is at offset 68.
    return head.startswith(b"SQLite format 3\0") and int.from_bytes(head[68:72], "big") != APPLICATION_ID
