"""Run the benchmarks and write a report: `./scripts/bench`, or `python -m benchmarks.bench`.

The measurements go to a JSON file; the page is made of it alone, so that an old file can be shown again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from rich.console import Console

from benchmarks.about import about
from benchmarks.backends import BACKENDS, Backend, Missing, Opened, open_backend
from benchmarks.cases import make_sides
from benchmarks.concurrency import throughput
from benchmarks.growth import bytes_of_rows, growth
from benchmarks.layers import layers_of_cases
from benchmarks.network import latencies, round_trips
from benchmarks.report.compare import changes
from benchmarks.report.page import write_page
from benchmarks.schema import fill
from benchmarks.services import round_trips as service_round_trips
from benchmarks.services.functions import SERVICES


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    passes: int
    rounds: int
    seconds_of_a_case: float
    scale: float
    delays: tuple[float, ...]
    processes: tuple[int, ...]
    seconds: float
    rows: tuple[int, ...]
    servers: int
    of_services: tuple[int, ...]
    """How many instances and images services have."""
    counted: tuple[str, ...]
    """Databases whose instructions are counted."""


QUICK = Size(1, 3, 0.1, 0.3, (10.0,), (1, 4), 1.5, (1_000, 10_000), 2_000, (1_000,), ("ROME on Valkey",))
FULL = Size(
    *(3, 5, 0.3, 1.0, (1.0, 10.0, 50.0), (1, 2, 4, 8), 4.0),
    *((1_000, 10_000, 100_000, 1_000_000), 10_000, (100, 1_000, 10_000)),
    ("ROME on Valkey", "ROME on Valkey, cache", "ROME in a file"),
)


def run_cases(module: str, size: Size, only: str, backends: str, console: Console) -> dict[str, Any]:
    """Run the cases of a module by pytest-benchmark. Return its JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cases.json")
        command = [
            sys.executable,
            "-m",
            "pytest",
            str(Path(__file__).parent / f"{module}.py"),
            "-v",
            "--benchmark-only",
        ]
        command += ["-p", "no:xdist", "-p", "no:cacheprovider", "--benchmark-json", str(path)]
        command += ["--passes", str(size.passes), "--rounds", str(size.rounds), "--scale", str(size.scale)]
        command += ["--seconds", str(size.seconds_of_a_case)]
        command += ["--sizes", ",".join(map(str, size.of_services))]
        # As one argument: pytest would take an empty one for the folder, and load the tests' conftest.py.
        command += [f"--backends={backends}", *(["-k", only] if only else [])]
        # pytest-benchmark measures nothing if it finds the variables of pytest-xdist.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment |= {"PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "200"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
            assert running.stdout is not None
            with console.status("collecting cases") as status:
                lines = [_noted(line, status.update) for line in running.stdout]
        if running.returncode == pytest.ExitCode.NO_TESTS_COLLECTED:  # none has this name
            return {"benchmarks": []}
        if running.returncode or not path.exists():
            raise click.ClickException("the cases failed:\n" + "".join(lines[-40:]))
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def _noted(line: str, note: Callable[[str], None]) -> str:
    """Show which case was measured last. Return the line."""
    if "::test_" in line and "%]" in line:
        name = line.partition("[")[2].rpartition("]")[0].rpartition("]")[0]
        note(f"{line.rstrip()[-6:-1].strip(' []')} {name}")
    return line


def cases_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the measurements of the cases: microseconds of one execution, by round, all passes together."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in found["benchmarks"]:
        info = each["extra_info"]
        key = info["group"], info["case"], info["backend"], info["durability"]
        fields = {name: value for name, value in info.items() if name != "times"}
        row = rows.setdefault(key, {**fields, "microseconds": []})
        row["microseconds"] += [seconds / info["times"] * 1e6 for seconds in each["stats"]["data"]]
    return list(rows.values())


def measure_rest(size: Size, wanted: list[Backend], note: Callable[[str], None]) -> dict[str, Any]:
    """Return everything that is not measured by a case: network, concurrency, growth, bytes."""
    with ExitStack() as stack:
        opened: list[Opened] = []
        for backend in wanted:
            if backend.asynchronous or "memory" in backend.name:
                continue
            try:
                opened.append(stack.enter_context(open_backend(backend)))
            except Missing:
                continue
            note(f"filling {backend.name}")
            fill(opened[-1].engine, 1000)
            make_sides(opened[-1].engine)
        networked = [each for each in opened if each.backend.kind == "server" or "Valkey" in each.backend.name]
        result = {
            "round_trips": round_trips(networked, note),
            "latency": latencies(networked, size.delays, note),
            "concurrency": throughput(opened, size.processes, size.seconds, 1000, note),
            "layers": layers_of_cases([each for each in opened if each.backend.name in size.counted], note),
        }
    several = [each.backend for each in opened if "cache" not in each.backend.name]
    one_driver = [each for each in several if each.name.split(",")[-1].strip() not in ("psycopg2", "PyMySQL")]
    result["growth"] = growth(one_driver, size.rows, note)
    result["bytes"] = bytes_of_rows(one_driver, size.servers, note)
    return result


@click.command()
@click.option("--quick", is_flag=True, help="Measure less: a few minutes.")
@click.option("--services", is_flag=True, help="Also the functions of Nova's and Glance's database APIs.")
@click.option("--only", default="", metavar="PATTERN", help="Only cases whose name matches (pytest -k); nothing else.")
@click.option("--backends", default="", metavar="NAMES", help="Only databases whose name contains one of these parts.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), default=Path("build/benchmarks.json"))
@click.option("--html", "html_path", type=click.Path(path_type=Path), default=Path("build/benchmarks.html"))
@click.option("--compare", type=click.Path(exists=True, path_type=Path), help="An older JSON file to compare with.")
@click.option(
    "--show", type=click.Path(exists=True, path_type=Path), help="Measure nothing; make the page of this JSON."
)
def main(
    quick: bool,
    services: bool,
    only: str,
    backends: str,
    json_path: Path,
    html_path: Path,
    compare: Path | None,
    show: Path | None,
) -> None:
    """Compare ROME with SQL databases, and write a report."""
    console = Console()
    if show is not None:
        result = json.loads(show.read_text(encoding="utf-8"))
    else:
        lacking = [reason for each in SERVICES if services and (reason := each.missing)]
        if lacking:
            raise click.UsageError("; ".join(lacking))
        began = time.monotonic()
        size = QUICK if quick else FULL
        found = run_cases("test_cases", size, only, backends, console)
        result = {"about": about(found, quick, services), "cases": cases_of(found)}
        if services:
            result["services"] = cases_of(run_cases("test_services", size, only, backends, console))
        if not only:
            parts = [part for part in backends.split(",") if part]
            wanted = [each for each in BACKENDS if not parts or any(part in each.name for part in parts)]
            with console.status("network") as status:
                result |= measure_rest(size, wanted, status.update)
                if services:
                    result["service_round_trips"] = service_round_trips.round_trips(wanted, 100, status.update)
        result["about"]["minutes"] = round((time.monotonic() - began) / 60, 1)
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(result, indent=1), encoding="utf-8")
        console.print(f"measurements: {json_path}")
    html_path.parent.mkdir(parents=True, exist_ok=True)
    console.print(write_page(result, html_path))
    console.print(f"report: {html_path}")
    if compare is not None:
        for line in changes(json.loads(compare.read_text(encoding="utf-8")), result):
            console.print(line)


if __name__ == "__main__":
    main()
