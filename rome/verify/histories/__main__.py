"""The command `python -m rome.verify.histories URL`."""

from __future__ import annotations

import sys
from collections import Counter

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rome.errors import Error
from rome.verify.histories.cache_defects import CACHE_DEFECTS
from rome.verify.histories.checker import FORBIDDEN
from rome.verify.histories.defects import DEFECTS
from rome.verify.histories.history import Outcome
from rome.verify.histories.run import Report, RunOptions, run
from rome.verify.histories.worker import WORKLOADS

_SHOWN = 10
"""How many findings are printed in full."""


@click.command()
@click.argument("url")
@click.option(
    "--transactions",
    default=1000,
    show_default=True,
    type=click.IntRange(1),
    help="Transactions that each workload commits.",
)
@click.option(
    "--processes",
    default=4,
    show_default=True,
    type=click.IntRange(1),
    help="Concurrent clients; threads if the store is memory.",
)
@click.option(
    "--isolation", default="SNAPSHOT", show_default=True, type=click.Choice(list(FORBIDDEN)), help="Isolation level."
)
@click.option(
    "--workload",
    multiple=True,
    type=click.Choice(list(WORKLOADS)),
    help="A workload to run; may be given several times.  [default: all]",
)
@click.option(
    "--faults",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Faults to inject; for Redis, on a temporary server, because it is killed, or on a temporary cluster; "
    "for a file, into the clients.",
)
@click.option(
    "--defect",
    type=click.Choice([*DEFECTS, *CACHE_DEFECTS]),
    help="Give the store, or the cache of a URL with staleness, a defect, which must be found.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the random numbers.")
def main(
    url: str,
    transactions: int,
    processes: int,
    isolation: str,
    workload: tuple[str, ...],
    faults: int,
    defect: str | None,
    seed: int,
) -> None:
    """Run random transactions on the (empty) database of URL and check the history that their clients record."""
    console = Console()
    failed = False
    for name in workload or (["append"] if defect else WORKLOADS):
        run_options = RunOptions(url, name, isolation, transactions, processes, seed, faults, defect)
        try:
            report = _run_with_progress(run_options, console)
        except Error as error:
            raise click.ClickException(str(error)) from error
        _print(console, run_options, report)
        failed = failed or bool(report.findings)
    sys.exit(failed is not bool(defect))


def _run_with_progress(options: RunOptions, console: Console) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{options.workload}, {options.level}", total=options.transactions)
        return run(options, lambda committed: bar.update(task, completed=committed))


def _print(console: Console, options: RunOptions, report: Report) -> None:
    kind = "threads" if options.in_memory else "processes"
    table = Table(show_header=False, title=f"{options.workload}, {options.level}, {options.processes} {kind}")
    for outcome in Outcome:
        table.add_row(f"transactions {outcome.value}", f"{report.outcomes[outcome]:,}")
    rate = report.outcomes[Outcome.COMMITTED] / report.seconds
    table.add_row("time", f"{report.seconds:.1f} s, {rate:,.0f} commits per second")
    for fault, count in sorted(report.faults.items()):
        table.add_row(fault, f"{count} times")
    kinds = Counter(finding.kind for finding in report.findings)
    anomalies = ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common())
    table.add_row("anomalies", f"[red]{anomalies}[/]" if anomalies else "[green]none that the level forbids[/]")
    console.print(table)
    for finding in report.findings[:_SHOWN]:
        console.print(f"[red]{finding.kind}[/]: {finding.description}", highlight=False)


if __name__ == "__main__":
    main()
