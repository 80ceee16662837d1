"""The subcommands of `rome-schema`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click
import sqlalchemy as sa
from oslo_config import cfg
from oslo_versionedobjects.exception import VersionedObjectsException
from sqlalchemy.exc import SQLAlchemyError

from rome_objects.errors import SchemaError
from rome_objects.options import register_opts
from rome_objects.schema import background, reports, state, steps
from rome_objects.schema.mirrors import Mirror
from rome_objects.schema.releases import Release, load
from rome_objects.services.options import SERVICE_GROUP


@dataclass
class Target:
    """A database, the releases that the revision scripts define, and `[service] down_time`."""

    engine: sa.Engine
    releases: list[Release]
    down_time: float


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--config-file", type=click.Path(exists=True, dir_okay=False), help="Read [database] and [schema].")
@click.option("--url", help="The database; otherwise [database] connection.")
@click.option("--scripts", multiple=True, help="A directory of revision scripts; otherwise [schema] scripts.")
@click.pass_context
def command(context: click.Context, config_file: str | None, url: str | None, scripts: Sequence[str]) -> None:
    """Upgrade a database while services of two releases run on it.

    The order is: expand, start the new release, stop the old one, migrate, contract.
    """
    conf = cfg.ConfigOpts()
    register_opts(conf)
    conf(["--config-file", config_file] if config_file else [], project="rome-schema", default_config_files=[])
    address = url or conf.database.connection
    if not address:
        raise SchemaError(reason="name a database: --url, or [database] connection in --config-file")
    engine = sa.create_engine(address)
    context.call_on_close(engine.dispose)
    context.obj = Target(engine, load(list(scripts) or conf.schema.scripts), conf[SERVICE_GROUP].down_time)


@command.command()
@click.pass_obj
def status(target: Target) -> None:
    """Print the releases of the database, the progress of its migration, and what is next."""
    newest = target.releases[-1].name
    with target.engine.connect() as connection:
        found = state.read(connection)
        others = reports.of_other_releases(connection, newest, target.down_time)
    click.echo(
        f"release {found.contracted or 'none'}" + (f", expanded for {found.expanded}" if _upgrading(found) else "")
    )
    for name, progress in found.progress.items():
        click.echo(f"  {name}: {_describe(progress)}")
    for sentence in others:
        click.echo(f"  {sentence}")
    click.echo(f"next: {_next(found, newest)}")


@command.command()
@click.pass_obj
def expand(target: Target) -> None:
    """Add what the newest release needs. Services of the old release go on."""
    done = steps.expand(target.engine, target.releases)
    click.echo(f"expanded for {', '.join(done)}" if done else "the database is expanded already")


@command.command()
@click.option("--rows", type=click.IntRange(1), default=background.ROWS, show_default=True, help="Rows of a batch.")
@click.pass_obj
def migrate(target: Target, rows: int) -> None:
    """Copy data to what was added, in batches. Repeat the command if it was interrupted."""

    def report(mirror: Mirror, progress: state.Progress) -> None:
        click.echo(f"{mirror.name}: {_describe(progress)}")

    steps.migrate(target.engine, target.releases, rows, report)
    click.echo("all rows are migrated")


@command.command()
@click.pass_obj
def contract(target: Target) -> None:
    """Drop what only the old release used. It is refused as long as a service of that release reports."""
    done = steps.contract(target.engine, target.releases, target.down_time)
    name = target.releases[-1].name
    click.echo(f"contracted to {name}" if done else f"the database is contracted to {name} already")


def run(arguments: Sequence[str]) -> int:
    """Run the command. Return the exit status. An error is a sentence on stderr."""
    try:
        command.main(list(arguments), "rome-schema", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted; repeat the command to continue", err=True)
        return 130
    except (VersionedObjectsException, cfg.Error, SQLAlchemyError) as error:
        click.echo(f"rome-schema: {getattr(error, 'orig', None) or error}", err=True)
        return 1
    return 0


def _upgrading(found: state.State) -> bool:
    return found.expanded != found.contracted


def _describe(progress: state.Progress) -> str:
    if not progress.done:
        return f"{progress.visited} of about {progress.total} rows seen, {progress.migrated} migrated"
    before = progress.visited - progress.migrated
    return f"done, {progress.migrated} rows migrated in batches, {before} when they were loaded or written"


def _next(found: state.State, newest: str) -> str:
    if found.contracted == newest:
        return "nothing, the database has the newest release"
    if found.expanded != newest:
        return "rome-schema contract" if _upgrading(found) else "rome-schema expand"
    if not all(progress.done for progress in found.progress.values()):
        return "rome-schema migrate"
    return "rome-schema contract, when no service of the old release runs"
