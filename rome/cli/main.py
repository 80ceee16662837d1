"""The entry point: `rome COMMAND …`.

A command is a module of this package. It is imported when it is run, or when the help lists all of them.
"""

from __future__ import annotations

import shutil
from importlib import import_module
from typing import Any

import click

import rome
from rome.cli.failures import failures_as_sentences
from rome.cli.options import JSON
from rome.cli.process import check_streams, ended_by_signals

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


_LEAST_COLUMNS_OF_CLICK = 52


class Commands(click.Group):
    """The group of all commands."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context. click writes no help narrower than 50 columns, unless it is given the width."""
        columns = shutil.get_terminal_size().columns
        if columns < _LEAST_COLUMNS_OF_CLICK:
            extra.setdefault("terminal_width", columns - 1)
        return super().make_context(info_name, args, parent, **extra)

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
        with failures_as_sentences(as_json=JSON in ctx.args), ended_by_signals():
            check_streams()
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
