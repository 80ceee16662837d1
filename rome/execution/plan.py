"""Plans: which rows a statement needs, and how it is run. Immutable, without values, shared between connections."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import apsw

from rome.catalog.model import Catalog, Table
from rome.execution.compiled import Compiled, NotCompiled, compile_select
from rome.execution.workspace import Parameters, Workspace, counter_call
from rome.sql.inserts import ValueRows, counted, value_rows
from rome.sql.planner import ReadPlan, Statistics, Step, plan_reads
from rome.sql.statement import WRITES, Kind, Statement
from rome.sql.tokens import names

_SCHEMA_TABLES = frozenset({"sqlite_master", "sqlite_schema", "sqlite_sequence"})
_CHECKS = frozenset({"foreign_key_check", "integrity_check", "quick_check"})
"""PRAGMAs that read the rows of all tables, of which SQLite's authorizer says nothing."""


@dataclass(frozen=True)
class Plan:
    """How one statement is run under one catalog.

    `sql`: the text for the workspace (an INSERT takes numbers from the counter). `reads`: the access paths of table
    occurrences; the tables of `whole` are fetched whole in the first round. `tables`: all that it reads.
    `about_schema`: it reads the schema itself, so all of it must be made. `target`: the table that it changes,
    `values`: the rows of INSERT … VALUES, as far as they are known before. `compiled`: the compiled evaluator, or why
    there is none.
    """

    statement: Statement
    sql: str
    mentioned: frozenset[str]
    reads: ReadPlan
    whole: tuple[Table, ...]
    compiled: Compiled | NotCompiled
    description: tuple[tuple[object, ...], ...]
    about_schema: bool = False
    values: ValueRows | None = None
    target: Table | None = None

    @cached_property
    def only_step(self) -> Step | None:
        """The step of a statement that a function evaluates over the rows of one simple request."""
        if len(self.reads.steps) != 1 or self.whole or self.reads.counted or not isinstance(self.compiled, Compiled):
            return None
        (step,) = self.reads.steps
        return step if step.one_prefix else None

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables that the statement reads, each once."""
        found = {table.id: table for table in self.whole}
        found.update((step.table.id, step.table) for step in self.reads.steps)
        return tuple(found.values())


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
            if first and first.lower() in _CHECKS:
                self.indirect.update(self.catalog.tables)
        if operation in (apsw.SQLITE_READ, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE) and first and db != "temp":
            name = first.lower()
            if name in _SCHEMA_TABLES:
                self.about_schema = True
            elif by is not None and by.lower() in self.catalog.objects:
                self.indirect.add(name)
            else:
                self.direct.add(name)
        return int(apsw.SQLITE_OK)


def make_plan(
    workspace: Workspace, statement: Statement, sql: str, parameters: Parameters, statistics: Statistics
) -> Plan:
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
    description = workspace.prepare(text, parameters, accesses)
    reads = plan_reads(sql, _visible(workspace), statistics)
    whole = _whole(catalog, accesses, reads, target if statement.kind is Kind.INSERT else None)
    return Plan(
        statement=statement,
        sql=text,
        mentioned=mentioned,
        reads=reads,
        whole=whole,
        compiled=_compile(workspace, statement, accesses, reads, whole),
        description=description,
        about_schema=accesses.about_schema,
        values=values,
        target=target,
    )


def _visible(workspace: Workspace) -> Catalog:
    """The catalog without tables that temporary ones hide."""
    catalog = workspace.catalog
    if not workspace.temporary:
        return catalog
    return replace(catalog, tables={n: table for n, table in catalog.tables.items() if not workspace.is_temporary(n)})


def _whole(catalog: Catalog, accesses: _Accesses, reads: ReadPlan, inserted: Table | None) -> tuple[Table, ...]:
    """The tables to be fetched whole: those that SQLite reads and no access path speaks for."""
    found = {table.name.lower(): table for table in reads.whole}
    planned = {step.table.name.lower() for step in reads.steps}
    for name in sorted(accesses.direct | accesses.indirect):
        table = catalog.tables.get(name)
        if table is None:
            continue
        if name in accesses.indirect or (name not in planned and (table is not inserted or not reads.parsed)):
            found[name] = table
    return tuple(found.values())


def _compile(
    workspace: Workspace, statement: Statement, accesses: _Accesses, reads: ReadPlan, whole: tuple[Table, ...]
) -> Compiled | NotCompiled:
    if statement.kind is not Kind.SELECT:
        return NotCompiled("it is not a SELECT" if statement.kind not in WRITES else "it changes rows")
    if reads.tree is None:
        return NotCompiled("the text is not understood")
    if accesses.about_schema or workspace.temporary:
        return NotCompiled("the schema or temporary tables")
    if whole:
        return NotCompiled(f"{whole[0].name} is read behind the text")
    return compile_select(reads.tree, workspace.catalog, reads.lists)
