"""Run the demonstration: `python -m examples.control_plane --help`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from examples.control_plane.meter import Cost, Meter
from examples.control_plane.models import Base
from examples.control_plane.story import STORY, Cloud, Step


@click.command()
@click.option(
    "--store",
    type=click.Choice(["memory", "redis"]),
    default="memory",
    show_default=True,
    help="Where ROME stores the data: in this process, or in a Valkey server started for the demonstration.",
)
@click.option(
    "--url", help="Use the database of this SQLAlchemy URL instead, for example rome+redis://localhost:6379/demo."
)
@click.option("--fresh", is_flag=True, help="Drop existing tables of the demonstration first.")
def main(store: str, url: str | None, fresh: bool) -> None:
    """Run a small cloud control plane, written in plain SQLAlchemy, on a key/value store."""
    console = Console(highlight=False)
    with _database(store) if url is None else nullcontext(url) as target:
        engine = _open(target, fresh)
        try:
            console.rule(f"A cloud control plane on {engine.url.render_as_string()}")
            _summarize(console, _tell(console, engine))
        finally:
            engine.dispose()


@contextmanager
def _database(store: str) -> Iterator[str]:
    """Yield the URL of an empty database in a store. Delete the database afterwards."""
    if store == "memory":
        yield "rome+memory:///demo"
        return
    from rome.testing.servers import valkey_server

    with valkey_server() as server:
        yield server.url("demo")


def _open(url: str, fresh: bool) -> Engine:
    """Return an engine with an empty database. Raise ClickException for a wrong URL and for an unusable database."""
    try:
        engine = create_engine(url)
        _prepare(engine, fresh)
    except DBAPIError as error:
        raise click.ClickException(str(error.orig)) from error
    except SQLAlchemyError as error:
        raise click.ClickException(str(error)) from error
    return engine


def _prepare(engine: Engine, fresh: bool) -> None:
    """Ensure that the demonstration's tables do not exist. Drop them only with `--fresh`.

    Open the two connections that the steps need, so that no step includes the cost of connecting.
    """
    with engine.connect(), engine.connect():
        pass
    taken = sorted(set(inspect(engine).get_table_names()) & set(Base.metadata.tables))
    if taken and not fresh:
        raise click.ClickException(f"the database has tables {', '.join(taken)}; use --fresh to drop them first")
    if taken:
        Base.metadata.drop_all(engine)


def _tell(console: Console, engine: Engine) -> list[tuple[Step, Cost]]:
    """Run the steps and print their results. Return the cost of each."""
    steps = STORY
    if engine.dialect.name == "rome":
        from examples.control_plane.conflict import CONFLICT

        steps += CONFLICT
    cloud, meter, costs = Cloud(engine), Meter(engine), []
    for number, step in enumerate(steps, 1):
        with meter.measure() as cost:
            seen = step.run(cloud)
        costs.append((step, cost))
        console.print(f"\n[bold]{number}. {step.title}[/bold]  [cyan]{_cost(cost)}[/cyan]")
        console.print(f"[dim]{step.run.__doc__}[/dim]")
        console.print(seen)
    return costs


def _cost(cost: Cost) -> str:
    rounds = "" if cost.rounds is None else f", round trips: {cost.rounds}"
    return f"statements: {cost.statements}{rounds}"


def _summarize(console: Console, costs: list[tuple[Step, Cost]]) -> None:
    table = Table("step", title="Cost of each step")
    table.add_column("statements", justify="right")
    table.add_column("round trips", justify="right")
    for step, cost in costs:
        table.add_row(step.title, str(cost.statements), "not counted" if cost.rounds is None else str(cost.rounds))
    console.print()
    console.print(table)


if __name__ == "__main__":
    main()
