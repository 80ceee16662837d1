"""Errors of commands: one sentence on stderr, and an exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from rome.errors import Error

FAULTS = 3
"""The exit code of a command that has found faults."""


class CommandFailure(click.ClickException):
    """An error that ends the command."""

    def __init__(self, message: str, kind: str = "Error", as_json: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.as_json = as_json

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message to stderr: as a sentence, or as a JSON object if the command writes JSON."""
        if self.as_json:
            text = json.dumps({"error": {"type": self.kind, "message": self.message}}, ensure_ascii=False)
        else:
            text = f"{click.style('Error:', fg='red')} {self.message}"
        click.echo(text, file=file, err=file is None)


class Interrupted(CommandFailure):
    """Ctrl-C ended the command."""

    exit_code = 130

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message, "Interrupted")


class WrongArguments(CommandFailure):
    """The arguments are wrong, and the command writes JSON. Otherwise click writes the usage, too."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(message, "UsageError", as_json=True)


@contextmanager
def failures_as_sentences(as_json: bool) -> Iterator[None]:
    """Within the block, make a CommandFailure of each error that has a message for users."""
    try:
        yield
    except (CommandFailure, KeyboardInterrupt) as error:
        failure = error if isinstance(error, CommandFailure) else Interrupted()
        failure.as_json = as_json
        raise failure from None
    except click.UsageError as error:
        raise (WrongArguments(error.format_message()) if as_json else error) from None
    except BrokenPipeError:
        raise
    except (Error, OSError) as error:
        raise CommandFailure(message_of(error), type(error).__name__, as_json) from error


def message_of(error: BaseException) -> str:
    """Return the message of an error; its class's name if it has none."""
    return str(error) or type(error).__name__
