"""Compare the compiled evaluator with SQLite: the hot paths of services, and a join of 1521 by 39 rows.

    python -m benchmarks.plans [URL]

Both evaluators run in turn on the same data, so that the ratio is stable on a noisy machine.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from benchmarks.cases import HOT, make_sides, measure
from benchmarks.schema import database
from rome.compiled.compile import NotCompiled
from rome.plan.plan import DefinitionCache

SERVERS = 1000
TURNS = 7


@contextmanager
def workspace_only(engine: Engine) -> Iterator[None]:
    """Inside, all statements run in the workspace."""
    nothing = mock.Mock(return_value=NotCompiled("switched off"))
    with mock.patch.multiple(
        "rome.plan.prepare", compile_select=nothing, _plans=DefinitionCache(), _shapes=DefinitionCache()
    ):
        _forget_plans(engine)
        yield
    _forget_plans(engine)


def _forget_plans(engine: Engine) -> None:
    connection = engine.raw_connection()
    driver = connection.driver_connection
    assert driver is not None
    driver.database.plans.clear()
    connection.close()


def main(url: str | None) -> None:
    console = Console()
    with console.status(f"filling {SERVERS} servers"), database(url, SERVERS) as engine:
        make_sides(engine)
        table = Table("work", "compiled, µs", "workspace, µs", "workspace / compiled")
        for name, case in HOT.items():
            compiled, workspace = [], []
            measure(engine, case, case.often)
            for _ in range(TURNS):
                compiled.append(measure(engine, case, case.often))
                with workspace_only(engine):
                    measure(engine, case, 1)
                    workspace.append(measure(engine, case, case.often))
                measure(engine, case, 1)
            ratio = statistics.median(two / one for one, two in zip(compiled, workspace, strict=True))
            table.add_row(name, f"{min(compiled):,.0f}", f"{min(workspace):,.0f}", f"{ratio:.2f}")
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
