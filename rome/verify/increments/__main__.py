"""The command `python -m rome.verify.increments URL`."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from rome.errors import Error
from rome.verify.increments import count


@click.command()
@click.argument("url")
@click.option("--processes", default=32, show_default=True, help="Threads, if the store is memory.")
@click.option("--times", default=25, show_default=True, help="Increments by each.")
@click.option("--in-sql", is_flag=True, help="By UPDATE … SET value = value + 1, which is replayed after a conflict.")
def main(url: str, processes: int, times: int, in_sql: bool) -> None:
    """Increment one row of the database of URL by many processes at once, and see that nothing is lost."""
    try:
        result = count(url, processes, times, in_sql=in_sql)
    except Error as error:
        raise click.ClickException(str(error)) from error
    conflicts = result.attempts - result.wanted
    Console().print(
        f"{result.counted} of {result.wanted} increments counted in {result.seconds:.2f} s "
        f"({result.wanted / result.seconds:,.0f} a second): {conflicts} conflicts, "
        f"{conflicts / result.wanted:.2f} for each increment; {result.replays} replayed; {result.gave_up} surfaced"
    )
    sys.exit(result.counted != result.wanted or bool(result.gave_up))


if __name__ == "__main__":
    main()
