"""Plans: which rows a statement needs, and how it is run. Immutable, without values, shared between connections."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import apsw

from rome.catalog.model import Catalog, Table
from rome.compiled import Compiled, NotCompiled, compile_select
from rome.plan.definition_cache import DefinitionCache
from rome.sql.analysis.analyze import Analysis, analyze, needs_parse
from rome.sql.analysis.dependencies import Definitions, definitions
from rome.sql.analysis.relation import Lists
from rome.sql.planner.planner import ReadPlan, Statistics, Step, read_plan
from rome.sql.rewrite.counter_ids import ValueRows, counted, insert_value_rows
from rome.sql.rewrite.row_keys import without_limit
from rome.sql.syntax.parse import NormalizedStatement, normalize
from rome.sql.syntax.statement import ABOUT_ROWS, WRITES, Statement, StatementKind
from rome.sql.syntax.tokens import names
from rome.sqlite.workspace import Parameters, Workspace, counter_call

_SCHEMA_TABLES = frozenset({"sqlite_master", "sqlite_schema", "sqlite_sequence"})
_CHECKS = frozenset({"foreign_key_check", "integrity_check", "quick_check"})
"""PRAGMAs that read the rows of all tables, of which SQLite's authorizer says nothing."""


@dataclass(frozen=True)
class Plan:
    """How one statement is run under one catalog.

    `sql`: the text for the workspace (an INSERT takes numbers from the counter). `reads`: the access paths of table
    table references; the tables of `whole` are fetched whole in the first round. `tables`: all that it reads.
    `about_schema`: it reads the schema itself, so all of it must be made. `target`: the table that it changes,
    `values`: the rows of INSERT … VALUES, as far as they are known before. `compiled`: the compiled evaluator, or why
    there is none. `block`: that of the subselect whose page it is (`reads.page`).
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
    block: Compiled | None = None
    _direct: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def direct(self, make: Callable[[], Any]) -> Any:
        """What `make` has made of this plan, for whom runs it without the workspace; it is asked once."""
        if not self._direct:
            self._direct.append(make())
        return self._direct[0]

    @cached_property
    def uncut(self) -> Compiled | None:
        """A function that gives as many rows as there are without the page's LIMIT and OFFSET."""
        page = self.reads.page
        compiled = self.compiled if page is not None and page.is_all else self.block
        return compiled.uncut if isinstance(compiled, Compiled) else None

    @cached_property
    def uncut_sql(self) -> str | None:
        """The statement's text without LIMIT and OFFSET, if they are the page's, and in a form that is known."""
        page = self.reads.page
        return without_limit(self.sql) if page is not None and page.is_all else None

    @cached_property
    def only_step(self) -> Step | None:
        """The step of a statement that a function evaluates over the rows of one simple request."""
        is_simple = len(self.reads.steps) == 1 and not (self.whole or self.reads.counted or self.reads.page)
        if not is_simple or not isinstance(self.compiled, Compiled):
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
    """Plan a statement about rows under the workspace's catalog. Raises SQLite's errors for a wrong one.

    What was made of the text before, for this database or another one of this process, is made use of.
    """
    catalog = _visible(workspace)
    about = definitions(statement, names(sql), catalog)
    known = _plans.get(sql, about) if not workspace.temporary else None
    reads = known.reads.under(statistics) if known is not None else None
    if known is not None and reads is not None:
        return replace(known, reads=reads)
    plan = _make(workspace, statement, sql, parameters, statistics, about)
    if not workspace.temporary and _follows(plan, about):
        _plans.keep(sql, about, plan)
    return plan


def _follows(plan: Plan, about: Definitions) -> bool:
    """Whether the plan follows from these definitions: SQLite names no table that the text does not lead to."""
    if plan.about_schema or plan.statement.kind not in ABOUT_ROWS:
        return False
    return all(table.name.lower() in about.by_name for table in plan.tables)


def _make(
    workspace: Workspace,
    statement: Statement,
    sql: str,
    parameters: Parameters,
    statistics: Statistics,
    about: Definitions,
) -> Plan:
    mentioned = names(sql)
    workspace.ensure(mentioned)
    catalog = workspace.catalog
    target = catalog.tables.get(statement.table) if statement.table and not statement.temporary else None
    text = sql
    values = None
    if statement.kind is StatementKind.INSERT and target is not None:
        if target.counted:
            text = counted(sql, target, counter_call(target))
        values = insert_value_rows(sql, target)
    accesses = _Accesses(catalog)
    description = workspace.prepare(text, parameters, accesses)
    normal = normalize(sql) if needs_parse(statement, mentioned) else None
    visible = _visible(workspace)
    analysed = _analysed(statement, mentioned, normal, visible, about)
    lists = normal.lists if normal is not None else ()
    reads = read_plan(analysed.analysis, lists, visible, statistics)
    whole = _whole(catalog, accesses, reads, target if statement.kind is StatementKind.INSERT else None)
    plan = Plan(
        statement=statement,
        sql=text,
        mentioned=mentioned,
        reads=reads,
        whole=whole,
        compiled=_compiled(workspace, accesses, whole, analysed, lists),
        description=description,
        about_schema=accesses.about_schema,
        values=values,
        target=target,
        block=analysed.block.with_lists(lists) if isinstance(analysed.block, Compiled) else None,
    )
    is_usual = not (whole or accesses.about_schema or workspace.temporary)
    can_tell = plan.uncut is not None or plan.uncut_sql is not None
    return plan if reads.page is None or (is_usual and can_tell) else replace(plan, reads=replace(reads, page=None))


@dataclass(frozen=True)
class _Analysed:
    """All that comes of a normal text under definitions of some shape, whatever its lists hold."""

    analysis: Analysis
    compiled: Compiled | NotCompiled
    block: Compiled | NotCompiled | None = None


_plans: DefinitionCache[Plan] = DefinitionCache()
"""By text."""
_analyses: DefinitionCache[_Analysed] = DefinitionCache()
"""By normal text."""


def _analysed(
    statement: Statement, mentioned: Set[str], normal: NormalizedStatement | None, catalog: Catalog, about: Definitions
) -> _Analysed:
    if normal is None:
        analysis = analyze(statement, mentioned, None, catalog)
        return _Analysed(analysis, _compile(statement, analysis, catalog))
    shape = about.shape
    found = _analyses.get(normal.text, shape)
    if found is None:
        analysis = analyze(statement, mentioned, normal, catalog)
        page = analysis.topn
        block = compile_select(page.block, catalog) if page and page.block and not page.is_whole_statement else None
        found = _Analysed(analysis.without_tree(), _compile(statement, analysis, catalog), block)
        _analyses.keep(normal.text, shape, found)
    return found


def _compile(statement: Statement, analysis: Analysis, catalog: Catalog) -> Compiled | NotCompiled:
    if statement.kind is not StatementKind.SELECT:
        return NotCompiled("it is not a SELECT" if statement.kind not in WRITES else "it changes rows")
    if analysis.tree is None:
        return NotCompiled("the text is not understood")
    return compile_select(analysis.tree, catalog)


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


def _compiled(
    workspace: Workspace, accesses: _Accesses, whole: tuple[Table, ...], analysed: _Analysed, lists: Lists
) -> Compiled | NotCompiled:
    """The compiled evaluator of a plan, if it can be used."""
    if isinstance(analysed.compiled, NotCompiled):
        return analysed.compiled
    if accesses.about_schema or workspace.temporary:
        return NotCompiled("the schema or temporary tables")
    if whole:
        return NotCompiled(f"{whole[0].name} is read behind the text")
    return analysed.compiled.with_lists(lists)
