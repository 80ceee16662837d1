"""The entry point: `rome COMMAND …`.

A command is a module of this package. It is imported when it is run, or when the help lists all of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

import rome
from rome.cli.failures import failures_as_sentences

_COMMANDS = {
    "bench": "rome.cli.bench:bench",
    "check": "rome.cli.check:check",
    "console": "rome.cli.console.command:console",
    "copy": "rome.cli.copy.command:copy",
    "demo": "rome.cli.checkout:demo",
    "doctor": "rome.cli.doctor:doctor",
    "dump": "rome.cli.dump:dump",
    "explain": "rome.cli.inspect.explain:explain",
    "keys": "rome.cli.inspect.keys:keys",
    "load": "rome.cli.dump:load",
    "locks": "rome.cli.inspect.locks:locks",
    "purge": "rome.cli.purge:purge",
    "shell": "rome.cli.shell.command:shell",
    "tables": "rome.cli.inspect.tables:tables",
    "top": "rome.cli.live.top:top",
    "upgrade": "rome.cli.upgrade:upgrade",
    "watch": "rome.cli.live.watch:watch",
}


class Commands(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now; None if there is none of this name."""
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. End with a sentence and an exit code if it fails."""
        with failures_as_sentences(ctx):
            return super().invoke(ctx)


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 an error, 2 wrong arguments, 3 faults were found, 130 interrupted.",
)
@click.version_option(rome.__version__, prog_name="rome")
def main() -> None:
    """Work with ROME databases.

    A URL is a ROME URL (rome+redis://localhost:6379/app), or the path of a database file.
    `rome COMMAND --help` describes a command.
    """
