"""The command `python -m rome.verify.isolation URL`."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table

from rome.errors import Error
from rome.verify.isolation import ANOMALIES, LEVELS, Outcome, differences, try_all

_STYLES = {Outcome.HAPPENS: "yellow", Outcome.REFUSED: "green", Outcome.UNSEEN: "green"}


@click.command()
@click.argument("url")
def main(url: str) -> None:
    """Print which anomalies are prevented at which isolation level by the database of URL."""
    try:
        outcomes = try_all(url)
    except Error as error:
        raise click.ClickException(str(error)) from error
    table = Table("anomaly", "what it is", *LEVELS, title=f"Isolation of {url.partition('://')[0]}")
    for name, meaning in ((anomaly.name, anomaly.meaning) for anomaly in ANOMALIES):
        cells = [outcomes[name][level] for level in LEVELS]
        table.add_row(name, meaning, *(f"[{_STYLES[cell]}]{cell.value}[/]" for cell in cells))
    console = Console()
    console.print(table)
    broken = list(differences(outcomes))
    for sentence in broken:
        console.print(f"[red]{sentence}[/]")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
