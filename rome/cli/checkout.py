"""`rome demo`, and what is only in a checkout of the sources: examples and benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

import rome
from rome.cli.failures import CommandFailure
from rome.cli.options import JSON, json_option

SOURCES = Path(rome.__file__).parents[1]
"""The folder of the sources, if the package is used from there. An installed one finds them in the current folder."""


def run_module(name: str, arguments: Sequence[str], out: int | None = None) -> None:
    """Run a module of the checkout as a program.

    `out`: a file descriptor for its output, or a constant of subprocess. Raise CommandFailure if there is no
    checkout, and with the last line of its errors if the program fails; UsageError if its arguments are wrong.
    """
    sources = next((folder for folder in (SOURCES, Path.cwd()) if _has_module(folder, name)), None)
    if sources is None:
        raise CommandFailure(
            f"{name} is not part of the installed package, but of the sources: unpack the sdist "
            "(pip download --no-binary :all: --no-deps rome-db) or clone the repository, and run the command there",
            "NotInstalled",
        )
    path = os.pathsep.join([str(sources), str(sources / "adapters"), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(  # noqa: S603 - a program of this repository
        [sys.executable, "-m", name, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        stdout=out,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )
    if not ended.returncode:
        click.echo(ended.stderr, err=True, nl=False)
        return
    if not ended.stderr.strip():
        raise click.exceptions.Exit(ended.returncode)  # the reader of its output is gone
    message = ended.stderr.strip().splitlines()[-1].removeprefix("Error: ")
    raise click.UsageError(message) if ended.returncode == click.UsageError.exit_code else CommandFailure(message)


def _has_module(folder: Path, name: str) -> bool:
    path = folder.joinpath(*name.split("."))
    return path.exists() or path.with_suffix(".py").exists()


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@json_option
def demo(arguments: tuple[str, ...], as_json: bool) -> None:
    """Run the demonstration: a small cloud control plane in plain SQLAlchemy.

    `rome demo -- --help` shows its options. With --json, the results and costs of all steps are written at the end.
    """
    run_module("examples.control_plane", [*arguments, *([JSON] if as_json else [])])
