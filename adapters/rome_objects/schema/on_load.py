"""The migration of the rows that this process loads, while the migration in the background is not done.

A process of the new release knows only the new form of the data. Before it reads rows that may have only the old form,
it migrates them:

* The row with a key, or the rows of a query that selects and sorts by columns that both releases have: these rows, in
  the same transaction.
* The rows of another query: all rows that remain, in transactions of their own. Then the call runs again.

When a mirror is done, this process forgets it. Without a mirror, the functions here are not called.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors

from rome.errors import Conflict
from rome_objects import database
from rome_objects.errors import SchemaError
from rome_objects.schema import background, state
from rome_objects.schema.mirrors import Key, Mirror

if TYPE_CHECKING:  # it imports Alembic, which most processes do not need
    from rome_objects.schema.releases import Release

pending: dict[str, list[Mirror]] = {}
"""Table of the new form → its mirrors that are not done."""

_UNKNOWN = ""
"""The entry in `pending` of a process that has not opened its database yet, so that it looks there."""


def checker(releases: Sequence[Release]) -> Callable[[sa.Engine], None] | None:
    """Return what a process of the newest of these releases calls when it opens its database; None without releases."""
    pending.clear()
    if not releases:
        return None
    pending[_UNKNOWN] = []
    return partial(check, releases=releases)


def check(engine: sa.Engine, releases: Sequence[Release]) -> None:
    """Compare the database with the newest of these releases, the one of this process, and find what is to be migrated.

    Raise SchemaError if the database does not have that release's form of the data.
    """
    release = releases[-1]
    with engine.connect() as connection:
        found = state.read(connection)
        if release.name not in (found.expanded, found.contracted):
            before = found.expanded is None or found.expanded in [known.name for known in releases]
            advice = "run `rome-schema expand` first" if before else "upgrade this process"
            raise SchemaError(
                reason=f"this process is of release {release.name}, and the database of {found.expanded}: {advice}"
            )
        pending.clear()
        for mirror in release.mirrors:
            progress = found.progress.get(mirror.name)
            if progress is not None and not progress.done:
                pending.setdefault(mirror.target, []).append(mirror)


def row(table: sa.Table, key: Key) -> None:
    """Migrate the row with this primary key."""
    for mirror in _open(table):
        _fill(mirror, table, [key])


def before(statement: sa.Select[Any]) -> None:
    """Migrate the rows that a SELECT will return."""
    for table, source in _sources(statement):
        for mirror in _open(table):
            key = _given_key(statement, source)
            if key is not None:
                _fill(mirror, table, [key])
                continue
            if mirror.uses(_columns(statement, source)):
                _finish(mirror)
            found = database.connection().execute(statement.with_only_columns(*source.primary_key))
            _fill(mirror, table, [tuple(values) for values in found if None not in values])


def before_count(table: sa.Table, statement: sa.Select[Any]) -> None:
    """Migrate all rows if a condition of a SELECT that counts rows can only be evaluated then."""
    for mirror in _open(table):
        if mirror.uses(_columns(statement, table)):
            _finish(mirror)


def parents(table: sa.Table) -> None:
    """Migrate the moved tables that a new row may refer to."""
    for parent in {key.column.table for key in table.foreign_keys}:
        for mirror in _open(parent):
            if mirror.uses(()):
                _finish(mirror)


def _open(table: sa.Table) -> list[Mirror]:
    """Return the mirrors of a table that are not done yet. Another process may have finished some."""
    connection = database.connection()  # opening the database finds what is pending
    found = pending.get(table.name, [])
    if not found:
        return found
    progress = [(mirror, state.read_progress(connection, mirror)) for mirror in found]
    unfinished = [mirror for mirror, seen in progress if seen is not None and not seen.done]
    if unfinished:
        pending[table.name] = unfinished
    else:
        pending.pop(table.name, None)
    return unfinished


def _fill(mirror: Mirror, table: sa.Table, keys: Sequence[Key]) -> None:
    if keys:
        columns = list(table.primary_key)
        values = [[sa.literal(part, column.type) for part, column in zip(key, columns, strict=True)] for key in keys]
        names = mirror.source_key([column.name for column in columns])
        database.connection().execute(mirror.fill(names, values))


def _finish(mirror: Mirror) -> NoReturn:
    """Migrate all rows, and let the call run again: its transaction does not see them."""
    background.migrate(database.engine(), mirror)
    raise Conflict(f"the rows of {mirror.name} were migrated meanwhile: run the transaction again")


def _sources(statement: sa.Select[Any]) -> Iterator[tuple[sa.Table, Any]]:
    """Yield each table of a SELECT, with the table or alias by which the SELECT names it."""
    left = list(statement.get_final_froms())
    while left:
        source = left.pop()
        if isinstance(source, sa.Join):
            left += [source.left, source.right]
        elif isinstance(source, sa.Alias) and isinstance(source.element, sa.Table):
            yield source.element, source
        elif isinstance(source, sa.Table):
            yield source, source


def _given_key(statement: sa.Select[Any], source: Any) -> Key | None:
    """Return the primary key that a SELECT names; None if it selects by something else."""
    given = {}
    for condition in _conjuncts(statement.whereclause):
        if isinstance(condition, sa.BinaryExpression) and condition.operator is operator.eq:
            given[condition.left] = getattr(condition.right, "value", None)
    values = [given.get(column) for column in source.primary_key]
    return None if None in values else values


def _conjuncts(condition: Any) -> list[Any]:
    """Return the parts of a condition that all have to be true."""
    if isinstance(condition, sa.BooleanClauseList) and condition.operator is operators.and_:
        return [part for clause in condition.clauses for part in _conjuncts(clause)]
    return [condition]


def _columns(statement: sa.Select[Any], source: Any) -> set[str]:
    """Return the columns of a table or alias by which a SELECT selects and sorts."""
    parts = [part for part in (statement.whereclause, *statement._order_by_clauses) if part is not None]
    found = (element for part in parts for element in visitors.iterate(part))
    return {element.name for element in found if isinstance(element, sa.Column) and element.table is source}
