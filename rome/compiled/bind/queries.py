"""Reading queries: from the parser's tree of a SELECT to its `Select` or `Compound`, all names resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from rome.compiled.bind.expressions import Context, Cte, TermReader, check_collations
from rome.compiled.bind.from_clause import FromReader
from rome.compiled.bind.grammar import only
from rome.compiled.bind.grouping import with_determined_columns
from rome.compiled.bind.names import BindScope
from rome.compiled.ir.expressions import Collated, Constant, Parameter, Term, refs
from rome.compiled.ir.queries import (
    Compound,
    Order,
    Output,
    Query,
    Select,
    ids_of,
    refs_of,
    terms_of,
)
from rome.fallback import UnsupportedConstruct

_WITH = ("with_", "with")
_SELECT = (
    *("expressions", "from_", "from", "joins", "where", "group", "having", "order", "limit", "offset", "distinct"),
    *_WITH,
)
_COMPOUNDS: dict[type[exp.Expr], str] = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}


def read_query(context: Context, node: exp.Expr, outer: BindScope | None) -> Query:
    """The query that a tree stands for; `outer` are the names of the query that it is a part of. Raises
    UnsupportedConstruct.
    """
    clause = node.args.get("with_") or node.args.get("with")
    if clause:
        context = _with(context, clause)
    if isinstance(node, exp.Select):
        return _SelectReader(context, node, outer).read()
    if type(node) in _COMPOUNDS:
        return _compound(context, node, outer)
    if isinstance(node, exp.Subquery) and not node.args.get("alias"):
        raise UnsupportedConstruct("a query in parentheses")
    raise UnsupportedConstruct(f"{node.key} as a query")


def _with(context: Context, clause: exp.With) -> Context:
    """The context of what follows a WITH. Each of its queries may name those before it."""
    only(clause, "expressions")
    for node in clause.expressions:
        only(node, "this", "alias", "materialized")
        only(node.args["alias"], "this", "columns")
        name = node.alias.lower()
        if name in context.ctes:
            raise UnsupportedConstruct("WITH of a name that is taken")
        names = tuple(column.name.lower() for column in node.args["alias"].args.get("columns") or ())
        cte = Cte(context.read_query(context, node.this, None), names or None)
        context = replace(context, ctes={**context.ctes, name: cte})
    return context


class _SelectReader:
    def __init__(self, context: Context, node: exp.Select, outer: BindScope | None) -> None:
        only(node, *_SELECT)
        self.context = context
        self.node = node
        self.scope = BindScope(outer)
        self.terms = TermReader(context, self.scope)

    def read(self) -> Select:
        node = self.node
        clauses = FromReader(self.context, self.scope, self.terms).read(node)
        explicit = {one.alias.lower() for one in node.expressions if isinstance(one, exp.Alias)}
        self.scope.coming = frozenset(explicit)
        where = clauses.where
        if node.args.get("where"):
            where += self.terms.conjuncts(node.args["where"].this)
        if self.terms.found_aggregate:
            raise UnsupportedConstruct("an aggregate in WHERE or ON")
        outputs = self._outputs()
        aliases: dict[str, Term] = {}
        for output, expression in zip(outputs, self._expressions(outputs), strict=True):
            if isinstance(expression, exp.Alias) and output.name is not None:
                aliases.setdefault(output.name, output.term)
        self.scope.aliases, self.scope.coming = aliases, frozenset()
        group = self._group(outputs)
        having = self.terms.conjuncts(node.args["having"].this) if node.args.get("having") else ()
        order = self._order(outputs, aliases)
        select = Select(
            joins=clauses.joins,
            where=where,
            outputs=outputs,
            group=group,
            having=having,
            distinct=self._distinct(outputs),
            order=order,
            limit=limit_term(self.terms, node, "limit"),
            offset=limit_term(self.terms, node, "offset"),
            is_aggregate=self.terms.found_aggregate or group is not None,
        )
        if having and not select.is_aggregate:
            raise UnsupportedConstruct("HAVING without a group")
        select.free = refs_of(terms_of(select)) - ids_of(select.joins)
        return with_determined_columns(select) if select.is_aggregate else select

    def _expressions(self, outputs: Sequence[Output]) -> list[exp.Expr | None]:
        """For each output, the node that it was read from; None for those of a star."""
        if len(outputs) == len(self.node.expressions):
            return list(self.node.expressions)
        found: list[exp.Expr | None] = []
        for node in self.node.expressions:
            if is_star(node):
                found += [None] * len(self.scope.star(_qualifier(node)))
            else:
                found.append(node)
        return found

    def _outputs(self) -> tuple[Output, ...]:
        found: list[Output] = []
        for node in self.node.expressions:
            if is_star(node):
                only(node, "this", "table")
                found += [Output(name, column) for name, column in self.scope.star(_qualifier(node))]
            elif isinstance(node, exp.Alias):
                only(node, "this", "alias")
                found.append(Output(node.alias.lower(), self.terms.read(node.this)))
            else:
                name = node.name.lower() if isinstance(node, exp.Column) else None
                found.append(Output(name, self.terms.read(node)))
        if not found:
            raise UnsupportedConstruct("a SELECT of nothing")
        return tuple(found)

    def _distinct(self, outputs: Sequence[Output]) -> bool:
        distinct = self.node.args.get("distinct")
        if not distinct:
            return False
        only(distinct)
        check_distinct(outputs)
        return True

    def _group(self, outputs: Sequence[Output]) -> tuple[Term, ...] | None:
        group = self.node.args.get("group")
        if not group:
            return None
        only(group, "expressions")
        found = []
        for node in group.expressions:
            at = position(node)
            term = self.terms.read(node) if at is None else output_at(outputs, at).term
            check_collations(term)
            if term.collation not in (None, "BINARY"):
                raise UnsupportedConstruct("GROUP BY with a collation")
            found.append(term)
        return tuple(found)

    def _order(self, outputs: Sequence[Output], aliases: dict[str, Term]) -> tuple[Order, ...]:
        found = []
        for node in ordered_nodes(self.node):
            collation, inner = split_collation(node.this)
            at = position(inner)
            if at is not None:
                term = output_at(outputs, at).term
            elif isinstance(inner, exp.Column) and not inner.table and inner.name.lower() in aliases:
                term = aliases[inner.name.lower()]
            else:
                term = self.terms.read(inner)
                if isinstance(term, (Constant, Parameter)):
                    continue
            if collation is not None:
                term = Collated(term, collation)
            check_collations(term)
            found.append(order_of(node, term))
        return tuple(found)


def is_star(node: exp.Expr) -> bool:
    """Whether a result column is `*` or `t.*`."""
    return isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))


def _qualifier(node: exp.Expr) -> str:
    if isinstance(node, exp.Column):
        only(node.this)
        return node.table.lower()
    return ""


def _compound(context: Context, node: exp.Expr, outer: BindScope | None) -> Compound:
    only(node, "this", "expression", "distinct", "order", "limit", "offset", *_WITH)
    if isinstance(node.this, (exp.Subquery, exp.Paren)) or isinstance(node.expression, (exp.Subquery, exp.Paren)):
        raise UnsupportedConstruct("a query in parentheses")
    left = read_query(context, node.this, outer)
    right = read_query(context, node.expression, outer)
    for member in (left, right):
        if member.order or member.limit is not None or member.offset is not None:
            raise UnsupportedConstruct("ORDER BY or LIMIT inside of a compound")
    operator = _COMPOUNDS[type(node)]
    if not node.args.get("distinct"):
        if operator != "UNION":
            raise UnsupportedConstruct(f"{operator} ALL")
        operator = "UNION ALL"
    for member in (left, right):
        check_distinct(member.outputs)
    if len(left.outputs) != len(right.outputs):
        raise UnsupportedConstruct("a compound of different widths")
    compound = Compound(operator, left, right, left.outputs)
    terms = TermReader(context, BindScope(outer))
    compound.limit, compound.offset = limit_term(terms, node, "limit"), limit_term(terms, node, "offset")
    compound.order = tuple(_compound_order(one, left.outputs) for one in ordered_nodes(node))
    return compound


def _compound_order(node: exp.Ordered, outputs: Sequence[Output]) -> tuple[int, Order]:
    at = position(node.this)
    if at is None:
        name = node.this.name.lower() if isinstance(node.this, exp.Column) and not node.this.table else None
        named = [number for number, output in enumerate(outputs, 1) if name is not None and output.name == name]
        if len(named) != 1:
            raise UnsupportedConstruct("ORDER BY of a compound by an expression")
        (at,) = named
    output = output_at(outputs, at)
    return at - 1, order_of(node, replace_nature(output.term))


def replace_nature(term: Term) -> Term:
    """A term to order the rows of a compound by: of it only counts that it may be NULL."""
    return Parameter(-1) if not isinstance(term, Parameter) else term


def check_distinct(outputs: Sequence[Output]) -> None:
    """Refuse to compare rows by another collation than BINARY: which of two equal rows comes out is chance."""
    for output in outputs:
        check_collations(output.term)
        if output.term.collation not in (None, "BINARY"):
            raise UnsupportedConstruct("DISTINCT or UNION with a collation")


def ordered_nodes(node: exp.Expr) -> list[exp.Ordered]:
    """The terms of a query's ORDER BY."""
    order = node.args.get("order")
    if not order:
        return []
    only(order, "expressions")
    found: list[exp.Ordered] = order.expressions
    for one in found:
        only(one, "this", "desc", "nulls_first")
    return found


def order_of(node: exp.Ordered, term: Term) -> Order:
    """A term of ORDER BY with its direction."""
    return Order(term, bool(node.args.get("desc")), bool(node.args.get("nulls_first")))


def position(node: exp.Expr) -> int | None:
    """The number that a term of GROUP BY or ORDER BY is, if it is just one: a position among the result's columns."""
    node = node.unnest()
    if isinstance(node, exp.Neg) and isinstance(node.this.unnest(), exp.Literal):
        raise UnsupportedConstruct("ORDER BY or GROUP BY a negative number")
    if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit():
        return int(node.this)
    return None


def output_at(outputs: Sequence[Output], at: int) -> Output:
    """The column of the result at a position that counts from 1."""
    if not 1 <= at <= len(outputs):
        raise UnsupportedConstruct("a position out of range")
    return outputs[at - 1]


def split_collation(node: exp.Expr) -> tuple[str | None, exp.Expr]:
    """`x COLLATE name` as (name, x)."""
    node = node.unnest()
    if not isinstance(node, exp.Collate):
        return None, node
    only(node, "this", "expression")
    return node.expression.name.upper(), node.this.unnest()


def limit_term(terms: TermReader, node: exp.Expr, clause: str) -> Term | None:
    """The term of LIMIT or OFFSET."""
    found = node.args.get(clause)
    if not found:
        return None
    only(found, "expression")
    term = terms.read(found.expression)
    if refs(term):
        raise UnsupportedConstruct(f"{clause.upper()} that changes from row to row")
    return term
