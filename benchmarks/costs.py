"""Count what ROME itself executes for each hot path: Python's instructions, without SQLAlchemy's, and its calls.

    python -m benchmarks.costs            print the counts, and how they differ from benchmarks/costs.json
    python -m benchmarks.costs --keep     write them there, for this version of Python

The counts do not depend on the machine or its load, so a test compares them with those of the file, and fails if a hot
path has grown by more than 5 % (`tests/test_costs.py`). They differ between minor versions of Python, so the file has
them for each. They leave out what functions in C take: a path that does more there is measured by
`python -m benchmarks.servers --instructions`, which needs valgrind.

An instruction is one of Python's bytecode, in a function of ROME or in one that ROME has generated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

import rome
from benchmarks.cases import COUNTED, Case, make_sides
from benchmarks.schema import database

FILE = Path(__file__).with_name("costs.json")
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"

SERVERS = 1000
WARM_UP, TURNS = 12, 5

_ROME = str(Path(rome.__file__).parent) + os.sep
_GENERATED = "<"
"""The first character of the file name of generated code."""


class Cost(NamedTuple):
    """The cost of one execution of a case."""

    instructions: int
    calls: int


def executed(work: Callable[[], object], part_of: Callable[[str], str | None]) -> dict[str, Cost]:
    """Return what is executed while `work` runs, by part. `part_of`: of a file's name; None counts nothing."""
    instructions: Counter[str] = Counter()
    calls: Counter[str] = Counter()

    def tracer(part: str) -> Any:
        def trace(_: FrameType, event: str, __: Any) -> Any:
            if event == "opcode":
                instructions[part] += 1
            return trace

        return trace

    tracers: dict[str, Any] = {}

    def called(frame: FrameType, *_: object) -> Any:
        part = part_of(frame.f_code.co_filename)
        if part is None:
            return None
        calls[part] += 1
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return tracers.get(part) or tracers.setdefault(part, tracer(part))

    before = sys.gettrace()
    sys.settrace(called)
    try:
        work()
    finally:
        sys.settrace(before)
    return {part: Cost(instructions[part], calls[part]) for part in calls}


def count(work: Callable[[], object]) -> Cost:
    """Return what ROME executes while `work` runs."""
    return executed(work, lambda name: "ROME" if name.startswith((_ROME, _GENERATED)) else None).get("ROME", Cost(0, 0))


def cost_of(engine: Engine, case: Case) -> Cost:
    """Return the least cost of several executions; a reply that comes in parts takes more."""

    def run() -> None:
        with Session(engine) as session:
            case.work(session)

    for _ in range(WARM_UP if case.often > 1 else 2):
        if case.prepare is not None:
            with Session(engine) as session:
                case.prepare(session)
        run()
    found = []
    for _ in range(TURNS if case.often > 1 else 2):
        if case.prepare is not None:
            with Session(engine) as session:
                case.prepare(session)
        found.append(count(run))
    return min(found)


def costs(url: str | None = None) -> dict[str, Cost]:
    """Return the cost of each counted case by name. `url`: of an empty database; None: on a temporary server."""
    with database(url, SERVERS) as filled:
        engine = create_engine(filled.url)
        make_sides(engine)
        found = {case.name: cost_of(engine, case) for case in COUNTED}
        engine.dispose()
    return found


def costs_in_process() -> dict[str, Cost]:
    """Return the costs, counted in a process of its own, with a fixed seed of hashes, so that they can be repeated."""
    command = [sys.executable, "-m", "benchmarks.costs", "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    root = Path(__file__).parents[1]
    answer = subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True)
    return {name: Cost(*numbers) for name, numbers in json.loads(answer.stdout).items()}


def kept() -> dict[str, dict[str, Cost]]:
    """Return the costs in the file, by version of Python and name of the case."""
    return {
        version: {name: Cost(*numbers) for name, numbers in of_version.items()}
        for version, of_version in json.loads(FILE.read_text()).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.costs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="write the counts to benchmarks/costs.json")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON, counted in this process")
    options = parser.parse_args()
    if options.json:
        sys.stdout.write(json.dumps(costs()))
        return
    before = kept().get(VERSION, {})
    found = costs_in_process()
    table = Table("case", "instructions", "before", "calls", "before", title=f"Python {VERSION}")
    for name, cost in found.items():
        old = before.get(name)
        numbers = (cost.instructions, old and old.instructions, cost.calls, old and old.calls)
        table.add_row(name, *(f"{number:,}" if number is not None else "" for number in numbers))
    Console().print(table)
    if options.keep:
        FILE.write_text(json.dumps({**kept(), VERSION: found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
