"""A session of the shell: a connection, the mode of output, and what runs one input."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import apsw
import click

import rome
from rome.catalog.model import Catalog
from rome.cli.formats import MODES, terminal_width, write_rows
from rome.cli.shell.cancel import run_cancellable
from rome.sql.syntax.tokens import split_script

_LINES_OF_A_SCREEN = 40


class ShellSession:
    """One connection under AUTOCOMMIT: BEGIN opens a transaction, COMMIT or ROLLBACK ends it."""

    def __init__(self, url: str, mode: str = "table", timing: bool = False, interactive: bool = False) -> None:
        self.url = url
        self.connection = rome.connect(url, isolation_level="AUTOCOMMIT")
        self.mode = mode
        self.timing = timing
        self.interactive = interactive

    @property
    def catalog(self) -> Catalog:
        """The newest catalog: a round trip."""
        database = self.connection.database
        return database.catalog(database.store.fetch([]))

    @property
    def known_catalog(self) -> Catalog:
        """The catalog that this process knows, without a round trip."""
        return self.connection.database.newest

    def run_script(self, text: str) -> None:
        """Run the statements of a text, one after the other. Raise Error, Cancelled."""
        for statement in split_script(text):
            self.run_statement(statement)

    def run_statement(self, sql: str, parameters: Any = ()) -> None:
        """Run one statement, and write its rows or the number of rows that it changed."""
        stats, began = self.connection.stats, time.perf_counter()
        rounds = stats.rounds
        cursor = self.execute(sql, parameters)
        took = time.perf_counter() - began
        if cursor.description is not None:
            self.write([column[0] for column in cursor.description], cursor.fetchall())
        elif self.interactive and cursor.rowcount >= 0:
            click.echo(f"{cursor.rowcount:,} {'row' if cursor.rowcount == 1 else 'rows'} changed")
        if self.timing:
            click.echo(f"{took * 1000:.1f} ms, {stats.rounds - rounds} round trips", err=not self.interactive)

    def execute(self, sql: str, parameters: Any = ()) -> rome.dbapi.Cursor:
        """Return the cursor of one statement. Raise Cancelled after Ctrl-C."""
        connection = self.connection
        return run_cancellable(lambda: connection.execute(sql, parameters), connection.interrupt)

    def write(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Write rows in the session's mode; page them if they do not fit the screen of an interactive session."""
        if self.interactive and terminal_width() is not None and len(rows) > _LINES_OF_A_SCREEN:
            click.echo_via_pager(f"{line}\n" for line in MODES[self.mode](columns, rows))
        else:
            write_rows(columns, rows, self.mode)

    def close(self) -> None:
        """Roll back the open transaction and close the connection."""
        self.connection.close()


def is_complete(text: str) -> bool:
    """Return True if an input can be run: a dot command, nothing, or statements that end with a semicolon."""
    stripped = text.strip()
    return not stripped or stripped.startswith(".") or bool(apsw.complete(text))
