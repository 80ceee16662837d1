"""Semantic analysis: from the text of a statement to the relations that the planner finds access paths for.

    SELECT c.v FROM p JOIN c ON c.pid = p.id WHERE p.id = ?

    Relation 0 of p: id = ?1
    Relation 1 of c: pid = ?1, pid = any p.id

`analyze` parses the normalized text, numbers its table references and reads its scopes. Then it runs the `STEPS` in
their order over one context (`context.AnalysisContext`).

An analysis holds for all texts with the same normalized form, whatever their IN lists contain, and under all catalogs
in which the tables, views and triggers that they mention have the same shape (`dependencies.definitions`).
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

from sqlglot import exp

from rome.catalog.model import Catalog
from rome.folding import fold_name
from rome.sql.analysis.context import AnalysisContext
from rome.sql.analysis.dependencies import (
    find_whole_tables,
    has_boolean_aliases,
    has_boolean_columns,
    indirect_tables,
    mark_unstable_tables,
)
from rome.sql.analysis.extract_predicates import extract_predicates
from rome.sql.analysis.propagate_equalities import propagate_equalities
from rome.sql.analysis.relation import Page, Relation, TopNSource
from rome.sql.analysis.resolve_names import NameResolver
from rome.sql.analysis.scopes import Scopes, TableRef, number_table_refs, table_ref_number
from rome.sql.analysis.topn import find_page, find_row_count, find_topn_source, limit_rows
from rome.sql.syntax.parse import Nodes, NormalizedStatement, parse
from rome.sql.syntax.statement import ABOUT_ROWS, Statement, StatementKind

STEPS: tuple[Callable[[AnalysisContext], None], ...] = (
    extract_predicates,
    mark_unstable_tables,
    propagate_equalities,
    limit_rows,
    find_row_count,
    find_topn_source,
    find_page,
    find_whole_tables,
)


@dataclass(frozen=True)
class Analysis:
    """The result of the analysis of a normalized text.

    `parsed`: False if the text was not understood; then everything that SQLite touches is read. `tree`: the tree with
    numbered table references. `names`: its scopes and resolved names. `relations`: the table references. `whole`: the
    names, in lower case, of tables that are read whole, because a view, a trigger or a form that is not understood
    refers to them. `row_count`: the result is the number of rows that fulfil the conditions in the `topn` of this
    relation. `topn`: the result, or a derived table, comes out in the order of the rows of a table reference.
    `page`: a derived table by whose rows other tables are looked up.
    """

    parsed: bool = True
    tree: exp.Expr | None = None
    names: NameResolver | None = None
    relations: tuple[Relation, ...] = ()
    whole: frozenset[str] = frozenset()
    row_count: Relation | None = None
    topn: TopNSource | None = None
    page: Page | None = None

    def without_tree(self) -> Analysis:
        """Return the same analysis without the tree, which is large."""
        topn = replace(self.topn, block=None) if self.topn else None
        page = replace(self.page, block=None) if self.page else None
        return replace(self, tree=None, names=None, topn=topn, page=page)


_READ_WORDS = frozenset({"select", "in"})
"""An INSERT without one of these words reads no table, so many rows of VALUES need no parse."""


def needs_parse(statement: Statement, mentioned: Set[str]) -> bool:
    """Return True if a text must be parsed to find what it reads. `mentioned`: the names in it (`tokens.names`)."""
    if statement.kind not in ABOUT_ROWS or statement.tail:
        return False
    return statement.kind is not StatementKind.INSERT or not mentioned.isdisjoint(_READ_WORDS)


def analyze(
    statement: Statement, mentioned: Set[str], normal: NormalizedStatement | None, catalog: Catalog
) -> Analysis:
    """Analyze a SELECT, INSERT, UPDATE or DELETE. `mentioned`: the names in its text.

    `normal`: its normalized text, if it `needs_parse` and SQLite's tokenizer accepts it. `catalog`: without tables that
    temporary ones of the same name hide.
    """
    if statement.kind not in ABOUT_ROWS or statement.tail or has_boolean_columns(mentioned, catalog):
        return Analysis(parsed=False)
    indirect = indirect_tables(statement, mentioned, catalog)
    if not needs_parse(statement, mentioned):
        return Analysis(whole=frozenset(indirect))
    tree = parse(normal) if normal is not None else None
    if tree is None:
        return Analysis(parsed=False)
    nodes = Nodes(tree)
    if has_boolean_aliases(mentioned, nodes):
        return Analysis(parsed=False)
    number_table_refs(nodes, catalog)
    scopes = Scopes(nodes, catalog)
    table_refs = _table_refs(nodes, scopes, catalog)
    context = AnalysisContext(statement, catalog, nodes, indirect, scopes, NameResolver(scopes), table_refs)
    for step in STEPS:
        step(context)
    return Analysis(
        tree=tree,
        names=context.names,
        relations=tuple([table_ref.relation() for table_ref in table_refs]),
        whole=frozenset(context.whole),
        row_count=context.row_count,
        topn=context.topn,
        page=context.page,
    )


def _table_refs(nodes: Nodes, scopes: Scopes, catalog: Catalog) -> list[TableRef]:
    """Return the references to tables: those of scopes first, then those in no scope that is understood."""
    found = [one for scope in scopes.all for one in scope.table_refs if one.table is not None]
    seen = {id(table_ref.node) for table_ref in found}
    target = nodes.tree.this if isinstance(nodes.tree, exp.Insert) else None
    seen.add(id(target.this if isinstance(target, exp.Schema) else target))
    for node in nodes.tables:
        number = table_ref_number(node) if id(node) not in seen else None
        if number is not None:
            found.append(TableRef(fold_name(node.alias_or_name), catalog.table(node.name), node, number))
    return found
