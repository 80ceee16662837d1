"""`rome keys`: the rows and index entries of a table as they lie in the store, decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from rome.catalog.model import Index, Table
from rome.catalog.rows import decode_row, read_row
from rome.cli.failures import CommandFailure
from rome.cli.inspect.tables import name_of
from rome.cli.opened import Opened, opened
from rome.cli.options import json_option, url_argument
from rome.cli.values import jsonable, shown, to_json
from rome.errors import FormatError
from rome.storage.keys import decode, row_key_of
from rome.storage.store import index_space, rows_space
from rome.values import SqlValue


class _Shown(NamedTuple):
    """A key of a space, decoded. `fault`: the reason why it does not decode."""

    space: bytes
    key: bytes
    value: bytes
    decoded: dict[str, Any]
    fault: str | None = None


@click.command()
@url_argument
@click.argument("table")
@click.option("--index", "index_name", help="Only the entries of this index.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Keys of each space.")
@click.option("--hex", "as_hex", is_flag=True, help="Show the bytes too.")
@json_option
def keys(url: str, table: str, index_name: str | None, limit: int, as_hex: bool, as_json: bool) -> None:
    """Show rows and index entries as they lie in the store.

    For each space (of the table's rows, and of each index) the first keys are shown, decoded. A key or row that does
    not decode is shown with its bytes and the reason.
    """
    with opened(url) as database:
        found = database.table(table)
        indexes = [each for each in found.indexes if index_name in (None, each.name)]
        if index_name is not None and not indexes:
            known = ", ".join(map(name_of, found.indexes)) or "none"
            raise CommandFailure(f"table {found.name} has no index {index_name}; it has: {known}", "NoSuchIndex")
        spaces: list[tuple[str, list[_Shown]]] = []
        if index_name is None:
            spaces.append((f"rows of {found.name}", list(_rows(database, found, limit))))
        spaces += [(f"index {name_of(each)}", list(_entries(database, each, limit))) for each in indexes]
    if as_json:
        click.echo(to_json([_as_json(title, each) for title, items in spaces for each in items]))
        return
    for title, items in spaces:
        space = f" (space {items[0].space.decode()})" if items else ": nothing"
        click.echo(click.style(title, bold=True) + space)
        for each in items:
            _write(each, as_hex)


def _rows(database: Opened, table: Table, limit: int) -> Iterator[_Shown]:
    space = rows_space(table.id)
    for page in database.pages(space, limit):
        for key, data in page:
            try:
                values = read_row(table, key, data)
                names = [column.name for column in table.stored]
                decoded = {"key": list(decode(key)), "schema": decode_row(data)[0]}
                yield _Shown(space, key, data, {**decoded, "row": dict(zip(names, values, strict=True))})
            except FormatError as error:
                yield _Shown(space, key, data, {}, str(error))


def _entries(database: Opened, index: Index, limit: int) -> Iterator[_Shown]:
    space = index_space(index.id)
    for page in database.pages(space, limit):
        for entry, _ in page:
            try:
                row_key = row_key_of(entry)
                columns = decode(entry[: len(entry) - 2 - len(row_key)])
                yield _Shown(space, entry, b"", {"columns": list(columns), "row key": list(decode(row_key))})
            except FormatError as error:
                yield _Shown(space, entry, b"", {}, str(error))


def _write(each: _Shown, as_hex: bool) -> None:
    if each.fault is not None:
        click.echo(f"  {click.style('does not decode', fg='red')}: {each.fault}")
    elif "row" in each.decoded:
        values = ", ".join(f"{name}={_literal(value)}" for name, value in each.decoded["row"].items())
        click.echo(f"  {_tuple(each.decoded['key'])} → {values}  [schema {each.decoded['schema']}]")
    else:
        click.echo(f"  {_tuple(each.decoded['columns'])} → row {_tuple(each.decoded['row key'])}")
    if as_hex:
        click.echo(f"    key   {each.key.hex(' ')}")
        if each.value:
            click.echo(f"    value {each.value.hex(' ')}")


def _tuple(values: list[SqlValue]) -> str:
    return f"({', '.join(map(_literal, values))})"


def _literal(value: SqlValue) -> str:
    return "'" + shown(value).replace("'", "''") + "'" if isinstance(value, str) else shown(value)


def _as_json(title: str, each: _Shown) -> dict[str, Any]:
    decoded = {name: _plain(item) for name, item in each.decoded.items()}
    raw = {"space": each.space.decode(), "of": title, "key bytes": each.key.hex(), "value bytes": each.value.hex()}
    return {**raw, **decoded, **({"fault": each.fault} if each.fault else {})}


def _plain(item: Any) -> Any:
    if isinstance(item, dict):
        return {name: jsonable(value) for name, value in item.items()}
    return [jsonable(value) for value in item] if isinstance(item, list) else item
