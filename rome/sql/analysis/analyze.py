"""The analysis of a statement: which table references of tables it has, and what it wants of each.

It holds for all texts that have the same normal text, whatever stands in their IN lists, and under all catalogs in
which the tables, views and triggers that they mention have the same shape (`definitions`).
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace

from sqlglot import exp

from rome.catalog.model import Catalog
from rome.sql.analysis.dependencies import changed_along, has_boolean_columns, tables_behind
from rome.sql.analysis.extract_predicates import Facts
from rome.sql.analysis.propagate_equalities import propagate
from rome.sql.analysis.relation import Relation, TopN, TopNSource
from rome.sql.analysis.scopes import Scopes, TableRef, number_table_refs, table_ref_number
from rome.sql.analysis.topn import counted, front, want_parts
from rome.sql.syntax.parse import Nodes, NormalizedStatement, parse
from rome.sql.syntax.statement import ABOUT_ROWS, WRITES, Statement, StatementKind


@dataclass(frozen=True)
class Analysis:
    """What a normal text reads.

    `parsed`: whether it was understood. If not, nothing else is said, and all that SQLite touches is to be read.
    `tree`: the parser's tree with numbered table references, where there is one. `whole`: the names, in lower case, of
    tables to be read whole for what is behind the text (views, triggers) or in a form that is not understood.
    `counted`: the answer is one row with the number of this table reference's rows of `part`.
    `page`: what comes out first is made of the first rows of a table reference.
    """

    parsed: bool = True
    tree: exp.Expr | None = None
    relations: tuple[Relation, ...] = ()
    whole: frozenset[str] = frozenset()
    row_count: Relation | None = None
    topn: TopNSource | None = None

    def without_tree(self) -> Analysis:
        """The same without the parser's tree, which is large."""
        return replace(self, tree=None, topn=replace(self.topn, block=None) if self.topn else None)


_READ_WORDS = frozenset({"select", "in"})
"""Without one of these words, an INSERT reads no table: many rows of VALUES are not parsed."""


def needs_parse(statement: Statement, mentioned: Set[str]) -> bool:
    """Whether the text must be parsed to tell what it reads. `mentioned`: the names in it (`tokens.names`)."""
    if statement.kind not in ABOUT_ROWS or statement.tail:
        return False
    return statement.kind is not StatementKind.INSERT or not mentioned.isdisjoint(_READ_WORDS)


def analyze(
    statement: Statement, mentioned: Set[str], normal: NormalizedStatement | None, catalog: Catalog
) -> Analysis:
    """The analysis of SELECT, INSERT, UPDATE or DELETE. `mentioned`: the names in its text.

    `normal`: its normal text, if it `needs_parse` and SQLite would not refuse it. `catalog` must not have tables that
    are hidden by temporary ones of the same name.
    """
    if statement.kind not in ABOUT_ROWS or statement.tail or has_boolean_columns(mentioned, catalog):
        return Analysis(parsed=False)
    behind = tables_behind(statement, mentioned, catalog)
    if not needs_parse(statement, mentioned):
        return Analysis(whole=frozenset(behind))
    tree = parse(normal) if normal is not None else None
    return Analysis(parsed=False) if tree is None else _analyze(statement, Nodes(tree), catalog, behind)


def _analyze(statement: Statement, nodes: Nodes, catalog: Catalog, behind: Set[str]) -> Analysis:
    number_table_refs(nodes, catalog)
    scopes = Scopes(nodes, catalog)
    table_refs = [one for scope in scopes for one in scope.table_refs if one.table is not None]
    table_refs += _without_scope(nodes, catalog, table_refs)
    facts = Facts(scopes)
    is_steady = _steadiness(statement, nodes.tree, scopes, catalog, behind)
    propagate(facts.equalities, is_steady)
    want_parts(scopes, facts, is_steady)
    whole = {name for name in behind | _named_otherwise(nodes) if name in catalog.tables}
    return Analysis(
        tree=nodes.tree,
        relations=tuple(table_ref.wanted() for table_ref in table_refs),
        whole=frozenset(whole),
        row_count=_counted(nodes.tree, scopes, facts),
        topn=_front(nodes.tree, scopes, facts) if statement.kind is StatementKind.SELECT else None,
    )


def _front(tree: exp.Expr, scopes: Scopes, facts: Facts) -> TopNSource | None:
    found = front(scopes, facts)
    if found is None:
        return None
    scope, table_refs, part = found
    node = scope.node
    first, *others = table_refs
    wanted = replace(
        first.wanted(),
        predicates=tuple(each for each in first.predicates if all(each in one.predicates for one in others)),
        any_of=tuple(each for each in first.any_of if all(each in one.any_of for one in others)),
        topn=part,
    )
    about = hash((wanted.number, *map(node.args.get, ("from_", "from", "where")), *(node.args.get("joins") or ())))
    return TopNSource(wanted, tuple(each.number for each in table_refs), node is tree, about, node)


def _counted(tree: exp.Expr, scopes: Scopes, facts: Facts) -> Relation | None:
    """The table reference whose rows the statement counts, and which of them."""
    found = counted(tree, scopes, facts)
    if found is None or found[0].table is None:
        return None
    table_ref, exactly = found
    return Relation(table_ref.number, found[0].table, topn=TopN(exactly))


def _without_scope(nodes: Nodes, catalog: Catalog, seen: list[TableRef]) -> list[TableRef]:
    """The table references of tables in scopes that are unclear, or in none. Nothing is known of them."""
    known = {id(table_ref.node) for table_ref in seen}
    target = nodes.tree.this if isinstance(nodes.tree, exp.Insert) else None
    known.add(id(target.this if isinstance(target, exp.Schema) else target))
    return [
        TableRef(node.alias_or_name.lower(), catalog.table(node.name), node)
        for node in nodes.tables
        if table_ref_number(node) is not None and id(node) not in known
    ]


def _named_otherwise(nodes: Nodes) -> set[str]:
    """Names, in lower case, that may be a table's but have no number: those of CTEs, and the `t` of `a IN t`."""
    found = {node.name.lower() for node in nodes.tables if table_ref_number(node) is None}
    fields = [node.args.get("field") for node in nodes.ins]
    return found | {field.name.lower() for field in fields if field is not None}


def _steadiness(
    statement: Statement, tree: exp.Expr, scopes: Scopes, catalog: Catalog, behind: Set[str]
) -> Callable[[TableRef], bool]:
    """Tells whether a statement finds a table reference's rows as they were fetched, though it changes rows on its way.

    An INSERT has read all before it changes anything, UPDATE and DELETE have found the rows that they change by what is
    in FROM and WHERE. What they look at afterwards may be changed already, by them, by foreign keys or by triggers.
    """
    if statement.kind not in WRITES:
        return lambda _: True
    changed = changed_along(statement, catalog) | behind
    found_before: set[int] = set()
    outermost = scopes.of(tree)
    if outermost is not None and statement.kind is not StatementKind.INSERT:
        found_before.update(id(one.node) for one in outermost.table_refs)
        where = tree.args.get("where")
        found_before.update(id(node) for node in (Nodes(where).tables if where else ()))

    def is_steady(table_ref: TableRef) -> bool:
        assert table_ref.table is not None
        name = table_ref.table.name.lower()
        is_target = name == statement.table and statement.kind is not StatementKind.INSERT
        return name not in changed and (not is_target or id(table_ref.node) in found_before)

    return is_steady
