"""`rome shell`: its options, and where its input comes from."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from rome.cli.failures import CommandFailure, Interrupted, message_of
from rome.cli.formats import MODES
from rome.cli.options import DatabaseURL, json_option
from rome.cli.shell.cancel import Cancelled
from rome.cli.shell.dot_commands import Quit, run_input
from rome.cli.shell.interactive import run_interactive
from rome.cli.shell.session import ShellSession, is_complete


@click.command()
@click.argument("url", type=DatabaseURL(must_exist=False), envvar="ROME_URL", default="rome+memory://")
@click.option("-c", "--command", "inputs", multiple=True, help="Run this SQL or dot command, and end.")
@click.option(
    "-m",
    "--mode",
    type=click.Choice(list(MODES)),
    metavar="MODE",
    help=f"The format of rows: {', '.join(MODES)}.  [default: table]",
)
@json_option
@click.option("--timing", is_flag=True, help="Show the time and round trips of each statement.")
def shell(url: str, inputs: tuple[str, ...], mode: str | None, as_json: bool, timing: bool) -> None:
    """Run SQL: at a prompt, from -c, or from a pipe.

    Without a URL, the database is that of $ROME_URL, or an empty one in memory. Each statement is committed by itself;
    BEGIN opens a transaction. With -c and from a pipe, the first error ends the command with exit code 1.
    """
    interactive = not inputs and sys.stdin.isatty() and sys.stdout.isatty()
    session = ShellSession(url, mode or ("json" if as_json else "table"), timing, interactive)
    try:
        if interactive:
            run_interactive(session, _history_file())
        else:
            _run_all(session, inputs or _inputs_of(sys.stdin))
    finally:
        session.close()


def _run_all(session: ShellSession, inputs: Iterable[str]) -> None:
    """Run inputs up to .quit. Raise CommandFailure, and the errors of statements."""
    for text in inputs:
        try:
            run_input(session, text)
        except Quit:
            return
        except Cancelled:
            raise Interrupted from None
        except ValueError as error:
            raise CommandFailure(message_of(error)) from error


def _inputs_of(lines: Iterable[str]) -> Iterator[str]:
    """Yield the inputs of a stream: dot commands of one line, and statements up to the line of their semicolon."""
    text = ""
    for line in lines:
        text += line
        if is_complete(text):
            yield text
            text = ""
    if text.strip():
        yield text


def _history_file() -> Path:
    """Return the path of the history of inputs: $ROME_HISTORY, or a file in the user's folder for state."""
    given = os.environ.get("ROME_HISTORY")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "rome" / "history"
