"""Which part of a table reference's rows is wanted: the first ones of a page, one at all, the least, the greatest; or
how many there are.

    SELECT * FROM p WHERE host = ? ORDER BY created, id LIMIT 20 OFFSET 40      the first 60 by (host, created, id)
    SELECT max(created) FROM p WHERE host = ?                                   the last one by (host, created)
    SELECT … WHERE EXISTS (SELECT 1 FROM p WHERE host = ?)                      the first one by (host)
    SELECT count(*) FROM p WHERE host = ?                                       the number of entries by (host)

Then a scope's own conditions must all be known as predicates on that one table reference, of values that are the same
whenever the scope is looked at. Other tables may only be LEFT JOINed to it: every row of the first one then makes one
row at least, so that no more of them are needed than rows come out.

Where a condition or an inner join may drop rows, it is not known how many are needed. Then there is the table reference
by whose rows the result is in order (`front`): what comes out for the first of its rows comes first, so these are
fetched, and more of them while too few come out (`pages`). It may also stand in a subselect, or once in each member of
a UNION:

    SELECT * FROM (SELECT * FROM p WHERE a = ? UNION SELECT * FROM p WHERE b = ?) ORDER BY created, id LIMIT 20


What the rows of a query block come from, one by one: a table, perhaps one that stands in a subselect in FROM.

    SELECT * FROM (SELECT id AS i, created AS c FROM p WHERE a = ? UNION SELECT id, created FROM p WHERE b = ?) AS u …

Each row of u comes from one of p; and its columns i and c are the same columns of p in every member of the UNION.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from sqlglot import exp

from rome.catalog.model import Column
from rome.sql.analysis.comparisons import Op, constant, null_test
from rome.sql.analysis.extract_predicates import Facts
from rome.sql.analysis.relation import Conditions, Predicate, TopN
from rome.sql.analysis.resolve_names import Found
from rome.sql.analysis.scopes import Scope, Scopes, TableRef, is_pushdown_safe, is_row_wise
from rome.sql.syntax.operands import Const, Source


def want_parts(scopes: Scopes, facts: Facts, is_steady: Callable[[TableRef], bool]) -> None:
    """Enter with each table reference which part of it is wanted.

    `is_steady`: whether the statement finds the rows of a table reference as they were fetched.
    """
    reader = _Reader(facts)
    for scope in scopes:
        table_ref = _driving(scope)
        if table_ref is not None and is_steady(table_ref):
            table_ref.topn = reader.part(scope, table_ref)


def front(scopes: Scopes, facts: Facts) -> tuple[Scope, Sequence[TableRef], TopN] | None:
    """The scope with a LIMIT, and the table reference in the order of whose rows its rows come out; None if there is
    none.

    Several, if the table stands in the members of a UNION. Only of a scope that is looked at once, because it can't
    name columns of another one.
    """
    reader = _Reader(facts)
    for scope in scopes:
        if scopes.around(scope) is None:
            for table_ref in scope.table_refs:
                driver = driving_table_of(scopes, scope, table_ref, facts)
                part = reader.front(scope, driver) if driver is not None else None
                if driver is not None and part is not None:
                    return scope, driver.table_refs, part
    return None


def counted(tree: exp.Expr, scopes: Scopes, facts: Facts) -> tuple[TableRef, Conditions] | None:
    """The table reference whose rows a statement counts, and all that these rows must fulfil; None if it does not."""
    scope = scopes.of(tree)
    if scope is None or not _is_count(scope, facts):
        return None
    while scope is not None and not facts.demands[id(scope)].of and facts.demands[id(scope)].is_all:
        if len(scope.table_refs) != 1 or scope.table_refs[0].table is not None:
            break
        node = scope.table_refs[0].node  # what Query.count() of SQLAlchemy makes: count(*) of a subselect
        inner = scopes.of(node.this) if isinstance(node, exp.Subquery) else None
        scope = inner if inner and is_pushdown_safe(inner.node) and not inner.node.args.get("distinct") else None
    if scope is None or len(scope.table_refs) != 1 or scope.table_refs[0].table is None:
        return None
    exactly = _exactly(scope, scope.table_refs[0], facts)
    return None if exactly is None else (scope.table_refs[0], exactly)


def _is_count(scope: Scope, facts: Facts) -> bool:
    """Whether a scope gives nothing but its number of rows."""
    node = scope.node
    parts = ("group", "having", "limit", "offset", "distinct", "windows")
    if any(node.args.get(part) for part in parts) or len(node.expressions) != 1 or len(scope.table_refs) != 1:
        return False
    count = node.expressions[0].unalias()
    if not isinstance(count, exp.Count) or count.expressions:
        return False
    if isinstance(count.this, (exp.Star, exp.Literal)):
        return True
    found = facts.names.find(scope, count.this) if isinstance(count.this, exp.Column) else None
    return found is not None and found.own is found.table_ref and found.is_never_null


def _driving(scope: Scope) -> TableRef | None:
    """The table to which everything else in a SELECT is LEFT JOINed, if there is one."""
    node = scope.node
    if not isinstance(node, exp.Select) or not scope.table_refs or scope.table_refs[0].table is None:
        return None
    joins = node.args.get("joins") or ()
    if any(str(join.args.get("side") or "").upper() != "LEFT" for join in joins):
        return None
    clause = node.args.get("from_") or node.args.get("from")
    return scope.table_refs[0] if clause is not None and clause.this is scope.table_refs[0].node else None


def _exactly(scope: Scope, table_ref: TableRef, facts: Facts) -> Conditions | None:
    """All that a row of the table reference must fulfil to be looked at; None if not all of it is known."""
    demands = facts.demands[id(scope)]
    if not demands.is_all or any(of is not table_ref for of, _ in demands.of):
        return None
    return tuple(fact for _, fact in demands.of)


class _Reader:
    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def part(self, scope: Scope, table_ref: TableRef) -> TopN | None:
        exactly = _exactly(scope, table_ref, self.facts)
        if exactly is None:
            return None
        if not scope.node.args.get("limit"):
            return self._one(scope, table_ref, exactly)
        counts = self._counts(scope.node)
        parts = ("group", "having", "windows", "distinct")
        if counts is None or any(scope.node.args.get(part) for part in parts) or not is_row_wise(scope.node):
            return None
        return self._in_order(scope, DrivingTable(table_ref, (table_ref,)), exactly, counts)

    def front(self, scope: Scope, driver: DrivingTable) -> TopN | None:
        """The order in which rows come out, if it is that of the table's rows that they are made of."""
        counts = self._counts(scope.node)
        if counts is None or driver.own.nullable or not self._is_one_by_one(scope, driver.own):
            return None
        part = self._in_order(scope, driver, (), counts)
        terms = order_terms(scope.node)
        # Of equal rows, DISTINCT leaves one: all of them must have the same place in the order.
        if scope.node.args.get("distinct") and not all(self._is_shown(scope, term) for term in terms):
            return None
        return part if part.order or not terms else None

    def _is_one_by_one(self, scope: Scope, table_ref: TableRef) -> bool:
        """Whether what comes out for a row of the table reference needs no other row of it."""
        node, table = scope.node, table_ref.table
        group = node.args.get("group")
        if not group:
            return not any(map(node.args.get, ("having", "windows"))) and is_row_wise(node)
        if table is None:
            return False
        found = [self.facts.names.find(scope, each) for each in group.expressions if each.args.get("table")]
        names = {each.column.name.lower() for each in found if each and each.own is each.table_ref is table_ref}
        key = {name.lower() for name in table.key or (str(table.counted),)}
        return names >= key and not (node.args.get("windows") or node.find(exp.Window))

    def _is_shown(self, scope: Scope, term: exp.Ordered) -> bool:
        found = self.facts.names.find(scope, meant(scope, term.this.unnest()))
        shown = (each.unalias().unnest() for each in scope.node.expressions)
        columns = [self.facts.names.find(scope, each) for each in shown if isinstance(each, exp.Column)]
        return found is not None and found in columns

    def _counts(self, node: exp.Expr) -> tuple[Source, ...] | None:
        """LIMIT and OFFSET; None if there is no LIMIT, or they are not known."""
        limit = [self._source(node.args.get(part)) for part in ("limit", "offset") if node.args.get(part)]
        counts = tuple(source for source in limit if source is not None)
        return counts if node.args.get("limit") and len(counts) == len(limit) else None

    def _source(self, clause: exp.Expr | None) -> Source | None:
        return None if clause is None else constant(clause.expression.unnest())

    def _in_order(self, scope: Scope, driver: DrivingTable, exactly: Conditions, counts: tuple[Source, ...]) -> TopN:
        order: list[Column] = []
        backwards: bool | None = None
        terms = self._without_null_terms(scope, driver)
        for term in terms:
            column = self._ordered_by(scope, driver, term)
            is_down = bool(term.args.get("desc"))
            if column is None or backwards not in (None, is_down):
                break
            order.append(column)
            backwards = is_down
        return TopN(exactly, tuple(order), bool(backwards), counts, order_continues=len(order) < len(terms))

    def _without_null_terms(self, scope: Scope, driver: DrivingTable) -> list[exp.Ordered]:
        """The terms of ORDER BY without those that put NULLs where the next term has them anyway.

        oslo.db's paging writes `a IS NULL DESC, a ASC` for an order with NULLs first.
        """
        terms = order_terms(scope.node)
        pairs = zip_longest(terms, terms[1:])
        return [term for term, following in pairs if not self._is_idle(scope, driver, term, following)]

    def _is_idle(self, scope: Scope, driver: DrivingTable, term: exp.Ordered, following: exp.Ordered | None) -> bool:
        """Whether a term tests a column for NULL which is never NULL, or which the next term sorts just so."""
        column, is_null = null_test(term.this.unnest()) or (None, False)
        tested = driver.column(self.facts, scope, column) if column is not None else None
        if tested is None:
            return False
        if tested.is_never_null:
            return True
        if following is None or self._ordered_by(scope, driver, following) != tested.column:
            return False
        nulls_come_first = is_null == bool(term.args.get("desc"))
        return nulls_come_first != bool(following.args.get("desc"))

    def _ordered_by(self, scope: Scope, driver: DrivingTable, term: exp.Ordered) -> Column | None:
        """The column of the table that a term of ORDER BY is, with NULL where the keys have it."""
        found = driver.column(self.facts, scope, meant(scope, term.this.unnest()))
        if found is None:
            return None
        is_usual = bool(term.args.get("nulls_first")) != bool(term.args.get("desc"))
        return found.column if is_usual or found.is_never_null else None

    def _one(self, scope: Scope, table_ref: TableRef, exactly: Conditions) -> TopN | None:
        """The one row that is wanted by EXISTS, and by min and max."""
        node = scope.node
        parent = node.parent
        while isinstance(parent, (exp.Subquery, exp.Paren)):
            parent = parent.parent
        if isinstance(parent, exp.Exists) and is_pushdown_safe(node):
            return TopN(exactly, limit=(Const(1),))
        parts = ("group", "having", "offset", "windows", "distinct", "order")
        if any(node.args.get(part) for part in parts) or len(scope.table_refs) > 1 or len(node.expressions) != 1:
            return None
        extreme = _extreme(node.expressions[0])
        found = self.facts.names.find(scope, extreme.this) if extreme is not None else None
        if extreme is None or found is None or found.table_ref is not table_ref:
            return None
        if found.column.collation != "BINARY":
            return None  # of several that are equal, it is not said which one comes out
        present = Predicate(found.column, Op.NOT_NULL, ())
        return TopN((*exactly, present), (found.column,), isinstance(extreme, exp.Max), (Const(1),))


def _extreme(node: exp.Expr) -> exp.Max | exp.Min | None:
    """The min or max of a column, perhaps with a constant in place of NULL, that an expression is."""
    node = node.unalias().unnest()
    if isinstance(node, exp.Coalesce) and all(
        isinstance(each, (exp.Literal, exp.Placeholder)) for each in node.expressions
    ):
        node = node.this.unnest()
    if not isinstance(node, (exp.Max, exp.Min)) or node.expressions:
        return None
    return node if isinstance(node.this, exp.Column) else None


@dataclass(frozen=True, slots=True)
class DrivingTable:
    """What the rows of a scope come from, as `own` hands them on: a table, which is `own` itself or stands in it."""

    own: TableRef
    table_refs: tuple[TableRef, ...]
    """More than one, if they stand in the members of a UNION."""

    def column(self, facts: Facts, scope: Scope, node: exp.Expr) -> Found | None:
        """The column that a name stands for, if it is of the table, and the same everywhere."""
        found = facts.names.find_all(scope, node)
        is_it = all(each.own is self.own for each in found) and len({each.column for each in found}) == 1
        return found[0] if is_it and tuple(each.table_ref for each in found) == self.table_refs else None


def driving_table_of(scopes: Scopes, scope: Scope, own: TableRef, facts: Facts) -> DrivingTable | None:
    """What a table reference's rows come from; None if a row of it may come from several, or that is not known."""
    if own.table is not None:
        return DrivingTable(own, (own,))
    terms = order_terms(scope.node)
    found = facts.names.find_all(scope, meant(scope, terms[0].this.unnest())) if terms else ()
    members = _members(own.node.this) if isinstance(own.node, exp.Subquery) else None
    if not found or members is None or len(members) != len(found):
        return None
    for member, each in zip(members, found, strict=True):
        inner = scopes.of(member)
        if inner is None or not each.narrows or each.nullable or each.table_ref not in inner.table_refs:
            return None
    tables = {each.table_ref.table.id for each in found if each.table_ref.table is not None}
    return DrivingTable(own, tuple(each.table_ref for each in found)) if len(tables) == 1 else None


def _members(node: exp.Expr) -> list[exp.Expr] | None:
    """The SELECTs of a UNION, or the only one; None if one is taken away from another."""
    if not isinstance(node, exp.SetOperation):
        return [node]
    if not isinstance(node, exp.Union):
        return None
    first, second = (_members(node.args[part]) for part in ("this", "expression"))
    return None if first is None or second is None else first + second


def meant(scope: Scope, node: exp.Expr) -> exp.Expr:
    """What a term of ORDER BY stands for, which may be an alias."""
    if isinstance(node, exp.Column) and not node.table:
        for each in scope.node.expressions:
            if isinstance(each, exp.Alias) and each.alias.lower() == node.name.lower():
                return each.unalias().unnest()
    return node


def order_terms(node: exp.Expr) -> list[exp.Ordered]:
    """The terms of a query block's ORDER BY."""
    order = node.args.get("order")
    return [] if order is None else list(order.expressions)
