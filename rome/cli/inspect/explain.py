"""`rome explain`: the plan of a statement."""

from __future__ import annotations

import click

import rome
from rome.cli.options import json_option, url_argument
from rome.cli.values import to_json


@click.command()
@url_argument
@click.argument("sql")
@click.option("--analyze", is_flag=True, help="Run the statement, and show what it took. Nothing is committed.")
@click.option("-p", "--parameter", "parameters", multiple=True, help="The value of the next ? in the statement.")
@json_option
def explain(url: str, sql: str, analyze: bool, parameters: tuple[str, ...], as_json: bool) -> None:
    """Show the plan of a statement: access paths, rounds of fetches, evaluator.

    Parameters are given as texts; a column's affinity makes numbers of them where it compares with numbers.
    """
    verb = "ANALYZE" if analyze else "PLAN FOR"
    connection = rome.connect(url)
    try:
        statement = sql.strip().rstrip(";")
        lines = [str(line) for (line,) in connection.execute(f"EXPLAIN {verb} {statement}", parameters).fetchall()]
    finally:
        connection.rollback()
        connection.close()
    click.echo(to_json({"sql": statement, "plan": lines}) if as_json else "\n".join(lines))
