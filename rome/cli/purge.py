"""`rome purge`: delete rows for good that were soft-deleted some time ago, in transactions of a few rows.

A row that another row refers to is never purged: neither by its foreign key's CASCADE or SET NULL, nor by leaving an
orphan. With --children, soft-deleted rows of the tables that refer to it are purged first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click

import rome
from rome.catalog.model import Catalog, ForeignKey, Table
from rome.cli.failures import CommandFailure, Interrupted, Terminated
from rome.cli.formats import write_rows
from rome.cli.opened import Opened, opened
from rome.cli.options import json_option, url_argument
from rome.cli.progress import progress_bar
from rome.cli.values import printable, to_json
from rome.errors import Conflict
from rome.folding import fold_name
from rome.sql.syntax.tokens import quoted

_ATTEMPTS = 20
_AGE = re.compile(r"(\d+)\s*(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Key = tuple[Any, ...]


class Moment(click.ParamType[datetime]):
    """A time in UTC: 2026-01-31, 2026-01-31T12:00, or an age as 90d, 12h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time, without a zone, as SQLAlchemy stores times."""
        if isinstance(value, datetime):
            return value
        age = _AGE.fullmatch(value.strip())
        try:
            if age is not None:
                return (datetime.now(UTC) - timedelta(**{_UNITS[age[2]]: int(age[1])})).replace(tzinfo=None)
            moment = datetime.fromisoformat(value.strip())
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write 2026-01-31, 2026-01-31T12:00, or an age as 90d or 12h", param, ctx)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment


@dataclass
class _PurgeCounts:
    """The rows of a table that were purged, and the keys of those that are kept because others refer to them."""

    purged: int = 0
    kept: set[Key] = field(default_factory=set)
    kept_by: set[str] = field(default_factory=set)
    """The names of the tables that refer to them."""


@click.command()
@url_argument
@click.argument("table")
@click.option("--before", required=True, type=Moment(), help="Purge rows that were deleted before this time (UTC).")
@click.option("--column", default="deleted_at", show_default=True, help="The column with the time of the deletion.")
@click.option("--batch", type=click.IntRange(1), default=500, show_default=True, help="Rows of a transaction.")
@click.option("--children", is_flag=True, help="Purge soft-deleted rows of tables that refer to it first.")
@click.option("--dry-run", is_flag=True, help="Count the rows. Delete nothing.")
@json_option
def purge(
    url: str, table: str, before: datetime, column: str, batch: int, children: bool, dry_run: bool, as_json: bool
) -> None:
    """Delete rows for good that were soft-deleted before a time.

    A row is soft-deleted if its column deleted_at has a time. Each batch is one transaction. Rows that other rows refer
    to are refused, or with --children kept if these are not purged as well.
    """
    with opened(url) as database:
        tables = _tables_in_order(database, table, column, children)
        catalog = database.catalog
    connection = rome.connect(url)
    work = _Purge(connection, catalog, column, before.isoformat(" ", "microseconds"), batch, dry_run)
    try:
        if not children:
            _demand_unreferenced(work, tables[0])
        with progress_bar() as bar:
            while True:
                task = bar.add_task("purging", total=None)
                purged = sum(work.purge_table(each, lambda rows, task=task: bar.advance(task, rows)) for each in tables)
                if not purged or not _refer_to_each_other(tables):
                    break
    except (KeyboardInterrupt, Terminated) as cause:
        done = sum(counts.purged for counts in work.counts.values())
        raise Interrupted(cause, f"{done:,} rows are purged, and the others are as they were") from None
    finally:
        connection.rollback()
        connection.close()
    _report(work, tables, dry_run, as_json)


def _tables_in_order(database: Opened, name: str, column: str, children: bool) -> list[Table]:
    """Return the tables to purge, children first. Raise CommandFailure if there is no such table or column."""
    table = database.table(name)
    if fold_name(column) not in table.by_name:
        raise CommandFailure(f"table {table.name} has no column {column}; --column names the one with the time")
    found: dict[str, Table] = {}

    def visit(parent: Table, path: tuple[str, ...]) -> None:
        for child, _ in _references(database.catalog, parent):
            if child.name not in (*found, *path) and fold_name(column) in child.by_name:
                visit(child, (*path, child.name))
        found[parent.name] = parent

    if children:
        visit(table, (table.name,))
    else:
        found[table.name] = table
    return list(found.values())


def _references(catalog: Catalog, parent: Table) -> Iterator[tuple[Table, ForeignKey]]:
    """Yield the foreign keys that refer to a table, each with its own table."""
    for child in catalog.tables.values():
        for key in child.foreign_keys:
            if fold_name(key.parent) == fold_name(parent.name) and key.is_resolved:
                yield child, key


def _refer_to_each_other(tables: Sequence[Table]) -> bool:
    """Return True if a table refers to itself, or to one that is purged before it."""
    names = [fold_name(table.name) for table in tables]
    return any(
        fold_name(key.parent) in names[: at + 1] for at, table in enumerate(tables) for key in table.foreign_keys
    )


class _Purge:
    """The purge of some tables over one connection."""

    def __init__(
        self, connection: rome.Connection, catalog: Catalog, column: str, before: str, batch: int, is_dry: bool
    ) -> None:
        self.counts: dict[str, _PurgeCounts] = {}
        self._connection = connection
        self._catalog = catalog
        self._column = column
        self._before = before
        self._batch = batch
        self._is_dry = is_dry
        self._gone: dict[str, set[Key]] = {}
        """By table: the keys of rows that a dry run would have deleted."""

    def purge_table(self, table: Table, advance: Any) -> int:
        """Purge the rows of a table, page by page. Return their number. Raise KeyboardInterrupt between two pages."""
        counts = self.counts.setdefault(table.name, _PurgeCounts())
        counts.kept.clear()
        counts.kept_by.clear()
        before, last = counts.purged, None
        while True:
            page, purged = self._retried(table, last)
            if not page:
                return counts.purged - before
            counts.purged += purged
            advance(purged)
            last = page[-1][: len(key_of(table))]

    def _retried(self, table: Table, last: Key | None) -> tuple[list[Key], int]:
        for _ in range(_ATTEMPTS):
            try:
                return self._purge_page(table, last)
            except Conflict as error:
                self._connection.rollback()
                conflict = error
        raise CommandFailure(f"others write to {table.name} all the time: {conflict}", "Conflict")

    def _purge_page(self, table: Table, last: Key | None) -> tuple[list[Key], int]:
        """Purge the soft-deleted rows among the next ones after a key. Return the page, and how many were purged."""
        key, gone = key_of(table), self._gone.setdefault(table.name, set())
        page = self._rows_after(table, last)
        due = {row[: len(key)] for row in page if self._is_due(row[len(key)])} - gone
        kept: set[Key] = set()
        for child, reference in _references(self._catalog, table):
            held = due & self._held(table, child, reference, due)
            kept |= held
            if held:
                self.counts[table.name].kept_by.add(child.name)
        self.counts[table.name].kept |= kept
        purged = sorted(due - kept)
        if self._is_dry:
            gone.update(purged)
        elif purged:
            condition = " AND ".join(f"{quoted(name)} = ?" for name in key)
            self._connection.executemany(f"DELETE FROM {quoted(table.name)} WHERE {condition}", purged)
            self._connection.commit()
        self._connection.rollback()
        return page, len(purged)

    def _rows_after(self, table: Table, last: Key | None) -> list[Key]:
        names = ", ".join(map(quoted, key_of(table)))
        marks = ", ".join("?" * len(key_of(table)))
        condition = "" if last is None else f" WHERE ({names}) > ({marks})" if "," in names else f" WHERE {names} > ?"
        sql = f"SELECT {names}, {quoted(self._column)} FROM {quoted(table.name)}{condition} ORDER BY {names} LIMIT ?"
        return self._connection.execute(sql, (*(last or ()), self._batch)).fetchall()

    def _is_due(self, deleted_at: Any) -> bool:
        """Return True for a time before the limit. Other values than texts are no times."""
        return isinstance(deleted_at, str) and deleted_at.replace("T", " ") < self._before

    def _held(self, table: Table, child: Table, reference: ForeignKey, due: Collection[Key]) -> set[Key]:
        """Return the keys of rows that rows of a child refer to, among those that are due."""
        if not due:
            return set()
        key, child_key = key_of(table), key_of(child)
        gone = self._gone.get(child.name, set())
        terms = zip(reference.columns, reference.parent_columns, strict=True)
        joined = " AND ".join(f"c.{quoted(own)} = p.{quoted(other)}" for own, other in terms)
        columns = ", ".join([*(f"p.{quoted(name)}" for name in key), *(f"c.{quoted(name)}" for name in child_key)])
        condition = " AND ".join(f"p.{quoted(name)} = ?" for name in key)
        rows: list[Key] = []
        if len(key) == 1:
            marks = ", ".join("?" * len(due))
            sql = f"SELECT {columns} FROM {quoted(table.name)} p JOIN {quoted(child.name)} c ON {joined}"
            sql += f" WHERE p.{quoted(key[0])} IN ({marks})"
            rows = self._connection.execute(sql, tuple(each for (each,) in due)).fetchall()
        else:
            sql = f"SELECT {columns} FROM {quoted(table.name)} p JOIN {quoted(child.name)} c ON {joined} WHERE "
            for each in due:
                rows += self._connection.execute(sql + condition, each).fetchall()
        own = child.name == table.name  # a row may refer to itself
        return {
            row[: len(key)]
            for row in rows
            if row[len(key) :] not in gone and not (own and row[: len(key)] == row[len(key) :])
        }


def key_of(table: Table) -> tuple[str, ...]:
    """Return the columns that identify a row: those of its key, or the hidden rowid."""
    return table.key or (table.rowid_name or "rowid",)


def _demand_unreferenced(work: _Purge, table: Table) -> None:
    """Raise CommandFailure if rows that are to be purged are referred to. Nothing is deleted."""
    trial = _Purge(work._connection, work._catalog, work._column, work._before, work._batch, is_dry=True)
    while trial.purge_table(table, lambda _: None) and _refer_to_each_other([table]):
        pass
    counts = trial.counts[table.name]
    if counts.kept:
        raise CommandFailure(
            f"{len(counts.kept):,} of the rows can't be purged, because rows of {', '.join(sorted(counts.kept_by))} "
            "refer to them; nothing is purged. --children purges the soft-deleted rows of these tables first, and "
            "keeps what is still referred to",
            "ForeignKey",
        )


def _report(work: _Purge, tables: Sequence[Table], is_dry: bool, as_json: bool) -> None:
    found = [(table.name, work.counts[table.name]) for table in tables]
    if as_json:
        report = [
            {"table": name, "purged": counts.purged, "kept": len(counts.kept), "kept for": sorted(counts.kept_by)}
            for name, counts in found
        ]
        click.echo(to_json({"dry run": is_dry, "tables": report}))
        return
    columns = ("table", "to purge" if is_dry else "purged", "kept", "referred to by")
    write_rows(
        columns,
        [(printable(name), each.purged, len(each.kept), ", ".join(sorted(each.kept_by))) for name, each in found],
    )
