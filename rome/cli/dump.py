"""`rome dump` and `rome load`: a database as one compressed file.

    format    gzip of msgpack lists, in this order
    header    ["rome dump", 1, version]
    schema    ["schema", [[type, name, table, sql], …]]
    rows      ["rows", table, [column, …], [[value, …], …]], for each table any number of times
    end       ["end", {table: [rows, digest]}, {table: last id}]

A file without its end, or with other rows than the end says, is refused before anything is written.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
import msgpack

import rome
from rome.catalog.model import Table
from rome.catalog.rows import read_row
from rome.cli.copy.native import SCHEMA
from rome.cli.failures import CommandFailure
from rome.cli.opened import Opened, opened
from rome.cli.options import DatabaseURL, json_option, url_argument
from rome.cli.progress import progress_bar
from rome.cli.values import printable, to_json
from rome.collection import collecting_rarely
from rome.folding import fold_name
from rome.sql.syntax.tokens import quoted
from rome.storage.keys import decode
from rome.storage.store import row_counter, rows_space

_MAGIC = "rome dump"
_FORMAT = 1
_ORDER = ("table", "index", "view", "trigger")

Record = list[Any]


class _Sums:
    """The number of rows of each table, and a digest of them in their order."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._digests: dict[str, Any] = {}

    def add(self, table: str, rows: list[list[Any]]) -> None:
        """Add the rows of one record."""
        self._rows[table] = self._rows.get(table, 0) + len(rows)
        digest = self._digests.setdefault(table, hashlib.sha256())
        for row in rows:
            digest.update(msgpack.packb(row))

    def result(self) -> dict[str, list[Any]]:
        """Return the record of the end."""
        return {table: [number, self._digests[table].hexdigest()] for table, number in self._rows.items()}


@click.command()
@url_argument
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@json_option
@collecting_rarely()
def dump(url: str, file: Path, force: bool, as_json: bool) -> None:
    """Write a database, as of its newest version, to one compressed file.

    The file appears when it is complete.
    """
    if file.exists() and not force:
        raise CommandFailure(f"{file} exists; --force replaces it")
    partial = file.with_name(f"{file.name}.partial")
    sums = _Sums()
    try:
        with opened(url) as database, gzip.open(partial, "wb", compresslevel=6) as out, progress_bar() as bar:
            task = bar.add_task("dumping", total=len(database.catalog.tables))
            out.write(msgpack.packb([_MAGIC, _FORMAT, database.version]))
            out.write(msgpack.packb(["schema", _schema(url)]))
            for table in database.catalog.tables.values():
                for record in _rows_of(database, table):
                    sums.add(table.name, record[3])
                    out.write(msgpack.packb(record))
                bar.advance(task)
            out.write(msgpack.packb(["end", sums.result(), _counters(database)]))
        partial.replace(file)
    except OSError as error:
        raise CommandFailure(f"{file} can't be written: {error.strerror or error}", type(error).__name__) from error
    finally:
        partial.unlink(missing_ok=True)
    _report(sums, file.stat().st_size, as_json)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("url", type=DatabaseURL(must_exist=False), envvar="ROME_URL")
@json_option
@collecting_rarely()
def load(file: Path, url: str, as_json: bool) -> None:
    """Load a dump into a database without tables.

    The whole file is checked before anything is written. If the load fails, the database is empty again.
    """
    end = _checked(file)
    with opened(url) as database:
        if database.catalog.tables:
            raise CommandFailure(f"{database.url} has tables already; load into an empty database")
    connection = rome.connect(url, isolation_level="AUTOCOMMIT", foreign_keys=False)
    try:
        sums = _Sums()
        schema: list[list[str]] = []
        with progress_bar() as bar:
            task = bar.add_task("loading", total=sum(number for number, _ in end[1].values()))
            for record in _records(file):
                if record[0] == "schema":
                    schema = record[1]
                    _create(connection, schema, "table", "index")
                elif record[0] == "rows":
                    _, table, columns, rows = record
                    names, marks = ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
                    connection.executemany(f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})", rows)
                    sums.add(table, rows)
                    bar.advance(task, len(rows))
        _create(connection, schema, "view", "trigger")
        _advance(url, end[2])
    except BaseException:
        rome.drop_database(url)  # it had no tables
        raise
    finally:
        connection.close()
    _report(sums, file.stat().st_size, as_json)


def _schema(url: str) -> list[list[str]]:
    with rome.connect(url) as connection:
        rows = connection.execute(SCHEMA).fetchall()
    connection.close()
    return sorted(([str(value) for value in row] for row in rows), key=lambda row: _ORDER.index(row[0]))


def _rows_of(database: Opened, table: Table) -> Iterator[Record]:
    """Yield the records of a table's rows, with their hidden rowids."""
    written = [column for column in table.stored if not column.generated]
    places = [table.position[fold_name(column.name)] for column in written]
    hidden = [] if table.key or table.rowid_name is None else [table.rowid_name]
    columns = [*hidden, *(column.name for column in written)]
    for page in database.pages(rows_space(table.id)):
        rows = []
        for key, data in page:
            row = read_row(table, key, data)
            rows.append([*(decode(key) if hidden else ()), *(row[place] for place in places)])
        yield ["rows", table.name, columns, rows]


def _counters(database: Opened) -> dict[str, int]:
    counted = [table for table in database.catalog.tables.values() if table.counted]
    return {table.name: database.store.peek(row_counter(table.id)) - 1 for table in counted}


def _advance(url: str, counters: dict[str, int]) -> None:
    with opened(url) as database:
        for name, last in counters.items():
            database.store.advance(row_counter(database.table(name).id), last)


def _create(connection: rome.Connection, schema: list[list[str]], *kinds: str) -> None:
    for kind, _, _, sql in schema:
        if kind in kinds:
            connection.execute(sql)


def _records(file: Path) -> Iterator[Record]:
    """Yield the records of a file. Raise CommandFailure if it is no dump, or damaged."""
    try:
        with gzip.open(file, "rb") as data:
            records = msgpack.Unpacker(data, raw=False, max_buffer_size=0)
            header = next(iter(records), None)
            if not isinstance(header, list) or header[:1] != [_MAGIC]:
                raise CommandFailure(f"{file} is not a dump of ROME")
            if header[1] != _FORMAT:
                raise CommandFailure(f"{file} has format {header[1]}; this ROME reads format {_FORMAT}")
            yield from (cast("Record", record) for record in records)
    except (gzip.BadGzipFile, EOFError, zlib.error, msgpack.UnpackException, ValueError) as error:
        raise CommandFailure(f"{file} is damaged, or not a dump of ROME: {error}") from error


def _checked(file: Path) -> Record:
    """Return the last record of a file that is complete. Raise CommandFailure."""
    sums, last = _Sums(), []
    for record in _records(file):
        last = record
        if record[0] == "rows":
            sums.add(record[1], record[3])
    if last[:1] != ["end"]:
        raise CommandFailure(f"{file} is incomplete")
    if last[1] != sums.result():
        raise CommandFailure(f"{file} is damaged: its rows are not those that were dumped")
    return last


def _report(sums: _Sums, size: int, as_json: bool) -> None:
    tables = {table: number for table, (number, _) in sums.result().items()}
    if as_json:
        click.echo(to_json({"tables": tables, "bytes": size}))
        return
    for table, number in tables.items():
        click.echo(f"{printable(table)}: {number:,} rows")
    click.echo(f"{size:,} bytes")
