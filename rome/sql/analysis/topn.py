"""Top-N: the table references of which a statement needs only the first rows in an order, or only their number.

    SELECT * FROM p WHERE host = ? ORDER BY created, id LIMIT 20 OFFSET 40      the first 60 by (host, created, id)
    SELECT max(created) FROM p WHERE host = ?                                   the last one by (host, created)
    SELECT … WHERE EXISTS (SELECT 1 FROM p WHERE host = ?)                      the first one by (host)
    SELECT count(*) FROM p WHERE host = ?                                       the number of entries by (host)

The steps of this module are four:

* `limit_rows` finds the table references whose first rows suffice. All conditions of the scope must then be known, as
  predicates on that one table reference, with values that are the same whenever the scope is evaluated. Other tables
  may only be LEFT JOINed to it: each of its rows then makes at least one row of the result, so that no more of them are
  needed than rows come out.
* `find_row_count` finds the table reference whose rows the statement counts.
* `find_topn_source` is for a LIMIT where a condition or an inner join may drop rows, so that the number of rows needed
  is unknown. It finds the table reference in whose order the result comes out: what comes of its first rows comes
  first. So a batch of these is fetched, and more while too few rows come out (`rome.sql.planner.topn_fetch`). The table
  may be in a derived table, or once in each member of a UNION:

      SELECT * FROM (SELECT * FROM p WHERE a = ? UNION SELECT * FROM p WHERE b = ?) ORDER BY created, id LIMIT 20

* `find_page` finds a derived table with a LIMIT by whose rows other tables are looked up. So SQLAlchemy writes
  `joinedload` of collections with `limit`:

      SELECT * FROM (SELECT id AS i, name AS n FROM p WHERE host = ? ORDER BY created LIMIT 25) AS d
          LEFT JOIN c ON c.pid = d.i

  When the rows of p are fetched, `rome.session.fetch` evaluates d, and looks up those of c by what comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

from sqlglot import exp

from rome.catalog.model import Column
from rome.folding import fold_name
from rome.sql.analysis.comparisons import Op, constant, null_test
from rome.sql.analysis.context import AnalysisContext
from rome.sql.analysis.relation import Conditions, Page, Predicate, Relation, TopN, TopNSource
from rome.sql.analysis.resolve_names import NameResolver, ResolvedColumn, ResolvedColumns
from rome.sql.analysis.scopes import Scope, TableRef, is_pushdown_safe, is_row_wise, table_ref_number
from rome.sql.syntax.operands import Const, FromColumn, Source
from rome.sql.syntax.statement import StatementKind

# ── steps of the analysis ─────────────────────────────────────────────────────────────────────────────────────────────


def limit_rows(context: AnalysisContext) -> None:
    """Set the `topn` of each table reference whose first rows suffice."""
    for scope in context.scopes.all:
        table_ref = _left_joined_to(scope)
        if table_ref is not None and table_ref.stable:
            conditions = context.required_of(scope).of_only(table_ref)
            if conditions is None:
                continue
            if scope.node.args.get("limit"):
                table_ref.topn = _limited(context.names, scope, table_ref, conditions)
            else:
                table_ref.topn = _single_row(context.names, scope, table_ref, conditions)


def find_row_count(context: AnalysisContext) -> None:
    """Set the context's `row_count`, if the statement's result is the number of a table reference's rows."""
    scope = context.scopes.of(context.nodes.tree)
    if scope is None or not _is_count(context.names, scope):
        return
    while scope is not None and context.required_of(scope).is_complete and not context.required_of(scope).conditions:
        if len(scope.table_refs) != 1 or scope.table_refs[0].table is not None:
            break
        node = scope.table_refs[0].node  # as SQLAlchemy's Query.count() writes it: count(*) of a derived table
        inner = context.scopes.of(node.this) if isinstance(node, exp.Subquery) else None
        scope = inner if inner and is_pushdown_safe(inner.node) and not inner.node.args.get("distinct") else None
    if scope is None or len(scope.table_refs) != 1:
        return
    table_ref = scope.table_refs[0]
    conditions = context.required_of(scope).of_only(table_ref)
    if table_ref.table is not None and conditions is not None:
        context.row_count = Relation(table_ref.number, table_ref.table, topn=TopN(conditions), name=table_ref.name)


def find_topn_source(context: AnalysisContext) -> None:
    """Set the context's `topn`, if a scope with a LIMIT comes out in the order of a table reference's rows.

    The scope must be evaluated once: no scope encloses it.
    """
    if context.statement.kind is not StatementKind.SELECT:
        return
    for scope in context.scopes.all:
        if scope.node.args.get("limit") and context.scopes.enclosing(scope) is None:
            for table_ref in scope.table_refs:
                driving = _driving_table(context, scope, table_ref)
                topn = _order_of(context.names, scope, driving) if driving is not None else None
                if driving is not None and topn is not None:
                    context.topn = _topn_source(context, scope, driving, topn)
                    return


def _topn_source(context: AnalysisContext, scope: Scope, driving: DrivingTable, topn: TopN) -> TopNSource:
    node = scope.node
    first, *others = driving.table_refs
    relation = replace(
        first.relation(),
        predicates=tuple(each for each in first.predicates if all(each in one.predicates for one in others)),
        any_of=tuple(each for each in first.any_of if all(each in one.any_of for one in others)),
        topn=topn,
    )
    filters = (*map(node.args.get, ("from_", "from", "where")), *(node.args.get("joins") or ()))
    return TopNSource(
        relation,
        tuple(each.number for each in driving.table_refs),
        is_whole_statement=node is context.nodes.tree,
        filter_id=hash((relation.number, *filters)),
        block=node,
    )


# ── the first rows of one table reference ─────────────────────────────────────────────────────────────────────────────


def _left_joined_to(scope: Scope) -> TableRef | None:
    """Return the table to which all other items of FROM are LEFT JOINed."""
    node = scope.node
    if not isinstance(node, exp.Select) or not scope.table_refs or scope.table_refs[0].table is None:
        return None
    for join in node.args.get("joins") or ():
        if str(join.args.get("side") or "").upper() != "LEFT":
            return None
    clause = node.args.get("from_") or node.args.get("from")
    return scope.table_refs[0] if clause is not None and clause.this is scope.table_refs[0].node else None


def _limited(names: NameResolver, scope: Scope, table_ref: TableRef, conditions: Conditions) -> TopN | None:
    """Return the rows of a scope's LIMIT; None if one row of the result may need several."""
    counts = _counts(scope.node)
    parts = ("group", "having", "windows", "distinct")
    if counts is None or any(map(scope.node.args.get, parts)) or not is_row_wise(scope.node):
        return None
    return _in_order(names, scope, DrivingTable(table_ref, (table_ref,)), conditions, counts)


def _single_row(names: NameResolver, scope: Scope, table_ref: TableRef, conditions: Conditions) -> TopN | None:
    """Return the one row that decides EXISTS, min() or max()."""
    node = scope.node
    parent = node.parent
    while isinstance(parent, (exp.Subquery, exp.Paren)):
        parent = parent.parent
    if isinstance(parent, exp.Exists) and is_pushdown_safe(node):
        return TopN(conditions, limit=(Const(1),))
    if len(scope.table_refs) > 1 or len(node.expressions) != 1:
        return None
    if any(map(node.args.get, ("group", "having", "offset", "windows", "distinct", "order"))):
        return None
    extreme = _min_or_max(node.expressions[0])
    found = names.resolve_one(scope, extreme.this) if extreme is not None else None
    if extreme is None or found is None or found.table_ref is not table_ref:
        return None
    if found.column.collation != "BINARY":
        return None  # SQLite may return any of several equal values
    present = Predicate(found.column, Op.NOT_NULL, ())
    return TopN((*conditions, present), (found.column,), isinstance(extreme, exp.Max), (Const(1),))


def _min_or_max(node: exp.Expr) -> exp.Max | exp.Min | None:
    """Return the min() or max() of a column that an expression is, perhaps with a constant in the place of NULL."""
    node = node.unalias().unnest()
    if isinstance(node, exp.Coalesce) and all(
        isinstance(each, (exp.Literal, exp.Placeholder)) for each in node.expressions
    ):
        node = node.this.unnest()
    if not isinstance(node, (exp.Max, exp.Min)) or node.expressions:
        return None
    return node if isinstance(node.this, exp.Column) else None


def _is_count(names: NameResolver, scope: Scope) -> bool:
    """Return True if the result of a scope is its number of rows."""
    node = scope.node
    if len(node.expressions) != 1 or len(scope.table_refs) != 1:
        return False
    count = node.expressions[0].unalias()
    if not isinstance(count, exp.Count) or count.expressions:
        return False
    if any(map(node.args.get, ("group", "having", "limit", "offset", "distinct", "windows"))):
        return False
    if isinstance(count.this, (exp.Star, exp.Literal)):
        return True
    found = names.resolve_one(scope, count.this) if isinstance(count.this, exp.Column) else None
    return found is not None and found.from_item is found.table_ref and found.is_not_null


# ── driving table ─────────────────────────────────────────────────────────────────────────────────────────────────────
#
#     SELECT * FROM (SELECT id AS i, created AS c FROM p WHERE a = ? UNION SELECT id, created FROM p WHERE b = ?) AS u …
#
# Each row of u comes from one row of p, and its columns i and c are the same columns of p in every member of the UNION.


@dataclass(frozen=True, slots=True)
class DrivingTable:
    """The table whose rows an item of FROM has, one by one: the item itself, or a table within it."""

    from_item: TableRef
    table_refs: tuple[TableRef, ...]
    """One in each member of a UNION."""

    def common(self, found: ResolvedColumns) -> ResolvedColumn | None:
        """Return the column that a name leads to, if it is this table's and the same in every member."""
        if len(found) != len(self.table_refs):
            return None
        for each, table_ref in zip(found, self.table_refs, strict=True):
            if each.from_item is not self.from_item or each.table_ref is not table_ref:
                return None
            if each.column != found[0].column:
                return None
        return found[0]


def _driving_table(context: AnalysisContext, scope: Scope, from_item: TableRef) -> DrivingTable | None:
    """Return the table that drives an item of FROM; None if one of its rows may come from several, or is unknown."""
    if from_item.table is not None:
        return DrivingTable(from_item, (from_item,))
    terms = _order_terms(scope.node)
    found = context.names.resolve_order(scope, terms[0].this) if terms else ()
    members = _union_members(from_item.node.this) if isinstance(from_item.node, exp.Subquery) else None
    if not found or members is None or len(members) != len(found):
        return None
    for member, each in zip(members, found, strict=True):
        inner = context.scopes.of(member)
        if inner is None or not each.pushdown_safe or each.nullable or each.table_ref not in inner.table_refs:
            return None
    tables = {each.table_ref.table.id for each in found if each.table_ref.table is not None}
    return DrivingTable(from_item, tuple(each.table_ref for each in found)) if len(tables) == 1 else None


def _union_members(node: exp.Expr) -> list[exp.Expr] | None:
    """Return the SELECTs of a UNION, or the only SELECT; None for EXCEPT and INTERSECT."""
    if not isinstance(node, exp.SetOperation):
        return [node]
    if not isinstance(node, exp.Union):
        return None
    first, second = [_union_members(node.args[part]) for part in ("this", "expression")]
    return None if first is None or second is None else first + second


# ── ORDER BY and LIMIT ────────────────────────────────────────────────────────────────────────────────────────────────


def _order_of(names: NameResolver, scope: Scope, driving: DrivingTable) -> TopN | None:
    """Return the order in which the rows of a scope come out, if it is one of the driving table's rows."""
    counts = _counts(scope.node)
    if counts is None or driving.from_item.nullable or not _is_one_by_one(names, scope, driving.from_item):
        return None
    topn = _in_order(names, scope, driving, (), counts)
    terms = _order_terms(scope.node)
    # DISTINCT keeps one of several equal rows: all of them must have the same position in the order.
    if scope.node.args.get("distinct") and not all(_is_selected(names, scope, term) for term in terms):
        return None
    return topn if topn.order or not terms else None


def _is_one_by_one(names: NameResolver, scope: Scope, table_ref: TableRef) -> bool:
    """Return True if what comes out for one row of the table reference needs no other row of it."""
    node, table = scope.node, table_ref.table
    group = node.args.get("group")
    if not group:
        return not any(map(node.args.get, ("having", "windows"))) and is_row_wise(node)
    if table is None:
        return False
    found = [names.resolve_one(scope, each) for each in group.expressions if each.args.get("table")]
    grouped = {fold_name(each.column.name) for each in found if each and each.from_item is each.table_ref is table_ref}
    key = {fold_name(name) for name in table.key or (str(table.counted),)}
    return grouped >= key and not (node.args.get("windows") or node.find(exp.Window))


def _is_selected(names: NameResolver, scope: Scope, term: exp.Ordered) -> bool:
    """Return True if a term of ORDER BY is a column of the select list."""
    found = names.resolve_order(scope, term.this)
    return len(found) == 1 and found in [names.follow(each.column) for each in names.result_of(scope) or ()]


def _counts(node: exp.Expr) -> tuple[Source, ...] | None:
    """Return LIMIT and OFFSET; None if there is no LIMIT, or one of them is an expression."""
    clauses = [clause for part in ("limit", "offset") if (clause := node.args.get(part))]
    counts = tuple([source for clause in clauses if (source := constant(clause.expression.unnest())) is not None])
    return counts if node.args.get("limit") and len(counts) == len(clauses) else None


def _in_order(
    names: NameResolver, scope: Scope, driving: DrivingTable, conditions: Conditions, counts: tuple[Source, ...]
) -> TopN:
    """Return the Top-N of the ORDER BY terms that are columns of the driving table, up to the first other one."""
    order: list[Column] = []
    descending: bool | None = None
    terms = _without_null_terms(names, scope, driving)
    for term in terms:
        column = _order_column(names, scope, driving, term)
        is_descending = bool(term.args.get("desc"))
        if column is None or descending not in (None, is_descending):
            break
        order.append(column)
        descending = is_descending
    return TopN(conditions, tuple(order), bool(descending), counts, order_continues=len(order) < len(terms))


def _without_null_terms(names: NameResolver, scope: Scope, driving: DrivingTable) -> list[exp.Ordered]:
    """Return the terms of ORDER BY without those that sort NULLs where the next term sorts them anyway.

    The pagination of oslo.db writes `a IS NULL DESC, a ASC` for NULLS FIRST.
    """
    terms = _order_terms(scope.node)
    pairs = zip_longest(terms, terms[1:])
    return [term for term, following in pairs if not _is_redundant(names, scope, driving, term, following)]


def _is_redundant(
    names: NameResolver, scope: Scope, driving: DrivingTable, term: exp.Ordered, following: exp.Ordered | None
) -> bool:
    """Return True for a NULL test of a column that is never NULL, or that the next term sorts in the same way."""
    column, is_null = null_test(term.this.unnest()) or (None, False)
    tested = driving.common(names.resolve(scope, column)) if column is not None else None
    if tested is None:
        return False
    if tested.is_not_null:
        return True
    if following is None or _order_column(names, scope, driving, following) != tested.column:
        return False
    nulls_come_first = is_null == bool(term.args.get("desc"))
    return nulls_come_first != bool(following.args.get("desc"))


def _order_column(names: NameResolver, scope: Scope, driving: DrivingTable, term: exp.Ordered) -> Column | None:
    """Return the column that a term of ORDER BY sorts by, with NULLs where the keys of an index have them."""
    found = driving.common(names.resolve_order(scope, term.this))
    if found is None:
        return None
    is_usual = bool(term.args.get("nulls_first")) != bool(term.args.get("desc"))
    return found.column if is_usual or found.is_not_null else None


def _order_terms(node: exp.Expr) -> list[exp.Ordered]:
    """Return the terms of a query block's ORDER BY."""
    order = node.args.get("order")
    return [] if order is None else list(order.expressions)


# ── the page of a derived table ───────────────────────────────────────────────────────────────────────────────────────


def find_page(context: AnalysisContext) -> None:
    """Set the context's `page`, if rows outside of a derived table with a LIMIT are looked up by those inside.

    The derived table must be evaluated once: no scope encloses it.
    """
    if context.statement.kind is not StatementKind.SELECT:
        return
    items = {id(item.node) for scope in context.scopes.all for item in scope.table_refs}
    for scope in context.scopes.all:
        node = scope.node
        if not (node.args.get("limit") and isinstance(node, exp.Select) and id(node.parent) in items):
            continue
        numbers = [table_ref_number(each) for each in node.find_all(exp.Table)]
        inside = frozenset([number for number in numbers if number is not None])
        # A view or a CTE has other tables, of which perhaps not all are known here.
        if context.scopes.enclosing(scope) is None and len(inside) == len(numbers):
            columns = _columns(context, scope, _looked_up(context, inside))
            if columns:
                context.page = Page(inside, columns, node)
                return


def _looked_up(context: AnalysisContext, inside: frozenset[int]) -> set[tuple[int, int]]:
    """Return the numbers of table references inside, and the positions of the columns that others are looked up by."""
    found = set()
    for table_ref in context.table_refs:
        if table_ref.number not in inside:
            for source in _sources(table_ref):
                if source.table_ref in inside:
                    found.add((source.table_ref, source.position))
    return found


def _sources(table_ref: TableRef) -> Iterator[FromColumn]:
    alternatives = [each for any_of in table_ref.any_of for each in any_of.alternatives]
    for predicates in (table_ref.predicates, *alternatives):
        for predicate in predicates:
            yield from [source for source in predicate.sources if isinstance(source, FromColumn)]


def _columns(
    context: AnalysisContext, scope: Scope, looked_up: set[tuple[int, int]]
) -> dict[int, tuple[tuple[int, int], ...]]:
    """Return where the columns that others are looked up by come out of the scope."""
    found: dict[int, list[tuple[int, int]]] = {}
    for place, result in enumerate(context.names.result_of(scope) or ()):
        for each in context.names.follow(result.column):
            table = each.table_ref.table
            position = None if table is None else table.position.get(fold_name(each.column.name))
            if position is not None and (each.table_ref.number, position) in looked_up:
                found.setdefault(each.table_ref.number, []).append((position, place))
    return {number: tuple(pairs) for number, pairs in found.items()}
