"""Run the demonstration: `python -m examples.control_plane --help`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, func, inspect, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from examples.control_plane.meter import Cost, Meter
from examples.control_plane.models import Base
from examples.control_plane.story import STORY, Cloud, Rows, Step

FILE = "demo.rome"
"""The file, in the current directory, in which the demonstration stores its data by default."""


@click.command()
@click.option(
    "--store",
    type=click.Choice(["file", "memory", "redis"]),
    default="file",
    show_default=True,
    help=f"Where ROME stores the data: in the file {FILE}, in which the next run finds it; in this process; or in a "
    "Valkey server started for the demonstration.",
)
@click.option(
    "--url", help="Use the database of this SQLAlchemy URL instead, for example rome+redis://localhost:6379/demo."
)
@click.option("--fresh", is_flag=True, help="Drop existing tables of the demonstration first.")
@click.option("--json", "as_json", is_flag=True, help="Write the results and costs of all steps as JSON.")
def main(store: str, url: str | None, fresh: bool, as_json: bool) -> None:
    """Run a small cloud control plane, written in plain SQLAlchemy, on a key/value store."""
    console = Console(highlight=False, quiet=as_json)
    with _database(store) if url is None else nullcontext(url) as target:
        engine, found = _open(target, fresh)
        try:
            if found and (url is not None or store != "file"):
                raise click.ClickException(
                    f"the database has tables {', '.join(found)}; use --fresh to drop them first"
                )
            name = engine.url.render_as_string()
            console.rule(f"A cloud control plane on {name}")
            report = _rows_of_last_run(console, engine, found) if found else _run_steps(console, engine)
            if as_json:
                click.echo(json.dumps({"url": name, **report}, indent=2))
        except OSError as error:
            raise click.ClickException(f"the output can't be written: {error.strerror}") from error
        finally:
            engine.dispose()


@contextmanager
def _database(store: str) -> Iterator[str]:
    """Yield the URL of a database in a store. Only a file stays afterwards."""
    if store == "file":
        yield f"rome+file://./{FILE}"
        return
    if store == "memory":
        yield "rome+memory:///demo"
        return
    from rome.testing.servers import valkey_server

    with valkey_server() as server:
        yield server.url("demo")


def _open(url: str, fresh: bool) -> tuple[Engine, list[str]]:
    """Return an engine, and the demonstration's tables that the database has.

    Raise ClickException for a wrong URL and for an unusable database.
    """
    try:
        engine = create_engine(url)
        found = _prepare(engine, fresh)
    except DBAPIError as error:
        raise click.ClickException(str(error.orig)) from error
    except SQLAlchemyError as error:
        raise click.ClickException(str(error)) from error
    return engine, found


def _prepare(engine: Engine, fresh: bool) -> list[str]:
    """Return the demonstration's tables that exist. With `--fresh`, drop them first.

    Open the two connections that the steps need, so that no step includes the cost of connecting.
    """
    with engine.connect(), engine.connect():
        pass
    found = sorted(set(inspect(engine).get_table_names()) & set(Base.metadata.tables))
    if found and fresh:
        Base.metadata.drop_all(engine)
        return []
    return found


def _rows_of_last_run(console: Console, engine: Engine, names: Sequence[str]) -> dict[str, Any]:
    """Print how many rows the last run has left in each table. Return them as JSON has them."""
    table = Table("table", "rows", title="The last run's data; use --fresh to run again")
    with engine.connect() as connection:
        rows = {name: connection.scalar(select(func.count()).select_from(Base.metadata.tables[name])) for name in names}
    for name, number in rows.items():
        table.add_row(name, str(number))
    console.print(table)
    return {"tables": rows}


class Ended(NamedTuple):
    """A step that has run."""

    step: Step
    seen: str | Rows
    cost: Cost

    def as_json(self) -> dict[str, Any]:
        """Return the step as JSON has it."""
        result = self.seen.dicts() if isinstance(self.seen, Rows) else self.seen
        cost = self.cost
        return {"step": self.step.title, "result": result, "statements": cost.statements, "rounds": cost.rounds}


def _run_steps(console: Console, engine: Engine) -> dict[str, Any]:
    """Run the steps, and print their results and the cost of each. Return them as JSON has them."""
    steps = STORY
    if engine.dialect.name == "rome":
        from examples.control_plane.conflict import CONFLICT

        steps += CONFLICT
    cloud, meter, ended = Cloud(engine), Meter(engine), []
    for number, step in enumerate(steps, 1):
        with meter.measure() as cost:
            seen = step.run(cloud)
        ended.append(Ended(step, seen, cost))
        console.print(f"\n[bold]{number}. {step.title}[/bold]  [cyan]{_cost(cost)}[/cyan]")
        console.print(f"[dim]{step.run.__doc__}[/dim]")
        console.print(seen)
    _summarize(console, ended)
    return {"steps": [each.as_json() for each in ended]}


def _cost(cost: Cost) -> str:
    rounds = "" if cost.rounds is None else f", round trips: {cost.rounds}"
    return f"statements: {cost.statements}{rounds}"


def _summarize(console: Console, ended: Sequence[Ended]) -> None:
    table = Table("step", title="Cost of each step")
    table.add_column("statements", justify="right")
    table.add_column("round trips", justify="right")
    for step, _, cost in ended:
        table.add_row(step.title, str(cost.statements), "not counted" if cost.rounds is None else str(cost.rounds))
    console.print()
    console.print(table)


if __name__ == "__main__":
    main()
