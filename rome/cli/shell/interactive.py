"""The prompt of the shell: history, input of several lines, completion; errors do not end the session."""

from __future__ import annotations

import signal
from pathlib import Path

import click
from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

import rome
from rome.cli.failures import message_of
from rome.cli.shell.cancel import Cancelled
from rome.cli.shell.completion import SqlCompleter
from rome.cli.shell.dot_commands import Quit, run_input
from rome.cli.shell.session import ShellSession, is_complete
from rome.errors import Error
from rome.url import parse_url


def run_interactive(session: ShellSession, history: Path) -> None:
    """Read and run inputs until .quit or Ctrl-D."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C works also where the parent ignores it
    click.echo(f"ROME {rome.__version__}, {parse_url(session.url)}")
    click.echo("Statements end with a semicolon. .help lists commands; Ctrl-D ends the session.")
    session.catalog  # noqa: B018 - the completion knows the tables from the first key on
    prompt: PromptSession[str] = PromptSession(
        history=_history(history),
        completer=SqlCompleter(session),
        complete_while_typing=False,
        multiline=True,
        key_bindings=_bindings(),
        prompt_continuation=lambda width, *_: "...> ".rjust(width),
    )
    while True:
        try:
            text = prompt.prompt(lambda: "rome*> " if session.connection.in_transaction else "rome> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            break
        try:
            run_and_report(session, text)
        except Quit:
            break
    if session.connection.in_transaction:
        click.echo("The open transaction is rolled back.")


def run_and_report(session: ShellSession, text: str) -> bool:
    """Run an input. Return False, with a sentence on stderr, if it failed or was cancelled."""
    try:
        run_input(session, text)
    except Cancelled as cancelled:
        note = "cancelled"
        if not cancelled.is_undone:
            was_open = session.connection.in_transaction
            session.connection.rollback()
            note += "; the transaction is rolled back" if was_open else ""
        click.echo(note, err=True)
        return False
    except (Error, OSError, ValueError) as error:
        click.echo(f"{click.style('Error:', fg='red')} {message_of(error)}", err=True)
        return False
    return True


def _history(path: Path) -> History:
    """Return the history of a file; one in memory if the file can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(path)


def _bindings() -> KeyBindings:
    """Return the key bindings: Enter runs a complete input, and else begins a new line."""
    bindings = KeyBindings()

    @Condition
    def is_ready() -> bool:
        return is_complete(get_app().current_buffer.text)

    @bindings.add("enter", filter=is_ready)
    def _run(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    return bindings
