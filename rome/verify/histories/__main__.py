"""The command `python -m rome.verify.histories URL`."""

from __future__ import annotations

import sys
from collections import Counter

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rome.errors import Error
from rome.verify.histories.checker import FORBIDDEN
from rome.verify.histories.history import Outcome
from rome.verify.histories.planted import PLANTED
from rome.verify.histories.trial import Report, Trial, run
from rome.verify.histories.worker import WORKLOADS

_SHOWN = 10
"""Findings of which the whole story is told."""


@click.command()
@click.argument("url")
@click.option("--transactions", default=1000, show_default=True, help="How many each workload is to commit.")
@click.option("--processes", default=4, show_default=True, help="Clients at once; threads, if the store is memory.")
@click.option("--isolation", default="SNAPSHOT", show_default=True, type=click.Choice(list(FORBIDDEN)))
@click.option("--workload", multiple=True, type=click.Choice(list(WORKLOADS)), help="May stand several times. [all]")
@click.option("--faults", is_flag=True, help="Faults meanwhile; on Redis with a server of our own, since it is killed.")
@click.option("--every", default=0.8, show_default=True, help="Seconds between two faults.")
@click.option("--plant", type=click.Choice(list(PLANTED)), help="Spoil the store so; it must be found.")
@click.option("--seed", default=0, show_default=True)
def main(
    url: str,
    transactions: int,
    processes: int,
    isolation: str,
    workload: tuple[str, ...],
    faults: bool,
    every: float,
    plant: str | None,
    seed: int,
) -> None:
    """Run random transactions on the (empty) database of URL, and check the history of what they did and saw."""
    console = Console()
    broken = False
    for name in workload or (["append"] if plant else WORKLOADS):
        pause = every if faults else None
        trial = Trial(url, name, isolation, transactions, processes, seed, pause, plant)
        try:
            report = _run_with_progress(trial, console)
        except Error as error:
            raise click.ClickException(str(error)) from error
        _print(console, trial, report)
        broken = broken or bool(report.findings)
    sys.exit(broken is not bool(plant))


def _run_with_progress(trial: Trial, console: Console) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{trial.workload}, {trial.level}", total=trial.transactions)
        return run(trial, lambda committed: bar.update(task, completed=committed))


def _print(console: Console, trial: Trial, report: Report) -> None:
    kind = "threads" if trial.in_memory else "processes"
    table = Table(show_header=False, title=f"{trial.workload}, {trial.level}, {trial.processes} {kind}")
    for outcome in Outcome:
        table.add_row(f"transactions {outcome.value}", f"{report.outcomes[outcome]:,}")
    rate = report.outcomes[Outcome.COMMITTED] / report.seconds
    table.add_row("time", f"{report.seconds:.1f} s, {rate:,.0f} commits a second")
    for fault, count in sorted(report.faults.items()):
        table.add_row(fault, f"{count} times")
    kinds = Counter(finding.kind for finding in report.findings)
    found = ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common())
    table.add_row("found", f"[red]{found}[/]" if found else "[green]nothing that the level forbids[/]")
    console.print(table)
    for finding in report.findings[:_SHOWN]:
        console.print(f"[red]{finding.kind}[/]: {finding.story}", highlight=False)


if __name__ == "__main__":
    main()
