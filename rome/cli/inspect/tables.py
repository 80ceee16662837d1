"""`rome tables`: the tables of a database, with their rows, bytes and indexes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from rome.catalog.model import Index, Table
from rome.cli.formats import write_rows
from rome.cli.opened import Opened, opened
from rome.cli.options import json_option, url_argument
from rome.cli.values import to_json
from rome.storage.store import LAST, Count, Range, Request, index_space, rows_space

_SAMPLE = 100
"""The rows at each end of a space from which its bytes are estimated."""


@click.command()
@url_argument
@click.option("--exact", is_flag=True, help="Read everything and count its bytes, instead of an estimate.")
@json_option
def tables(url: str, exact: bool, as_json: bool) -> None:
    """List the tables of a database: rows, bytes, indexes.

    Bytes are those of ROME's keys and values, without what the store adds to them. They are estimated from the first
    and last rows of each table, unless all of them are read with --exact.
    """
    with opened(url) as database:
        found = [described(database, table, exact) for table in database.catalog.tables.values()]
        views = [item.name for item in database.catalog.objects.values() if item.type == "view"]
    found.sort(key=lambda each: str(each["table"]))
    if as_json:
        click.echo(to_json({"version": database.version, "tables": found, "views": views}))
        return
    if not found:
        click.echo(f"{database.url} has no tables.")
        return
    write_rows(
        ("table", "rows", "row bytes", "index bytes", "indexes"),
        [
            (
                each["table"],
                each["rows"],
                each["bytes"],
                sum(index["bytes"] for index in each["indexes"]),
                ", ".join(index["name"] for index in each["indexes"]),
            )
            for each in found
        ],
    )
    if views:
        click.echo(f"views: {', '.join(views)}")
    if not exact:
        click.echo("Bytes are estimates; --exact counts them.", err=True)


def described(database: Opened, table: Table, exact: bool) -> dict[str, Any]:
    """Return a table's rows, bytes, key and indexes; bytes are estimated unless `exact`."""
    rows, size = _measured(database, rows_space(table.id), exact)
    return {
        "table": table.name,
        "rows": rows,
        "bytes": size,
        "key": list(table.key) or [table.rowid_name or "rowid"],
        "indexes": [
            {
                "name": name_of(index),
                "columns": [column or term for column, term in _terms(index)],
                "unique": index.unique,
                "partial": index.partial,
                "bytes": _measured(database, index_space(index.id), exact)[1],
            }
            for index in table.indexes
        ],
    }


def name_of(index: Index) -> str:
    """Return the name of an index; for one that ROME made for a foreign key, its columns."""
    return index.name or f"foreign key ({', '.join(column for column in index.columns if column)})"


def _terms(index: Index) -> list[tuple[str | None, str]]:
    return list(zip(index.columns, index.terms or ("",) * len(index.columns), strict=False))


def _measured(database: Opened, space: bytes, exact: bool) -> tuple[int, int]:
    """Return the number of a space's keys, and the bytes of its keys and values."""
    if exact:
        pages = [(len(page), _bytes(page)) for page in database.pages(space)]
        return sum(count for count, _ in pages), sum(size for _, size in pages)
    requests: list[Request] = [Count(space, ((b"", LAST),))]
    requests += [Range(space, limit=_SAMPLE, reverse=reverse) for reverse in (False, True)]
    number, first, last = database.store.fetch(requests, database.version).answers
    if number <= _SAMPLE:
        return number, _bytes(first)
    return number, round(_bytes([*first, *last]) / (len(first) + len(last)) * number)


def _bytes(pairs: Sequence[tuple[bytes, bytes]]) -> int:
    return sum(len(key) + len(value) for key, value in pairs)
