"""The instructions of Python that a piece of work takes in each layer, from SQLAlchemy to the commit.

    python -m benchmarks.layers    print them for each case, on a temporary Valkey server

Instructions are exact where times are noisy. What functions in C take is left out: the socket, the decoding of rows by
`struct` and the like.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy
from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

import rome
from benchmarks.backends import NAMES, Opened, open_backend
from benchmarks.cases import CASES, Case, make_sides
from benchmarks.costs import executed
from benchmarks.schema import fill

SQLALCHEMY = "SQLAlchemy"
LAYERS = (SQLALCHEMY, "statement", "plan", "store", "decode", "evaluate", "transaction", "commit")
"""In the order in which a statement goes through them. All but the first are ROME's own."""

_PARTS = {
    "dialect": "statement", "dbapi": "statement", "session": "statement",
    "sql": "plan", "plan": "plan", "database": "plan",
    "storage": "store", "cache": "store",
    "catalog": "decode", "values.py": "decode", "packing.py": "decode", "fast_tuples.py": "decode",
    "compiled": "evaluate", "sqlite": "evaluate",
    "transaction/commit": "commit", "transaction/constraints": "commit", "transaction/writes": "commit",
    "transaction/index_entries.py": "commit",
}  # fmt: skip
"""The layer of each part of the package."""

_HOMES = {module: str(Path(module.__file__ or "").parent) + "/" for module in (rome, sqlalchemy)}
_WARM_UP = 2

Row = dict[str, Any]


@cache
def layer_of(name: str) -> str | None:
    """Return the layer of a file of source, None if it is neither ROME's nor SQLAlchemy's."""
    if name.startswith("<compiled"):
        return "evaluate"
    if name.startswith(_HOMES[sqlalchemy]):
        return SQLALCHEMY
    if not name.startswith(_HOMES[rome]):
        return None
    parts = name.removeprefix(_HOMES[rome]).split("/")
    return _PARTS.get("/".join(parts[:2])) or _PARTS.get(parts[0], "transaction")


def layers(work: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> dict[str, int]:
    """Return the instructions of one execution by layer, after some that are not counted."""
    for _ in range(_WARM_UP):
        prepare()
        work()
    prepare()
    counted: Counter[str] = Counter()
    for layer, cost in executed(work, layer_of).items():
        counted[layer] += cost.instructions
    return {layer: counted[layer] for layer in LAYERS}


def layers_of_cases(opened: Sequence[Opened], note: Callable[[str], None]) -> list[Row]:
    """Return the instructions of each case on databases that are filled."""
    found = []
    for each in opened:
        for case in CASES:
            note(f"instructions of {case.name} on {each.backend.name}")
            place = {"group": case.group, "case": case.name, "backend": each.backend.name}
            found.append({**place, "layers": _of(each, case)})
    return found


def _of(opened: Opened, case: Case) -> dict[str, int]:
    def run(work: Callable[[Session], object] | None) -> None:
        if work is not None:
            with Session(opened.engine) as session:
                work(session)

    return layers(lambda: run(case.work), lambda: run(case.prepare))


def main() -> None:
    console = Console()
    table = Table("case", *LAYERS, "ROME")
    with open_backend(NAMES["ROME on Valkey"]) as opened:
        fill(opened.engine, 1000)
        make_sides(opened.engine)
        for row in layers_of_cases([opened], lambda _: None):
            counts = row["layers"]
            own = sum(counts.values()) - counts[SQLALCHEMY]
            table.add_row(row["case"], *(f"{counts[layer]:,}" for layer in LAYERS), f"{own:,}")
    console.print(table)


if __name__ == "__main__":
    main()
