"""The page of the report: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from benchmarks.layers import LAYERS
from benchmarks.report.functions import function_tables
from benchmarks.report.plots import lines, ratio_bars
from benchmarks.report.ratios import Ratio, Verdict, median, ratios, title, verdicts
from benchmarks.report.slower import costs_by_case, slower_cases

Row = dict[str, Any]


def write_page(result: dict[str, Any], path: Path) -> str:
    """Write the page. Return the verdict as text."""
    found, services = ratios(result["cases"]), result.get("services", [])
    judged, of_services = verdicts(found, "cases"), ratios(services)
    delayed = _delayed(result.get("latency", []))
    trips_of_services = result.get("service_round_trips", [])
    costs = costs_by_case([*result.get("layers", []), *trips_of_services])
    every_verdict = [*judged, *verdicts(of_services, "service functions")]
    for delay, own in delayed:
        every_verdict += verdicts(own, f"cases with {delay:g} ms a round trip")
    environment = Environment(
        loader=PackageLoader("benchmarks", "report"), autoescape=select_autoescape(), undefined=StrictUndefined
    )
    environment.filters.update(number=_number, title=title)
    text = environment.get_template("page.html").render(
        about=result["about"],
        verdicts=every_verdict,
        bars=[(each, Markup(_bars(found, each))) for each in judged],
        slower=list(slower_cases([*found, *of_services], costs)),
        layers=[(rome, rows) for rome, rows in _by(result.get("layers", []), "backend")],
        layer_names=LAYERS,
        tables=list(_tables(result["cases"])),
        functions=list(function_tables(services, of_services)),
        function_times=list(_tables(services)),
        function_trips=_pivot([row for row in trips_of_services if "round_trips" in row], "round_trips"),
        trips=_pivot(result.get("round_trips", []), "round_trips"),
        latency=[
            (delay, _pivot([row for row in result["latency"] if row["delay"] == delay], "milliseconds"))
            for delay in sorted({row["delay"] for row in result.get("latency", [])})
        ],
        delayed=[(rome, Markup(plot)) for rome, plot in _ratios_by_delay(delayed)],
        concurrency=result.get("concurrency", []),
        throughput=Markup(_throughput(result.get("concurrency", []))),
        growth=[(case, Markup(_growth(rows))) for case, rows in _by(result.get("growth", []), "case")],
        bytes=result.get("bytes", []),
    )
    path.write_text(text, encoding="utf-8")
    return "\n".join(map(str, every_verdict)) or "nothing was compared"


def _bars(found: Iterable[Ratio], judged: Verdict) -> str:
    own = [each for each in found if each.rome == judged.rome]
    own.sort(key=lambda each: -each.ratio)
    return ratio_bars([(each.title, each.ratio, each.spread, each.competitor) for each in own])


def _tables(cases: Iterable[Row]) -> Iterable[tuple[str, list[str], list[tuple[str, list[tuple[float, bool] | None]]]]]:
    """Yield a table for each durability: title, databases, and rows of the median microseconds and who is fastest."""
    for durability, rows in _by(list(cases), "durability"):
        backends = list(dict.fromkeys(row["backend"] for row in rows))
        lines_of_table = []
        for (group, case), same in _groups(rows):
            times = {row["backend"]: median(row) for row in same}
            fastest = min(times.values())
            cells = [(times[each], times[each] == fastest) if each in times else None for each in backends]
            lines_of_table.append((title(group, case), cells))
        yield durability, backends, lines_of_table


def _groups(rows: Iterable[Row]) -> Iterable[tuple[tuple[str, str], list[Row]]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["group"], row["case"]), []).append(row)
    return found.items()


def _by(rows: Iterable[Row], field: str) -> Iterable[tuple[Any, list[Row]]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[field], []).append(row)
    return found.items()


def _pivot(rows: Iterable[Row], field: str) -> tuple[list[str], list[tuple[str, list[float | None]]]]:
    """Return the databases, and for each case the field's value of each database."""
    table: dict[str, dict[str, float]] = {}
    backends: dict[str, None] = {}
    for row in rows:
        table.setdefault(row["case"], {})[row["backend"]] = row[field]
        backends[row["backend"]] = None
    return list(backends), [(case, [values.get(each) for each in backends]) for case, values in table.items()]


def _delayed(rows: Iterable[Row]) -> list[tuple[float, list[Ratio]]]:
    """Return the ratios with each delay of a round trip."""
    timed = [
        {**row, "group": "ORM", "durability": "relaxed", "microseconds": [row["milliseconds"] * 1000]} for row in rows
    ]
    return [(delay, ratios(own)) for delay, own in sorted(_by(timed, "delay"), key=lambda each: each[0])]


def _ratios_by_delay(delayed: Iterable[tuple[float, list[Ratio]]]) -> Iterable[tuple[str, str]]:
    """Yield each database of ROME with a plot of its ratios."""
    plots: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for delay, own in delayed:
        for each in own:
            plots.setdefault(each.rome, {}).setdefault(each.case, []).append((delay, each.ratio))
    for rome, series in plots.items():
        yield rome, lines(series, "milliseconds a round trip", "ratio to the fastest competitor", log_y=False)


def _throughput(rows: Iterable[Row]) -> str:
    series = {name: [(row["processes"], row["per_second"]) for row in own] for name, own in _by(rows, "backend")}
    return lines(series, "processes", "commits a second", log_y=False, log_x=False)


def _growth(rows: Iterable[Row]) -> str:
    series = {name: [(row["rows"], row["microseconds"]) for row in own] for name, own in _by(rows, "backend")}
    return lines(series, "rows of the table", "microseconds")


def _number(value: float | None) -> str:
    """Return a figure with three significant digits at most after the point."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
