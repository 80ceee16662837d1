"""Plans: which rows a statement needs, and how it is run. Immutable, without values, shared between connections."""

from __future__ import annotations

from dataclasses import dataclass, field

import apsw

from rome.catalog.model import Catalog, Table
from rome.execution.workspace import Parameters, Workspace, counter_call
from rome.sql.inserts import ValueRows, counted, value_rows
from rome.sql.paths import Path, Paths, access_paths
from rome.sql.statement import Kind, Statement
from rome.sql.tokens import names

_SCHEMA_TABLES = frozenset({"sqlite_master", "sqlite_schema", "sqlite_sequence"})


@dataclass(frozen=True)
class Plan:
    """How one statement is run under one catalog.

    `sql`: the text for the workspace (an INSERT takes ids from the counter). `paths`: the access path of each table
    occurrence; a table of `scans` is fetched whole. `about_schema`: it reads the schema itself, so all of it must be
    made. `target`: the table that it changes, `values`: the rows of INSERT … VALUES, as far as they are known before.
    """

    statement: Statement
    sql: str
    mentioned: frozenset[str]
    paths: tuple[tuple[Table, Path], ...] = ()
    scans: tuple[Table, ...] = ()
    reads: tuple[Table, ...] = ()
    about_schema: bool = False
    values: ValueRows | None = None
    target: Table | None = None

    def __str__(self) -> str:
        lines = [str(path) for _, path in self.paths] + [f"{table.name} whole" for table in self.scans]
        return "\n".join(lines) or "nothing to fetch"


@dataclass
class _Accesses:
    """What SQLite's authorizer says that a statement touches, beside the CTEs' own names."""

    catalog: Catalog
    direct: set[str] = field(default_factory=set)
    indirect: set[str] = field(default_factory=set)
    about_schema: bool = False

    def __call__(self, operation: int, first: str | None, _second: str | None, db: str | None, by: str | None) -> int:
        if operation == apsw.SQLITE_PRAGMA:
            self.about_schema = True
        if operation in (apsw.SQLITE_READ, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE) and first and db != "temp":
            name = first.lower()
            if name in _SCHEMA_TABLES:
                self.about_schema = True
            elif by is not None and by.lower() in self.catalog.objects:
                self.indirect.add(name)
            else:
                self.direct.add(name)
        return int(apsw.SQLITE_OK)


def make_plan(workspace: Workspace, statement: Statement, sql: str, parameters: Parameters) -> Plan:
    """Plan a statement about rows under the workspace's catalog. Raises SQLite's errors for a wrong one."""
    catalog = workspace.catalog
    mentioned = names(sql)
    workspace.ensure(mentioned)
    target = catalog.tables.get(statement.table) if statement.table and not statement.temporary else None
    text = sql
    values = None
    if statement.kind is Kind.INSERT and target is not None:
        if target.counted:
            text = counted(sql, target, counter_call(target))
        values = value_rows(sql, target)
    accesses = _Accesses(catalog)
    workspace.prepare(text, parameters, accesses)
    inserted = target if statement.kind is Kind.INSERT else None
    chosen, scans = _fetches(catalog, accesses, access_paths(sql, catalog), inserted)
    return Plan(
        statement=statement,
        sql=text,
        mentioned=mentioned,
        about_schema=accesses.about_schema,
        values=values,
        target=target,
        paths=tuple(chosen),
        scans=tuple(scans),
        reads=tuple({table.id: table for table in [*scans, *(table for table, _ in chosen)]}.values()),
    )


def _fetches(
    catalog: Catalog, accesses: _Accesses, paths: Paths, inserted: Table | None
) -> tuple[list[tuple[Table, Path]], list[Table]]:
    """`paths` and `scans` of a plan: a table that SQLite reads and no path speaks for is fetched whole."""
    chosen: list[tuple[Table, Path]] = []
    scans: list[Table] = []
    for name in sorted(accesses.direct | accesses.indirect):
        table = catalog.tables.get(name)
        if table is None:
            continue
        occurrences = paths.tables.get(name, ())
        if name in accesses.indirect or (not occurrences and (table is not inserted or not paths.parsed)):
            scans.append(table)
        else:
            chosen.extend((table, path) for path in occurrences)
    return chosen, scans
