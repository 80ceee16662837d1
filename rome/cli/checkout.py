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

SOURCES = Path(rome.__file__).parents[1]
"""The folder of the checkout, if the package is used from one."""


def run_module(name: str, arguments: Sequence[str]) -> int:
    """Run a module of the checkout as a program. Return its exit code. Raise CommandFailure if there is no checkout."""
    if (
        not SOURCES.joinpath(*name.split(".")).exists()
        and not SOURCES.joinpath(f"{name.replace('.', '/')}.py").exists()
    ):
        raise CommandFailure(
            f"{name} is not part of the installed package, but of the sources: unpack the sdist "
            "(pip download --no-binary :all: --no-deps rome-db) or clone the repository, and run the command there",
            "NotInstalled",
        )
    path = os.pathsep.join([str(SOURCES), str(SOURCES / "adapters"), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(  # noqa: S603 - a program of this repository
        [sys.executable, "-m", name, *arguments], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    return ended.returncode


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def demo(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """Run the demonstration: a small cloud control plane in plain SQLAlchemy.

    `rome demo -- --help` shows its options.
    """
    ctx.exit(run_module("examples.control_plane", arguments))
