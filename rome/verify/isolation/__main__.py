"""The command `python -m rome.verify.isolation URL`."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table

from rome.errors import Error
from rome.verify.isolation import ANOMALIES, LEVELS, Outcome, run_all, violations

_STYLES = {Outcome.HAPPENS: "yellow", Outcome.CONFLICT: "green", Outcome.PREVENTED: "green"}


@click.command()
@click.argument("url")
def main(url: str) -> None:
    """Print which anomalies the database of URL prevents at which isolation level."""
    try:
        outcomes = run_all(url)
    except Error as error:
        raise click.ClickException(str(error)) from error
    table = Table("anomaly", "description", *LEVELS, title=f"Isolation of {url.partition('://')[0]}")
    for anomaly in ANOMALIES:
        cells = [outcomes[anomaly.name][level] for level in LEVELS]
        table.add_row(anomaly.name, anomaly.description, *(f"[{_STYLES[cell]}]{cell.value}[/]" for cell in cells))
    console = Console()
    console.print(table)
    broken = list(violations(outcomes))
    for violation in broken:
        console.print(f"[red]{violation}[/]")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
