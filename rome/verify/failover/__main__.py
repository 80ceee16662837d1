"""The command `python -m rome.verify.failover`."""

from __future__ import annotations

import sys
from itertools import product

import click
from rich.console import Console
from rich.table import Table

from rome.verify.failover import FAULTS, run_failover
from rome.verify.faults.sentinels import sentinel_group


@click.command()
@click.option("--fault", multiple=True, type=click.Choice(list(FAULTS)), help="A fault; several times.  [default: all]")
@click.option("--replicas", multiple=True, type=int, default=(0, 1), show_default=True, help="The option of the URLs.")
@click.option("--clients", default=4, show_default=True, type=click.IntRange(1), help="Concurrent clients.")
def main(fault: tuple[str, ...], replicas: tuple[int, ...], clients: int) -> None:
    """Let the primary of three servers fail while clients commit, and count what is lost.

    N is the option `replicas`; of each kind of answer to a commit (acknowledged, NotReplicated, StoreUnavailable) the
    number and how many are lost; and the longest time in seconds between two acknowledged commits of a client.
    """
    table = Table("fault", "N", "ok", "lost", "unsafe", "lost", "unknown", "lost", "doubled", "s")
    failed = False
    with sentinel_group() as group:
        for name, number in product(fault or FAULTS, replicas):
            found = run_failover(group, name, number, clients)
            rows = (found.acknowledged, found.acknowledged_lost, found.not_replicated, found.not_replicated_lost)
            more = (found.unknown, found.unknown_lost, found.doubled)
            table.add_row(name, *map(str, (number, *rows, *more)), f"{found.seconds:.1f}")
            failed = failed or bool(found.doubled or found.findings or (number and found.acknowledged_lost))
    Console().print(table)
    sys.exit(failed)


if __name__ == "__main__":
    main()
