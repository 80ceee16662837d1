"""The dot commands of the shell. Each is a function of the session and its arguments; its docstring is its help."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import click

from rome.cli.formats import MODES, write_rows
from rome.cli.shell.session import ShellSession
from rome.cli.values import literal, printable
from rome.folding import fold_name
from rome.sql.syntax.tokens import quoted

_BATCH = 1000


class Quit(Exception):
    """The session ends."""


def run_input(session: ShellSession, text: str) -> None:
    """Run a dot command, or the statements of a text. Raise Error, OSError, ValueError, Cancelled, Quit."""
    if text.lstrip().startswith("."):
        _run_dot_command(session, text.strip())
    else:
        session.run_script(text)


def _run_dot_command(session: ShellSession, text: str) -> None:
    """Run a dot command. Raise ValueError with a sentence if it is unknown or its arguments are wrong."""
    try:
        name, *arguments = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from None
    command = _COMMANDS.get(name)
    if command is None:
        raise ValueError(f"unknown command {name}; .help lists the commands")
    if name == ".explain":  # its argument is SQL, whose quotes are not the shell's
        arguments = [text.partition(" ")[2].strip()]
    try:
        command(session, *arguments)
    except TypeError as error:
        if "positional argument" not in str(error):
            raise
        raise ValueError(f"usage: {(command.__doc__ or '').splitlines()[0]}") from None


def _help(_: ShellSession) -> None:
    """.help: list these commands"""
    for command in dict.fromkeys(_COMMANDS.values()):
        click.echo((command.__doc__ or "").splitlines()[0])


def _tables(session: ShellSession) -> None:
    """.tables: list tables and views"""
    catalog = session.catalog
    views = [item.name for item in catalog.objects.values() if item.type == "view"]
    for name in sorted([*(table.name for table in catalog.tables.values()), *views]):
        click.echo(printable(name))


def _schema(session: ShellSession, table: str = "") -> None:
    """.schema [TABLE]: show the statements that create the schema, or one table"""
    sql = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"
    if table:
        sql += " AND lower(tbl_name) = lower(?)"
    statements = session.execute(sql, (table,) if table else ()).fetchall()
    if table and not statements:
        raise ValueError(f"no such table: {table}")
    for (statement,) in statements:
        click.echo(f"{statement!s};")


def _explain(session: ShellSession, sql: str) -> None:
    """.explain SQL: show the plan of a statement"""
    for (line,) in session.execute(f"EXPLAIN PLAN FOR {sql.rstrip(';')}").fetchall():
        click.echo(line)


def _timing(session: ShellSession, switch: str = "") -> None:
    """.timing [on|off]: show the time and round trips of each statement"""
    if switch not in ("", "on", "off"):
        raise ValueError("usage: .timing [on|off]")
    session.timing = switch == "on" if switch else not session.timing
    click.echo(f"timing is {'on' if session.timing else 'off'}")


def _mode(session: ShellSession, mode: str = "") -> None:
    """.mode [MODE]: show or set the mode of output: table, vertical, csv, json, markdown, tabs"""
    if mode and mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
    if mode:
        session.mode = mode
    else:
        click.echo(session.mode)


def _read(session: ShellSession, path: str) -> None:
    """.read FILE: run the statements of a file"""
    session.run_script(Path(path).expanduser().read_text(encoding="utf-8"))


def _import(session: ShellSession, path: str, table: str) -> None:
    """.import FILE TABLE: insert the rows of a CSV file, whose first line names the columns"""
    with Path(path).expanduser().open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        columns = next(reader, None)
        if not columns:
            raise ValueError(f"{path} is empty; its first line should name the columns")
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {quoted(table)} ({', '.join(map(quoted, columns))}) VALUES ({marks})"
        rows = []
        for row in reader:
            if len(row) != len(columns):
                raise ValueError(f"{path}, line {reader.line_num}: {len(row)} fields for {len(columns)} columns")
            rows.append(tuple(field or None for field in row))
    own = not session.connection.in_transaction
    if own:
        session.execute("BEGIN")
    try:
        for at in range(0, len(rows), _BATCH):
            session.connection.executemany(sql, rows[at : at + _BATCH])
    except BaseException:
        if own:
            session.execute("ROLLBACK")
        raise
    if own:
        session.execute("COMMIT")
    click.echo(f"{len(rows):,} rows imported")


def _export(session: ShellSession, path: str, table: str) -> None:
    """.export FILE TABLE: write the rows of a table as CSV, or as JSON to a file that ends in .json"""
    cursor = session.execute(f"SELECT * FROM {quoted(table)}")
    rows = cursor.fetchall()
    assert cursor.description is not None
    mode = "json" if path.endswith(".json") else "csv"
    with Path(path).expanduser().open("w", encoding="utf-8", newline="") as file, redirect_stdout(file):
        write_rows([column[0] for column in cursor.description], rows, mode)
    click.echo(f"{len(rows):,} rows exported")


def _dump(session: ShellSession, table: str = "") -> None:
    """.dump [TABLE]: write SQL that makes the schema and rows again"""
    catalog = session.catalog
    if table and catalog.table(table) is None:
        raise ValueError(f"no such table: {table}")
    click.echo("PRAGMA foreign_keys = off;\nBEGIN;")
    for each in catalog.tables.values():
        if table and fold_name(each.name) != fold_name(table):
            continue
        click.echo(f"{each.sql};")
        columns = ", ".join(quoted(column.name) for column in each.columns if not column.generated)
        for row in session.execute(f"SELECT {columns} FROM {quoted(each.name)}").fetchall():
            click.echo(f"INSERT INTO {quoted(each.name)} ({columns}) VALUES ({', '.join(map(literal, row))});")
    for item in catalog.objects.values():
        if item.sql and (not table or fold_name(item.table) == fold_name(table)):
            click.echo(f"{item.sql};")
    click.echo("COMMIT;")


def _quit(_: ShellSession) -> None:
    """.quit: end the session"""
    raise Quit


_COMMANDS: dict[str, Callable[..., None]] = {
    ".dump": _dump,
    ".exit": _quit,
    ".explain": _explain,
    ".export": _export,
    ".help": _help,
    ".import": _import,
    ".mode": _mode,
    ".quit": _quit,
    ".read": _read,
    ".schema": _schema,
    ".tables": _tables,
    ".timing": _timing,
}

NAMES = tuple(_COMMANDS)
"""The names of all dot commands."""
