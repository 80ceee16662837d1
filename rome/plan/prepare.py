"""Prepare a statement: from its text, a catalog and statistics to its plan.

`prepare` asks the cache; `_make_plan` is the whole way in seven steps:

1. An INSERT is rewritten to take the ids of new rows from the sequence (`sql.rewrite.counter_ids`).
2. SQLite compiles the text in the workspace, without running it. It raises the error of a wrong statement, and its
   authorizer reports every table that the statement reads, also through views and triggers.
3. The text is normalized, parsed and analyzed: table references, predicates, Top-N (`sql.analysis`).
4. A SELECT is compiled to a Python function (`rome.compiled`), or there is a reason why not.
5. Tables that SQLite reads and the analysis has no table reference for get a full scan.
6. It is decided whether a Top-N plan may be made: it needs an evaluator that runs without LIMIT and OFFSET, to count
   the results of a batch.
7. The planner chooses access paths and their order by the statistics (`sql.planner`).

Steps 3 and 4 take most of the time. Their results hold for all texts that differ in their IN lists only and for all
catalogs with tables of the same shape, so they are cached by normalized text (`_shapes`); plans are cached by text
(`_plans`).
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, field, replace

import apsw
from sqlglot import exp

from rome.catalog.model import Catalog, Table
from rome.compiled.compile import Compiled, NotCompiled, compile_select
from rome.errors import NotSupportedError, OperationalError
from rome.folding import fold_name
from rome.plan.plan import DefinitionCache, PagePlan, Plan
from rome.sql.analysis.analyze import Analysis, analyze, needs_parse
from rome.sql.analysis.dependencies import Definitions, definitions
from rome.sql.analysis.relation import Lists
from rome.sql.planner.planner import plan_reads
from rome.sql.planner.statistics import Statistics
from rome.sql.rewrite.counter_ids import (
    COUNTER_FUNCTION,
    ValueRows,
    check_function_names,
    insert_value_rows,
    with_counter_ids,
)
from rome.sql.rewrite.equal_members import EqualMembers, equal_members
from rome.sql.rewrite.row_keys import without_limit
from rome.sql.syntax.parse import NormalizedStatement, normalize
from rome.sql.syntax.statement import ABOUT_ROWS, WRITES, Statement, StatementKind, limits_rows
from rome.sql.syntax.tokens import names
from rome.sqlite.pragmas import FUNCTION_PREFIX, ROW_CHECKS, check_pragma, pragma_of_function
from rome.sqlite.workspace import Parameters, Workspace
from rome.sqlite.workspace_schema import counter_call


def prepare(
    workspace: Workspace, statement: Statement, sql: str, parameters: Parameters, statistics: Statistics
) -> Plan:
    """Return the plan of a statement about rows under the workspace's catalog. Raise SQLite's errors for a wrong one.

    A plan that was made for this or another database of the process is used again if the tables, views and triggers
    that it depends on have the same definitions, and the statistics lead to the same paths.
    """
    catalog = _visible_catalog(workspace)
    dependencies = definitions(statement, names(sql), catalog)
    if workspace.temporary or not workspace.redefined.isdisjoint(names(sql)):
        return _make_plan(workspace, statement, sql, parameters, statistics, catalog, dependencies)
    cached = _plans.get(sql, dependencies)
    reads = cached.reads.under(statistics) if cached is not None else None
    if cached is not None and reads is not None:
        return replace(cached, reads=reads)
    plan = _make_plan(workspace, statement, sql, parameters, statistics, catalog, dependencies)
    if _depends_only_on(dependencies, plan):
        _plans.put(sql, dependencies, plan)
    return plan


def _make_plan(
    workspace: Workspace,
    statement: Statement,
    sql: str,
    parameters: Parameters,
    statistics: Statistics,
    catalog: Catalog,
    dependencies: Definitions,
) -> Plan:
    mentioned = names(sql)
    if COUNTER_FUNCTION in mentioned:
        check_function_names(sql)
    workspace.schema.ensure(mentioned)
    target = (
        workspace.schema.catalog.tables.get(statement.table) if statement.table and not statement.temporary else None
    )
    text, values = _rewrite_insert(statement, sql, target)
    accesses = _Accesses(workspace.schema.catalog)
    description = _compile_in_workspace(workspace, statement, sql, text, parameters, accesses)
    members, normalized = _normalized(statement, sql, mentioned, workspace.redefined)
    shape = _shape(statement, mentioned, normalized, catalog, dependencies)
    lists = normalized.lists if normalized is not None else ()
    scans = _full_scans(accesses, shape.analysis, statement, target)
    obstacle = _obstacle(statement, workspace, accesses, shape.analysis, scans)
    compiled = shape.evaluator(lists) if obstacle is None else NotCompiled(obstacle)
    has_limit = obstacle is None and members is None
    unlimited, unlimited_sql = shape.without_limit(text, lists) if has_limit else (None, None)
    page = shape.page_plan(lists) if has_limit and isinstance(compiled, Compiled) else None
    reads = plan_reads(
        shape.analysis,
        lists,
        catalog,
        statistics,
        scans,
        parameters=parameters,
        has_topn=unlimited is not None or unlimited_sql is not None,
        has_page=page is not None,
    )
    reads = reads if members is None else replace(reads, count_step=None)
    return Plan(
        statement=statement,
        sql=text,
        mentioned=mentioned,
        reads=reads,
        compiled=compiled,
        description=description,
        reads_schema=accesses.reads_schema,
        values=values,
        target=target,
        unlimited=unlimited,
        unlimited_sql=unlimited_sql,
        page=page,
        members=members,
    )


def _normalized(
    statement: Statement, sql: str, mentioned: Set[str], redefined: Set[str]
) -> tuple[EqualMembers | None, NormalizedStatement | None]:
    """Return the equal members of a UNION ALL, if that is what a text is, and the normalized text to analyze.

    The latter is that of one member; None if no text is to be analyzed: a function of the application means what only
    SQLite knows.
    """
    if not redefined.isdisjoint(mentioned):
        return None, None
    may_be_union = statement.kind is StatementKind.SELECT and "union" in mentioned and not statement.tail
    members = equal_members(sql) if may_be_union else None
    if members is not None:
        return members, members.member
    return None, normalize(sql) if needs_parse(statement, mentioned) else None


_WITHOUT_LIMIT = frozenset({StatementKind.UPDATE, StatementKind.DELETE})
_IS_OF_LIMIT = re.compile(r'near "(ORDER|LIMIT)": syntax error', re.IGNORECASE)
_NO_LIMIT = (
    "{0} with ORDER BY or LIMIT is not supported: select the rows by their key, as in "
    "{0} … WHERE rowid IN (SELECT rowid FROM {1} ORDER BY … LIMIT …)"
)


def _compile_in_workspace(
    workspace: Workspace,
    statement: Statement,
    sql: str,
    rewritten: str,
    parameters: Parameters,
    accesses: _Accesses,
) -> tuple[tuple[object, ...], ...]:
    """Let SQLite compile a rewritten text, and return the description of its result. Raise the errors of `sql`."""
    try:
        return workspace.prepare(rewritten, parameters, accesses)
    except OperationalError as error:
        if rewritten != sql:
            workspace.prepare(sql, parameters, accesses)  # raises the error of the text as it was written
        if statement.kind in _WITHOUT_LIMIT and _IS_OF_LIMIT.match(str(error)) and limits_rows(sql):
            raise NotSupportedError(_NO_LIMIT.format(statement.verb.upper(), statement.table)) from error
        raise


def _rewrite_insert(statement: Statement, sql: str, target: Table | None) -> tuple[str, ValueRows | None]:
    """Return an INSERT's text with calls of the sequence, and its rows of VALUES; any other text as it is.

    `INSERT INTO t (a) VALUES (?)` becomes `INSERT INTO t ("id", a) VALUES (rome_next('t'), ?)`.
    """
    if statement.kind is not StatementKind.INSERT or target is None:
        return sql, None
    text = with_counter_ids(sql, target, counter_call(target)) if target.counted else sql
    return text, insert_value_rows(sql, target)


# ── what SQLite reports ───────────────────────────────────────────────────────────────────────────────────────────────


_OK, _PRAGMA = int(apsw.SQLITE_OK), apsw.SQLITE_PRAGMA
_ACCESSES = frozenset({apsw.SQLITE_READ, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE})
_SCHEMA_TABLES = frozenset(
    {"sqlite_master", "sqlite_schema", "sqlite_sequence", "sqlite_temp_master", "sqlite_temp_schema"}
)


@dataclass
class _Accesses:
    """Collects the tables that a statement reads, as SQLite's authorizer reports them.

    `direct`: the names of tables that the text itself reads. `indirect`: those that views and triggers read.
    """

    catalog: Catalog
    direct: set[str] = field(default_factory=set)
    indirect: set[str] = field(default_factory=set)
    reads_schema: bool = False

    def __call__(self, operation: int, first: str | None, second: str | None, db: str | None, by: str | None) -> int:
        if operation == _PRAGMA and first:
            self._note_pragma(fold_name(first), second)
        if operation in _ACCESSES and first:
            name = fold_name(first)
            if name in _SCHEMA_TABLES:
                self.reads_schema = True
            elif db != "temp":
                self._note_table(name, by)
        return _OK

    def _note_table(self, name: str, by: str | None) -> None:
        """Note a table or a table-valued function. `by`: the view or trigger that reads it, or the name of a CTE."""
        is_function = name.startswith(FUNCTION_PREFIX) and name not in self.catalog.tables
        pragma = pragma_of_function(name) if is_function else None
        if pragma is not None:
            self._note_pragma(pragma)
        elif by is not None and fold_name(by) in self.catalog.objects:
            self.indirect.add(name)
        else:
            self.direct.add(name)

    def _note_pragma(self, name: str, argument: str | None = None) -> None:
        """Note a PRAGMA, or the table-valued function of one. Raise NotSupportedError if it must not run.

        `argument`: the table whose rows are checked, and looked for in its parents; without one it is all tables.
        """
        check_pragma(name)
        self.reads_schema = True
        if name in ROW_CHECKS:
            table = self.catalog.table(argument or "")
            if table is None:
                self.indirect.update(self.catalog.tables)
            else:
                self.indirect.update(map(fold_name, (table.name, *(key.parent for key in table.foreign_keys))))


def _full_scans(
    accesses: _Accesses, analysis: Analysis, statement: Statement, target: Table | None
) -> tuple[Table, ...]:
    """Return the tables to be read whole: those that the statement reads and no step of the read plan covers."""
    catalog = accesses.catalog
    found = {name: catalog.tables[name] for name in sorted(analysis.whole)}
    covered = {fold_name(relation.table.name) for relation in analysis.relations}
    if analysis.parsed and statement.kind is StatementKind.INSERT and target is not None:
        covered.add(fold_name(target.name))
    for name in sorted(accesses.direct | accesses.indirect):
        if name in catalog.tables and (name in accesses.indirect or name not in covered):
            found[name] = catalog.tables[name]
    return tuple(found.values())


def _obstacle(
    statement: Statement,
    workspace: Workspace,
    accesses: _Accesses,
    analysis: Analysis,
    scans: tuple[Table, ...],
) -> str | None:
    """Return why a statement has neither a compiled evaluator nor a Top-N plan; None if it may have them."""
    if statement.kind is not StatementKind.SELECT:
        return "data-modifying statement" if statement.kind in WRITES else "not a SELECT"
    if accesses.reads_schema:
        return "schema table"
    if workspace.temporary:
        return "temporary tables exist"
    if not analysis.parsed:
        return "unsupported syntax"
    if not scans:
        return None
    name = scans[0].name
    return f"{name} {'is referenced through a view' if fold_name(name) in accesses.indirect else 'has no access path'}"


# ── what the text's shape determines ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _TextShape:
    """The analysis and the compiled functions of a normalized text, which hold whatever its IN lists contain.

    `block`: the function of the subquery that the analysis found a Top-N for, if it is not the statement itself.
    `page`: the function of the derived table by whose rows others are looked up.
    """

    analysis: Analysis
    compiled: Compiled | NotCompiled
    block: Compiled | NotCompiled | None = None
    page: Compiled | NotCompiled | None = None

    def evaluator(self, lists: Lists) -> Compiled | NotCompiled:
        """Return the compiled evaluator for a text whose placeholders stand for these lists, or why there is none."""
        return self.compiled.with_lists(lists) if isinstance(self.compiled, Compiled) else self.compiled

    def without_limit(self, sql: str, lists: Lists) -> tuple[Compiled | None, str | None]:
        """Return the function and the text of the Top-N query block without LIMIT and OFFSET, as far as there are any.

        They count the results of a batch, so there is no Top-N plan without one of them.
        """
        topn = self.analysis.topn
        if topn is None:
            return None, None
        block = self.compiled if topn.is_whole_statement else self.block
        unlimited = block.with_lists(lists).unlimited if isinstance(block, Compiled) else None
        return unlimited, without_limit(sql) if topn.is_whole_statement else None

    def page_plan(self, lists: Lists) -> PagePlan | None:
        """Return how to find the rows of the derived table by which other tables are looked up; None without one."""
        if self.analysis.page is None or not isinstance(self.page, Compiled):
            return None
        return PagePlan(self.analysis.page, self.page.with_lists(lists))


_plans: DefinitionCache[Plan] = DefinitionCache()
"""By statement text."""
_shapes: DefinitionCache[_TextShape] = DefinitionCache()
"""By normalized text."""


def _shape(
    statement: Statement,
    mentioned: Set[str],
    normalized: NormalizedStatement | None,
    catalog: Catalog,
    dependencies: Definitions,
) -> _TextShape:
    if normalized is None:
        analysis = analyze(statement, mentioned, None, catalog)
        return _TextShape(analysis, _compile(statement, analysis, None))
    shape = dependencies.shape
    found = _shapes.get(normalized.text, shape)
    if found is None:
        analysis = analyze(statement, mentioned, normalized, catalog)
        topn = analysis.topn
        block = _compile(statement, analysis, topn.block) if topn and not topn.is_whole_statement else None
        page = _compile(statement, analysis, analysis.page.block) if analysis.page else None
        found = _TextShape(analysis.without_tree(), _compile(statement, analysis, analysis.tree), block, page)
        _shapes.put(normalized.text, shape, found)
    return found


def _compile(statement: Statement, analysis: Analysis, query: exp.Expr | None) -> Compiled | NotCompiled:
    if statement.kind is not StatementKind.SELECT or query is None or analysis.names is None:
        return NotCompiled("not a SELECT that is understood")
    return compile_select(query, analysis.names)


# ── the catalog ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _visible_catalog(workspace: Workspace) -> Catalog:
    """Return the workspace's catalog without the tables that temporary tables of the same name hide."""
    catalog = workspace.schema.catalog
    if not workspace.temporary:
        return catalog
    return replace(catalog, tables={n: table for n, table in catalog.tables.items() if not workspace.is_temporary(n)})


def _depends_only_on(dependencies: Definitions, plan: Plan) -> bool:
    """Return True if the definitions determine the plan: SQLite reads no table that the text does not lead to."""
    if plan.reads_schema or plan.statement.kind not in ABOUT_ROWS:
        return False
    return all(fold_name(table.name) in dependencies.by_name for table in plan.tables)
