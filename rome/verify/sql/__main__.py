"""Command line of the fuzzer; `python -m rome.verify.sql --help`."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import sys
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rome.testing.child_processes import exit_with_parent
from rome.verify.sql import __doc__ as description
from rome.verify.sql.trial import Played, case, kind_of, race


def main() -> int:
    """Run the fuzzer; return 1 if it has found a difference."""
    parser = argparse.ArgumentParser(
        prog="rome.verify.sql", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "store",
        nargs="?",
        default="rome+memory:///",
        help="URL of a store, up to the database's name (default: %(default)s)",
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: from the clock)")
    parser.add_argument("--cases", type=int, default=None, help="how many cases, in place of --seconds")
    parser.add_argument("--length", type=int, default=40, help="statements a case (default: %(default)s)")
    parser.add_argument("--level", help="one isolation level for all cases")
    parser.add_argument("--races", action="store_true", help="overlapping transactions only")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--most", type=int, default=10, help="stop after so many differences (default: %(default)s)")
    options = parser.parse_args()
    address, mark, query = options.store.partition("?")
    store = (address if address.endswith("/") else address + "/") + mark + query
    first = options.seed if options.seed is not None else int(time.time()) % 10**9
    return _run(options, store, first)


def _run(options: argparse.Namespace, store: str, first: int) -> int:
    console = Console()
    ends = time.monotonic() + options.seconds
    found: Counter[str] = Counter()
    cases = statements = 0
    seeds = itertools.count(first) if options.cases is None else iter(range(first, first + options.cases))
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    context = multiprocessing.get_context("forkserver")
    with (
        Progress(*columns, console=console, transient=True) as progress,
        ProcessPoolExecutor(options.jobs, context, exit_with_parent) as pool,
    ):
        shown = progress.add_task("")
        running: set[Future[Played]] = set()
        while True:
            is_over = found.total() >= options.most or (options.cases is None and time.monotonic() > ends)
            while not is_over and len(running) < 2 * options.jobs and (seed := next(seeds, None)) is not None:
                is_race = options.races or (options.level is None and seed % 4 == 0)
                task = (race, seed, store) if is_race else (case, seed, options.length, store, options.level)
                running.add(pool.submit(*task))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for seed, count, script, difference in (each.result() for each in done):
                cases, statements = cases + 1, statements + count
                if script is not None and difference is not None:
                    found[kind_of(difference)] += 1
                    progress.console.print(
                        f"── seed {seed}\n{script}\n=> {difference}\n", markup=False, highlight=False
                    )
            progress.update(
                shown, description=f"{cases:,} cases, {statements:,} statements, {found.total()} differences"
            )
    console.print(
        f"seeds {first} to {first + cases - 1}: {cases:,} cases, {statements:,} statements, {found.total()} differences"
    )
    return int(found.total() > 0)


if __name__ == "__main__":
    sys.exit(main())
