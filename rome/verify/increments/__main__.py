"""The command `python -m rome.verify.increments URL`."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from rome.errors import Error
from rome.verify.increments import run_increments


@click.command()
@click.argument("url")
@click.option("--processes", default=32, show_default=True, help="Concurrent clients; threads if the store is memory.")
@click.option("--times", default=25, show_default=True, help="Increments of each client.")
@click.option("--in-sql", is_flag=True, help="Use UPDATE … SET value = value + 1, which ROME replays after a conflict.")
def main(url: str, processes: int, times: int, in_sql: bool) -> None:
    """Increment one row of the database of URL in many processes, and check that no increment is lost."""
    try:
        result = run_increments(url, processes, times, in_sql=in_sql)
    except Error as error:
        raise click.ClickException(str(error)) from error
    conflicts = result.attempts - result.requested
    Console().print(
        f"{result.applied} of {result.requested} increments applied in {result.seconds:.2f} s "
        f"({result.requested / result.seconds:,.0f} per second): {conflicts} conflicts, "
        f"{conflicts / result.requested:.2f} per increment; {result.replays} replayed commits; "
        f"{result.failed} failed increments"
    )
    sys.exit(result.applied != result.requested or bool(result.failed))


if __name__ == "__main__":
    main()
