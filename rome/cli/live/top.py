"""`rome top`: what happens in a database now: commits, processes, statements."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from rome.cli.formats import table_lines, terminal_width
from rome.cli.live.activity import Activity, between, look
from rome.cli.options import json_option, url_argument
from rome.cli.values import printable, to_json
from rome.database.registry import open_database, release_database
from rome.url import parse_url
from rome.values import SqlValue

_LEAST_INTERVAL = 0.05
_NO_PROCESSES = (
    "No process publishes its statements. An application does so after rome.metrics.publish(URL); commits of all "
    "processes are shown."
)


@click.command()
@url_argument
@click.option(
    "--interval", type=click.FloatRange(_LEAST_INTERVAL), default=2.0, show_default=True, help="Seconds between looks."
)
@click.option("--seconds", type=float, help="End after this time.  [default: at Ctrl-C; after one look if no terminal]")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Statements that are shown.")
@json_option
def top(url: str, interval: float, seconds: float | None, limit: int, as_json: bool) -> None:
    """Show what happens: commits, tables written, processes, statements by time and round trips.

    Commits are read from the log. Statements, conflicts and connections are known of the processes that publish them
    with rome.metrics.publish; their statements are counted since each process began to publish.
    """
    is_live = terminal_width() is not None and not as_json
    database = open_database(parse_url(url))
    try:
        ends = None if seconds is None else time.monotonic() + seconds
        first = look(database)
        while True:
            time.sleep(interval if ends is None else min(interval, max(_LEAST_INTERVAL, ends - time.monotonic())))
            second = look(database)
            activity = between(database, first, second)
            first = second
            if as_json:
                click.echo(to_json(_as_json(activity, limit), indent=None))
            else:
                if is_live:
                    click.clear()
                for line in _lines(activity, limit):
                    click.echo(line)
            if (ends is None and not is_live) or (ends is not None and time.monotonic() >= ends):
                return
    except KeyboardInterrupt:
        return
    finally:
        release_database(database)


def _lines(activity: Activity, limit: int) -> Iterator[str]:
    rate = 1 / activity.seconds
    head = [f"version {activity.version:,}", f"{activity.commits * rate:,.1f} commits/s"]
    if activity.processes:
        head += [f"{activity.total(name) * rate:,.1f} {name}/s" for name in ("statements", "conflicts", "replays")]
        head.append(f"{sum(process.connections for process, _ in activity.processes):,} connections")
    if activity.server:
        head.append(f"server: {activity.server['clients']:,} clients, {activity.commands * rate:,.0f} commands/s")
    yield ", ".join(head)
    if activity.log_is_too_short:
        yield "More was committed between the looks than the log has; set a shorter --interval."
    if activity.schema_changes:
        yield f"{activity.schema_changes:,} commits changed the schema"
    width = terminal_width()
    if activity.rows:
        rows = [(printable(table), round(number * rate, 1)) for table, number in activity.rows.most_common(limit)]
        yield from ("", *table_lines(("table written", "rows/s"), rows, width))
    if not activity.processes:
        yield from ("", _NO_PROCESSES)
        return
    columns = ("process", "program", "connections", "statements/s", "rounds/s", "commits/s", "conflicts/s")
    names = ("statements", "rounds", "commits", "conflicts")
    processes: list[tuple[SqlValue, ...]] = [
        (each.name, each.program, each.connections, *(round(counts.get(name, 0) * rate, 1) for name in names))
        for each, counts in activity.processes
    ]
    yield from ("", *table_lines(columns, processes, width))
    columns = ("seconds", "count", "mean ms", "longest ms", "rounds each", "errors", "statement")
    statements = [
        (
            round(totals.seconds, 3),
            totals.count,
            round(totals.seconds / totals.count * 1000, 2),
            round(totals.longest * 1000, 2),
            round(totals.rounds / totals.count, 2),
            totals.errors,
            " ".join(sql.split()),
        )
        for sql, totals in activity.statements[:limit]
    ]
    yield from ("", *table_lines(columns, statements, width))


def _as_json(activity: Activity, limit: int) -> dict[str, Any]:
    return {
        "version": activity.version,
        "seconds": activity.seconds,
        "commits": activity.commits,
        "rows written": dict(activity.rows.most_common()),
        "schema changes": activity.schema_changes,
        "server": {**activity.server, "commands": activity.commands} if activity.server else {},
        "processes": [
            {"process": each.name, "program": each.program, "connections": each.connections, **counts}
            for each, counts in activity.processes
        ],
        "statements": [{"sql": sql, **asdict(totals)} for sql, totals in activity.statements[:limit]],
    }
