"""Where ROME is slower than its fastest competitor, and why: by the instructions that each of its layers takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from benchmarks.layers import SQLALCHEMY
from benchmarks.report.ratios import COMPETITORS, Ratio

_CAUSES = {
    "statement": "the dialect and the session handle each statement in Python",
    "plan": "the keys to fetch are computed in Python",
    "store": "requests are packed, and answers parsed, in Python; most other drivers do it in C",
    "decode": "the client decodes rows in Python",
    "evaluate": "the client filters, joins and sums rows in Python; a SQL engine does it in C, where the rows are",
    "transaction": "what was read is recorded, for the check of the commit",
    "commit": "the client checks constraints, and builds the message of the commit, in Python",
}
"""The cause of a layer that takes most of ROME's instructions."""

_OF_ALL_ROWS = {
    "update of all": "all rows travel to the client, and their new values and index entries to the store",
    "delete of all": "the rows' index entries travel to the client, and the keys to remove to the store",
    "insert of all": "the client makes each row's index entries, which travel with the rows",
    "grouped sum": "all rows travel to the client",
}
"""The cause that is added where a case is about all rows of a table."""

Costs = Mapping[tuple[str, str], Mapping[str, int]]
"""Instructions by layer: of a database and a case."""


class Slower(NamedTuple):
    """A case in which ROME is slower. Instructions are of SQLAlchemy, of ROME, and of the layer that takes most."""

    ratio: Ratio
    sqlalchemy: int | None
    own: int | None
    layer: str
    of_layer: int
    cause: str


def costs_by_case(rows: Iterable[dict[str, Any]]) -> Costs:
    """Return the instructions that a report has."""
    return {
        (row["backend"], _place(row.get("group", ""), row["case"])): row["layers"] for row in rows if "layers" in row
    }


def slower_cases(found: Iterable[Ratio], costs: Costs) -> Iterator[tuple[str, list[Slower]]]:
    """Yield each database of ROME that is slower somewhere, with its cases, the worst first."""
    rows = list(found)
    for rome in COMPETITORS:
        lost = sorted((each for each in rows if each.rome == rome and each.ratio < 1), key=lambda each: each.ratio)
        if lost:
            yield rome, [_explained(each, costs.get((rome, _place(each.group, each.case)))) for each in lost]


def _place(group: str, case: str) -> str:
    # The functions of a service are counted at one size.
    return f"{group.partition(',')[0]}: {case}"


def _explained(ratio: Ratio, layers: Mapping[str, int] | None) -> Slower:
    more = _OF_ALL_ROWS.get(ratio.case, "")
    if layers is None:
        return Slower(ratio, None, None, "", 0, more)
    own = {layer: number for layer, number in layers.items() if layer != SQLALCHEMY}
    most = max(own, key=lambda layer: own[layer])
    cause = "; ".join(filter(None, (more, _CAUSES[most])))
    return Slower(ratio, layers[SQLALCHEMY], sum(own.values()), most, own[most], cause)
