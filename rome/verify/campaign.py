"""Many cases of a fuzzer, in several processes, with their progress and the differences that they find."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import NamedTuple

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rome.testing.child_processes import exit_with_parent

_NUMBERS = itertools.count()


class Played(NamedTuple):
    """A case that was played: its seed, the number of its steps, and what differed: the shortest script, and how."""

    seed: int
    steps: int
    script: str | None = None
    difference: str | None = None


Task = Callable[[int], Played]
"""Plays the case of a seed; it can be pickled."""


def campaign_parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that every fuzzer has."""
    parser = argparse.ArgumentParser(
        prog=program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
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
    parser.add_argument("--length", type=int, default=40, help="steps a case (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--most", type=int, default=10, help="stop after so many differences (default: %(default)s)")
    return parser


def store_of(options: argparse.Namespace) -> str:
    """Return the URL of the store, to which the name of a database is added before the question mark."""
    address, mark, query = str(options.store).partition("?")
    return (address if address.endswith("/") else address + "/") + mark + query


def new_database(store: str) -> str:
    """Return the URL of a database that nobody else uses, on a store as `store_of` returns it."""
    address, mark, query = store.partition("?")
    return f"{address}fuzz{os.getpid()}x{next(_NUMBERS)}{mark}{query}"


def run_campaign(options: argparse.Namespace, play: Task, steps: str) -> int:
    """Play cases until the time or the seeds are used up; return 1 if one differed.

    `steps`: what a case consists of, for the progress.
    """
    console = Console()
    first = options.seed if options.seed is not None else int(time.time()) % 10**9
    ends = time.monotonic() + options.seconds
    seeds = itertools.count(first) if options.cases is None else iter(range(first, first + options.cases))
    cases = count = found = 0
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    context = multiprocessing.get_context("forkserver")
    with (
        Progress(*columns, console=console, transient=True) as progress,
        ProcessPoolExecutor(options.jobs, context, exit_with_parent) as pool,
    ):
        shown = progress.add_task("")
        running: set[Future[Played]] = set()
        while True:
            is_over = found >= options.most or (options.cases is None and time.monotonic() > ends)
            while not is_over and len(running) < 2 * options.jobs and (seed := next(seeds, None)) is not None:
                running.add(pool.submit(play, seed))
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for played in (each.result() for each in done):
                cases, count = cases + 1, count + played.steps
                if played.difference is not None:
                    found += 1
                    text = f"── seed {played.seed}\n{played.script}\n=> {played.difference}\n"
                    progress.console.print(text, markup=False, highlight=False, soft_wrap=True)
            progress.update(shown, description=f"{cases:,} cases, {count:,} {steps}, {found} differences")
    console.print(f"seeds {first} to {first + cases - 1}: {cases:,} cases, {count:,} {steps}, {found} differences")
    return int(found > 0)
