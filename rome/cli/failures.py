"""Errors of commands: one sentence on stderr, and an exit code."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, EIO, ENOSPC
from typing import IO, Any

import click

from rome.errors import Error

FAULTS = 3
"""The exit code of a command that has found faults."""

_BY_SIGNAL = 128
"""The exit code of a process that a signal has ended is that of the signal and this."""

_FAILED_WRITES = (EDQUOT, EFBIG, EIO, ENOSPC)


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


class Terminated(SystemExit):
    """A signal other than that of Ctrl-C ends the process. No handler of errors takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(_BY_SIGNAL + number)
        self.number = number


class Interrupted(CommandFailure):
    """Ctrl-C, or another signal, ended the command."""

    def __init__(self, cause: KeyboardInterrupt | Terminated | None = None, advice: str = "") -> None:
        number = signal.Signals(cause.number if isinstance(cause, Terminated) else signal.SIGINT)
        ended = "interrupted" if number == signal.SIGINT else f"ended by {number.name}"
        super().__init__(f"{ended}; {advice}" if advice else ended, "Interrupted")
        self.exit_code = _BY_SIGNAL + number  # type: ignore[misc]  # click reads it from the object


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
    except (CommandFailure, KeyboardInterrupt, Terminated) as error:
        failure = error if isinstance(error, CommandFailure) else Interrupted(error)
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
    if isinstance(error, OSError) and error.strerror:
        subject = (
            "the output can't be written" if error.errno in _FAILED_WRITES else "the operating system refuses this"
        )
        return f"{error.filename or subject}: {error.strerror}"
    if isinstance(error, UnicodeDecodeError):
        return f"the input is not text in UTF-8: {error.reason} at byte {error.start:,}"
    return str(error) or type(error).__name__
