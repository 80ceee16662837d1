"""`rome watch`: commits as they happen, with the old and new values of rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import click

from rome.catalog.model import Catalog, Table
from rome.catalog.rows import read_row
from rome.cli.failures import CommandFailure
from rome.cli.options import json_option, url_argument
from rome.cli.values import jsonable, printable, shown, to_json
from rome.database.database import Database
from rome.database.registry import open_database, release_database
from rome.errors import FormatError, SnapshotTooOld
from rome.folding import fold_name
from rome.storage.store import CATALOG, Committed, rows_space
from rome.url import parse_url
from rome.values import is_identical


class WatchedChange(NamedTuple):
    """A row before and after a commit; None where it did not exist."""

    version: int
    table: Table
    key: bytes
    old: bytes | None
    new: bytes | None

    @property
    def verb(self) -> str:
        """The kind of the change."""
        return "INSERT" if self.old is None else "DELETE" if self.new is None else "UPDATE"


@click.command()
@url_argument
@click.argument("table", required=False)
@click.option("--since", type=click.IntRange(0), help="Begin after this version.  [default: the newest]")
@click.option("--seconds", type=float, help="End after this time.  [default: at Ctrl-C]")
@click.option(
    "--interval", type=click.FloatRange(0.01), default=0.5, show_default=True, help="Seconds between two looks."
)
@json_option
def watch(
    url: str, table: str | None, since: int | None, seconds: float | None, interval: float, as_json: bool
) -> None:
    """Show commits as they happen, with the old and new values of each row.

    With --json, each change is one line. The commits are read from the log, so none is missed unless the log is
    shorter than the interval.
    """
    database = open_database(parse_url(url))
    try:
        seen = database.store.fetch([])
        if table is not None and database.catalog(seen).table(table) is None:
            raise CommandFailure(f"no such table: {table}", "NoSuchTable")
        version = seen.version if since is None else since
        ends = None if seconds is None else time.monotonic() + seconds
        while True:
            commits = list(database.store.changes(version))
            for change in _announced(database, commits):
                if table is None or fold_name(change.table.name) == fold_name(table):
                    _write(change, as_json)
            if commits:
                version = commits[-1].version
            if ends is not None and time.monotonic() >= ends:
                return
            time.sleep(interval if ends is None else min(interval, max(0, ends - time.monotonic())))
    except SnapshotTooOld as error:
        raise CommandFailure(f"the log does not reach back to version {version}; begin later") from error
    except KeyboardInterrupt:
        return
    finally:
        release_database(database)


def _announced(database: Database, commits: Sequence[Committed]) -> Iterator[WatchedChange]:
    """Announce the commits that have changed the schema. Yield the changes of rows, oldest first."""
    if not commits:
        return
    catalog = database.catalog(database.store.fetch([], commits[-1].version))
    for commit in commits:
        if any(change.space == CATALOG for change in commit.changes):
            click.echo(f"version {commit.version}: the schema changed; {len(catalog.tables)} tables", err=True)
    yield from row_changes(commits, catalog)


def row_changes(commits: Iterable[Committed], catalog: Catalog) -> Iterator[WatchedChange]:
    """Yield the changes of rows that commits have made, as far as the catalog has their tables."""
    spaces = {rows_space(table.id): table for table in catalog.tables.values()}
    for version, changes in commits:
        for space, key, old, new in changes:
            if space in spaces and not old is new is None:
                yield WatchedChange(version, spaces[space], key, old, new)


def _write(change: WatchedChange, as_json: bool) -> None:
    if as_json:
        old, new = decoded(change, change.old), decoded(change, change.new)
        sides = {
            side: row and {column: jsonable(value) for column, value in row.items()}
            for side, row in (("old", old), ("new", new))
        }
        head = {"version": change.version, "table": change.table.name, "change": change.verb}
        click.echo(to_json({**head, **sides}, indent=None))
        return
    colour = {"INSERT": "green", "UPDATE": "yellow", "DELETE": "red"}[change.verb]
    click.echo(
        f"{change.version} {click.style(change.verb, fg=colour)} {printable(change.table.name)} {summary(change)}"
    )


def summary(change: WatchedChange) -> str:
    """Return the values of a new or deleted row, or what has changed in one, as one line."""
    old, new = decoded(change, change.old), decoded(change, change.new)
    if old is not None and new is not None:
        key = ", ".join(f"{each}={shown(new.get(each))}" for each in change.table.key)
        changed = [column for column, value in new.items() if not is_identical((old.get(column),), (value,))]
        text = ", ".join(f"{column}: {shown(old.get(column))} → {shown(new[column])}" for column in changed)
        return f"({key}) {text}" if key else text
    return ", ".join(f"{name}={shown(value)}" for name, value in (new or old or {}).items())


def decoded(change: WatchedChange, data: bytes | None) -> dict[str, Any] | None:
    """Return a row by its columns; its bytes, if it does not decode under the newest schema."""
    if data is None:
        return None
    try:
        names = [column.name for column in change.table.stored]
        return dict(zip(names, read_row(change.table, change.key, data), strict=True))
    except FormatError:
        return {column.name: None for column in change.table.stored} | {"bytes": data}
