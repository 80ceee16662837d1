"""The command `python -m rome.verify.soak`."""

from __future__ import annotations

import sys

import click

from rome.errors import Error
from rome.verify.soak.soak import SoakResult, run_soak

_MAY_GROW = 1.1, 8.0
"""Memory may grow by this factor, or by so many MiB: the allocator keeps some of it."""


@click.command()
@click.option("--seconds", default=600.0, show_default=True, help="How long the clients work.")
@click.option("--processes", default=32, show_default=True, type=click.IntRange(1), help="Clients.")
def main(seconds: float, processes: int) -> None:
    """Let many processes work on a temporary server, kill clients, restart the server twice, and check the database."""
    try:
        result = run_soak(seconds, processes)
    except Error as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"{result.transactions:,} transactions in {seconds:.0f} s; {result.killed} clients killed, the server "
        f"restarted {result.restarts} times"
    )
    grown = _print_memory(result)
    for fault in result.faults:
        click.echo(f"fault: {fault}")
    click.echo(f"{len(result.faults)} faults in the database")
    sys.exit(bool(grown or result.faults))


def _print_memory(result: SoakResult) -> list[tuple[float, float]]:
    """Print the memory of the clients that lived; return those whose memory has grown."""
    factor, more = _MAY_GROW
    grown = [(warm, end) for warm, end in result.growths if end > max(warm * factor, warm + more)]
    if result.growths:
        warm, end = max(result.growths, key=lambda pair: pair[1] - pair[0])
        mean = sum(end - warm for warm, end in result.growths) / len(result.growths)
        click.echo(
            f"memory of {len(result.growths)} clients from the warm-up to the end: {mean:+.1f} MiB in the mean, "
            f"{warm:.1f} to {end:.1f} MiB at most; {len(grown)} have grown"
        )
    return grown


if __name__ == "__main__":
    main()
