"""`rome copy`: the options, the steps and the report."""

from __future__ import annotations

import time
from typing import Any

import click
from rich.progress import Progress
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import SQLAlchemyError

from rome.cli.copy.converted import plan_converted
from rome.cli.copy.databases import Side, is_native, opened_source, opened_target
from rome.cli.copy.native import plan_native
from rome.cli.copy.plan import CopyPlan, TableCopy
from rome.cli.copy.rows import copied_batches
from rome.cli.copy.verify import Checksum
from rome.cli.failures import FAULTS, CommandFailure, Interrupted, Terminated
from rome.cli.formats import write_rows
from rome.cli.options import json_option
from rome.cli.progress import progress_bar
from rome.cli.values import printable, to_json
from rome.collection import collecting_rarely
from rome.folding import fold_name


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--tables", help="Only these tables, separated by commas.")
@click.option("--resume", is_flag=True, help="Continue an interrupted copy: keep the rows that the target has.")
@click.option("--dry-run", is_flag=True, help="Show the tables and their rows. Write nothing.")
@click.option("--batch", type=click.IntRange(1), help="Rows of a transaction.  [default: 10000 into a file, else 2000]")
@click.option("--no-verify", is_flag=True, help="Do not compare checksums at the end.")
@json_option
@click.pass_context
@collecting_rarely()
def copy(
    ctx: click.Context,
    source: str,
    target: str,
    tables: str | None,
    resume: bool,
    dry_run: bool,
    batch: int | None,
    no_verify: bool,
    as_json: bool,
) -> None:
    """Copy a database to another one: to ROME, back, or between stores.

    SOURCE and TARGET are ROME URLs, URLs of SQLAlchemy (postgresql+psycopg://…, sqlite:///…) or paths. The source
    is read as of one moment; applications may go on writing to it. The target must not have
    the tables, except for the rest of an interrupted copy (--resume). Each table is verified at the end by its
    number of rows and a checksum; the exit code is 3 if one differs.
    """
    only = {fold_name(name.strip()) for name in tables.split(",")} if tables else set()
    try:
        with opened_source(source) as first, opened_target(target) as second:
            plan = _planned(first, second, only)
            if dry_run:
                report = [{"table": each.name, "rows": first.count(each.source)} for each in plan.tables]
            else:
                _demand_target(second.connection, plan, resume)
                report = _copied(plan, first, second, batch or second.batch_size, verify=not no_verify)
    except SQLAlchemyError as error:
        raise CommandFailure(str(getattr(error, "orig", None) or error), type(error).__name__) from error
    except (KeyboardInterrupt, Terminated) as cause:
        raise Interrupted(cause, "--resume continues the copy") from None
    differing = [str(each["table"]) for each in report if each.get("differs")]
    _write(report, plan.notes, as_json)
    if differing:
        click.echo(f"{click.style('differs', fg='red')}: {', '.join(map(printable, differing))}", err=True)
        ctx.exit(FAULTS)


def _planned(source: Side, target: Side, only: set[str]) -> CopyPlan:
    first, second = source.connection, target.connection
    if is_native(first.engine) and is_native(second.engine):
        plan = plan_native(first, only)
    else:
        plan = plan_converted(first, second, only)
    source.check_schema()
    missing = only - {fold_name(each.name) for each in plan.tables}
    if missing:
        raise CommandFailure(f"no such table in the source: {', '.join(sorted(missing))}", "NoSuchTable")
    return plan


def _demand_target(target: Connection, plan: CopyPlan, resume: bool) -> None:
    """Raise CommandFailure if the target has one of the tables, and the copy is not the rest of another."""
    present = set(inspect(target).get_table_names())
    target.rollback()
    names = [each.name for each in plan.tables if each.name in present]
    if names and not resume:
        raise CommandFailure(
            f"the target has tables already: {', '.join(names)}; --resume continues an interrupted copy"
        )


def _copied(plan: CopyPlan, source: Side, target: Side, size: int, *, verify: bool) -> list[dict[str, Any]]:
    """Copy schema and rows. Return a report of each table."""
    plan.create(target.connection)
    target.connection.commit()
    totals = {each.name: source.count(each.source) for each in plan.tables}
    with progress_bar() as bar:
        report = [_copied_table(each, source, target, size, totals[each.name], bar, verify) for each in plan.tables]
        plan.finish(target.connection)
        target.connection.commit()
        if verify:
            for each, entry in zip(plan.tables, report, strict=True):
                task = bar.add_task(f"verifying {printable(each.name)}", total=totals[each.name])
                ours, theirs = entry.pop("sum"), Checksum()
                for rows in target.batches(each.target, each.key, size):
                    theirs.add(rows)
                    bar.advance(task, len(rows))
                entry.update(checksum=ours.digest, differs=ours != theirs)
    return report


def _copied_table(
    copy: TableCopy, source: Side, target: Side, size: int, total: int, bar: Progress, verify: bool
) -> dict[str, Any]:
    """Copy the rows of a table that the target does not have. Return a report, with the checksum of the source."""
    last = target.last_key(copy.target, copy.key) if copy.key else None
    target.connection.rollback()
    copied, checksum = 0, Checksum()
    task = bar.add_task(printable(copy.name), total=total)
    if last is not None:
        if verify:
            for rows in source.batches(copy.source, copy.key, size, until=last):
                checksum.add(rows)
                bar.advance(task, len(rows))
        else:
            bar.advance(task, target.count(copy.target))
    began = time.perf_counter()
    for rows in copied_batches(copy, source, target, size, last):
        copied += len(rows)
        bar.advance(task, len(rows))
        if verify:
            checksum.add(rows)
    took = time.perf_counter() - began
    report = {"table": copy.name, "rows": total, "copied": copied, "rows/s": round(copied / took) if copied else 0}
    return {**report, "sum": checksum} if verify else report


def _write(report: list[dict[str, Any]], notes: list[str], as_json: bool) -> None:
    if as_json:
        click.echo(to_json({"tables": report, "notes": notes}))
        return
    if not report:
        click.echo("The source has no tables.")
        return
    columns = [name for name in report[0] if name != "differs"]
    write_rows(columns, [[each[name] for name in columns] for each in report])
    for note in notes:
        click.echo(f"note: {printable(note)}", err=True)
