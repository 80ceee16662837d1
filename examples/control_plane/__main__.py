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
    help="Where ROME keeps the data: in this process, or in a Valkey server started for the demonstration.",
)
@click.option("--url", help="A SQLAlchemy URL of any database instead, for example rome+redis://localhost:6379/demo.")
@click.option("--fresh", is_flag=True, help="Drop the tables of the demonstration first, if they are there.")
def main(store: str, url: str | None, fresh: bool) -> None:
    """Show a small cloud control plane, plain SQLAlchemy, at work on a key/value store."""
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
    """The URL of an empty database of a store, gone afterwards."""
    if store == "memory":
        yield "rome+memory:///demo"
        return
    from rome.testing.servers import valkey_server

    with valkey_server() as server:
        yield server.url("demo")


def _open(url: str, fresh: bool) -> Engine:
    """An engine for the story. Raises ClickException for a wrong URL and for a database that can't be used."""
    try:
        engine = create_engine(url)
        _prepare(engine, fresh)
    except DBAPIError as error:
        raise click.ClickException(str(error.orig)) from error
    except SQLAlchemyError as error:
        raise click.ClickException(str(error)) from error
    return engine


def _prepare(engine: Engine, fresh: bool) -> None:
    """See to it that the tables of the story are not there yet; never drop a table unasked.

    The two connections that the story needs are opened here, so that none of its steps pays for that.
    """
    with engine.connect(), engine.connect():
        pass
    taken = sorted(set(inspect(engine).get_table_names()) & set(Base.metadata.tables))
    if taken and not fresh:
        raise click.ClickException(f"the database has tables {', '.join(taken)}; --fresh drops them first")
    if taken:
        Base.metadata.drop_all(engine)


def _tell(console: Console, engine: Engine) -> list[tuple[Step, Cost]]:
    """Run the steps of the story and print what they show; what each cost."""
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
    table = Table("step", title="What it took")
    table.add_column("statements", justify="right")
    table.add_column("round trips", justify="right")
    for step, cost in costs:
        table.add_row(step.title, str(cost.statements), "not counted" if cost.rounds is None else str(cost.rounds))
    console.print()
    console.print(table)


if __name__ == "__main__":
    main()
