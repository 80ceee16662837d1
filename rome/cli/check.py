"""`rome check`: the consistency of a database."""

from __future__ import annotations

import click

from rome.cli.failures import FAULTS, CommandFailure
from rome.cli.opened import opened
from rome.cli.options import json_option, url_argument
from rome.cli.progress import progress_bar
from rome.cli.values import printable, to_json
from rome.collection import collecting_rarely
from rome.errors import SnapshotTooOld
from rome.testing.check import Fault, find_faults, repair_entries


@click.command()
@url_argument
@click.option("--repair", is_flag=True, help="Write missing index entries, and delete those without a row.")
@click.option("--no-foreign-keys", is_flag=True, help="Leave out foreign keys: not all applications enforce them.")
@json_option
@click.pass_context
@collecting_rarely()
def check(ctx: click.Context, url: str, repair: bool, no_foreign_keys: bool, as_json: bool) -> None:
    """Check the consistency of a database.

    Every row decodes and has the key that its values make; every row has its index entries, and every entry its row;
    unique and foreign keys hold; counters are beyond the ids of rows; the log is complete. Each table is read as a
    whole, at the newest version. The exit code is 3 if faults are found that are not repaired.
    """
    faults, repaired = _checked(url, repair, foreign_keys=not no_foreign_keys)
    if as_json:
        found = [{"kind": each.kind, "table": each.table, "message": each.message} for each in faults]
        click.echo(to_json({"faults": found, "repaired": repaired}))
    else:
        for fault in faults:
            click.echo(f"{click.style(fault.kind, fg='red')}: {printable(str(fault))}")
        if repaired:
            click.echo(f"{repaired:,} index entries repaired")
        click.echo("no faults" if not faults else f"{len(faults):,} {'fault' if len(faults) == 1 else 'faults'}")
    if len(faults) > repaired:
        ctx.exit(FAULTS)


def _checked(url: str, repair: bool, *, foreign_keys: bool) -> tuple[list[Fault], int]:
    """Return the faults, and how many of them have been repaired."""
    with opened(url) as database, progress_bar() as bar:
        task = bar.add_task("checking", total=len(database.catalog.tables))

        def advance(table: str) -> None:
            bar.update(task, advance=1, description=f"checked {printable(table)}")

        try:
            faults = list(
                find_faults(
                    database.store, database.catalog, database.version, foreign_keys=foreign_keys, progress=advance
                )
            )
        except SnapshotTooOld as error:
            raise CommandFailure(
                "so many commits came meanwhile that the log does not reach back to the version that was checked; "
                "check again, or set a larger log_commits",
                type(error).__name__,
            ) from error
        return faults, repair_entries(database.store, faults, database.version) if repair else 0
