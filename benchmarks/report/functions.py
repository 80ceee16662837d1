"""The table of service functions: ratios by how many instances, or images, there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.report.ratios import COMPETITORS, Ratio


class FunctionTable(NamedTuple):
    """The ratios of one database of ROME. A line is request, function, and the ratio at each size."""

    rome: str
    sizes: Sequence[int]
    lines: Sequence[tuple[str, str, Sequence[Ratio | None]]]


def function_tables(rows: Sequence[dict[str, Any]], found: Iterable[Ratio]) -> Iterator[FunctionTable]:
    """Yield a table for each database of ROME that has ratios. `rows`: the measurements of which they are made."""
    by_place = {(each.rome, each.group, each.case): each for each in found}
    sizes = sorted({row["size"] for row in rows})
    groups = {(row["service"], row["size"]): row["group"] for row in rows}
    functions = dict.fromkeys((row["service"], row["request"], row["case"]) for row in rows)
    for rome in COMPETITORS:
        if any(place[0] == rome for place in by_place):
            lines = [
                (
                    f"{service}, {request}",
                    case,
                    [by_place.get((rome, groups.get((service, size), ""), case)) for size in sizes],
                )
                for service, request, case in functions
            ]
            yield FunctionTable(rome, sizes, lines)
