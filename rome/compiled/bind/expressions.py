"""Reading expressions: from the parser's tree to terms. What is not certain to mean the same to SQLite is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlglot import exp

from rome.catalog.model import Catalog
from rome.compiled.bind.functions import NAMED, PARSED, TRIMS, Function
from rome.compiled.bind.grammar import check_operands, only, plus_mark
from rome.compiled.bind.names import BindScope
from rome.compiled.ir.expressions import (
    NULL,
    Aggregate,
    And,
    Arithmetic,
    Call,
    Case,
    Cast,
    Collated,
    Compare,
    Constant,
    Exists,
    InList,
    InQuery,
    InRows,
    IsTrue,
    Like,
    Not,
    Or,
    Parameter,
    Plain,
    Same,
    Scalar,
    Term,
    any_term,
    refs,
)
from rome.compiled.ir.queries import Query
from rome.fallback import UnsupportedConstruct
from rome.sql.syntax.operands import number
from rome.sql.syntax.parse import PLACEHOLDER
from rome.values import Affinity

COLLATIONS = frozenset({"BINARY", "NOCASE", "RTRIM"})

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "add",
    exp.Sub: "subtract",
    exp.Mul: "multiply",
    exp.Div: "divide",
    exp.Mod: "modulo",
    exp.DPipe: "concat",
    exp.BitwiseAnd: "bit_and",
    exp.BitwiseOr: "bit_or",
    exp.BitwiseLeftShift: "shift_left",
    exp.BitwiseRightShift: "shift_right",
}
_CASTS = {
    **dict.fromkeys(("INT", "BIGINT", "SMALLINT", "TINYINT"), Affinity.INTEGER),
    **dict.fromkeys(("TEXT", "VARCHAR", "CHAR", "NCHAR", "NVARCHAR"), Affinity.TEXT),
    **dict.fromkeys(("FLOAT", "DOUBLE"), Affinity.REAL),
    **dict.fromkeys(("DECIMAL", "BOOLEAN"), Affinity.NUMERIC),
}
_AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Sum: "sum_of",
    exp.Avg: "average_of",
    exp.Min: "least_of",
    exp.Max: "greatest_of",
}


@dataclass(frozen=True)
class Cte:
    """A query of WITH, and the names that it gives to its columns (None: their own)."""

    query: Query
    names: tuple[str, ...] | None


@dataclass(frozen=True)
class Context:
    """What the readers of a statement share; a WITH makes another one that knows its queries."""

    catalog: Catalog
    read_query: Callable[[Context, exp.Expr, BindScope | None], Query]
    ctes: Mapping[str, Cte] = field(default_factory=dict)
    """The queries of WITH that can be named here, by their names in lower case."""
    plus_marks: set[int] = field(default_factory=set)
    source_ids: Iterator[int] = field(default_factory=count)

    def new_source(self) -> int:
        """The id of another source."""
        return next(self.source_ids)


class TermReader:
    """Reads the expressions of one SELECT."""

    def __init__(self, context: Context, scope: BindScope) -> None:
        self.context = context
        self.scope = scope
        self.found_aggregate = False

    def read(self, node: exp.Expr) -> Term:
        """The term of an expression. Raises UnsupportedConstruct."""
        method = _READERS.get(type(node))
        if method is not None:
            return method(self, node)
        if type(node) in _COMPARISONS:
            return self._comparison(node)
        if type(node) in _ARITHMETIC:
            return self._arithmetic(node)
        if type(node) in PARSED:
            return self._function(node, PARSED[type(node)])
        raise UnsupportedConstruct(_described(node))

    def all(self, nodes: Sequence[exp.Expr]) -> tuple[Term, ...]:
        """The terms of several expressions."""
        return tuple(self.read(node) for node in nodes)

    def conjuncts(self, node: exp.Expr) -> tuple[Term, ...]:
        """The terms that must all be true for a condition to be."""
        term = self.read(node)
        return term.parts if isinstance(term, And) else (term,)

    # ── atoms ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _paren(self, node: exp.Paren) -> Term:
        only(node, "this")
        return self.read(node.this)

    def _column(self, node: exp.Column) -> Term:
        if not isinstance(node.this, exp.Identifier):
            raise UnsupportedConstruct(_described(node))
        return self.scope.resolve(node)

    def _literal(self, node: exp.Literal) -> Term:
        if node.is_string:
            return Constant(str(node.this))
        return _number(node)

    def _null(self, _node: exp.Null) -> Term:
        return NULL

    def _boolean(self, node: exp.Boolean) -> Term:
        if self.scope.has_column(str(bool(node.this)).lower()):
            raise UnsupportedConstruct("a column of the name true or false")
        return Constant(int(node.this))

    def _blob(self, node: exp.HexString) -> Term:
        return Constant(bytes.fromhex(node.this))

    def _placeholder(self, node: exp.Placeholder) -> Term:
        return Parameter(placeholder_of(node))

    def _subquery(self, node: exp.Subquery) -> Term:
        only(node, "this")
        return self.read(node.this)

    def _select(self, node: exp.Expr) -> Term:
        query = self.context.read_query(self.context, node, self.scope)
        if len(query.outputs) != 1:
            raise UnsupportedConstruct("a row of a subquery")
        return Scalar(query)

    # ── operators ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _negative(self, node: exp.Neg) -> Term:
        check_operands(node, node.this)
        if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return _number(node.this, negative=True)
        return Arithmetic("subtract", Constant(0), self.read(node.this))

    def _bitwise_not(self, node: exp.BitwiseNot) -> Term:
        if id(node) not in self.context.plus_marks:
            raise UnsupportedConstruct("unary plus, ~ or a hexadecimal number")
        return self.read(node.this)

    def _arithmetic(self, node: exp.Expr) -> Term:
        only(node, "this", "expression", "typed", "safe")
        if isinstance(node, exp.Add):
            self.context.plus_marks.add(id(plus_mark(node.expression)))
        check_operands(node, self._unmarked(node.this), self._unmarked(node.expression))
        return Arithmetic(_ARITHMETIC[type(node)], self.read(node.this), self.read(node.expression))

    def _unmarked(self, node: exp.Expr) -> exp.Expr:
        marked = isinstance(node, exp.BitwiseNot) and id(node) in self.context.plus_marks
        return node.this if marked else node

    def _collate(self, node: exp.Collate) -> Term:
        only(node, "this", "expression")
        check_operands(node, self._unmarked(node.this))
        name = node.expression.name.upper()
        if name not in COLLATIONS:
            raise UnsupportedConstruct(f"collation {node.expression.name}")
        return Collated(self.read(node.this), name)

    def _comparison(self, node: exp.Expr) -> Term:
        only(node, "this", "expression")
        check_operands(node, node.this, node.expression)
        op = _COMPARISONS[type(node)]
        left, right = node.this.unnest(), node.expression.unnest()
        if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
            return _rows_compared(op, self.all(left.expressions), self.all(right.expressions))
        return compare(op, self.read(left), self.read(right))

    def _is(self, node: exp.Expr) -> Term:
        only(node, "this", "expression")
        check_operands(node, node.this, node.expression)
        wanted = node.expression
        if isinstance(wanted, exp.Boolean):
            self._boolean(wanted)
            return IsTrue(self.read(node.this), bool(wanted.this))
        same = Same(self.read(node.this), self.read(node.expression))
        check_collations(same.left, same.right)
        return Not(same) if isinstance(node, exp.NullSafeNEQ) else same

    def _not(self, node: exp.Not) -> Term:
        check_operands(node, node.this)
        return Not(self.read(node.this))

    def _connected(self, node: exp.Connector) -> Term:
        only(node, "this", "expression")
        check_operands(node, node.this, node.expression)
        kind = And if isinstance(node, exp.And) else Or
        found: list[Term] = []
        for term in (self.read(node.this), self.read(node.expression)):
            found += term.parts if isinstance(term, kind) else (term,)
        return kind(tuple(found))

    def _between(self, node: exp.Between) -> Term:
        only(node, "this", "low", "high")
        low, high = node.args["low"], node.args["high"]
        for operand in (node.this, low, high):
            check_operands(node, operand)
        term = self.read(node.this)
        return And((compare(">=", term, self.read(low)), compare("<=", term, self.read(high))))

    def _like(self, node: exp.Expr, escape: Term | None = None) -> Term:
        only(node, "this", "expression", "negate")
        check_operands(node, node.this, node.expression)
        helper = "like" if isinstance(node, exp.Like) else "glob"
        found = Like(helper, self.read(node.this), self.read(node.expression), escape)
        return Not(found) if node.args.get("negate") else found

    def _escape(self, node: exp.Escape) -> Term:
        only(node, "this", "expression")
        like = node.this
        is_negated = isinstance(like, exp.Not)
        if is_negated:
            like = like.this
        if not isinstance(like, exp.Like) or not isinstance(node.expression, (exp.Literal, exp.Placeholder)):
            raise UnsupportedConstruct("ESCAPE")
        found = self._like(like, self.read(node.expression))
        return Not(found) if is_negated else found

    def _in(self, node: exp.In) -> Term:
        only(node, "this", "expressions", "query")
        check_operands(node, node.this)
        term = node.this.unnest()
        if isinstance(term, exp.Tuple):
            return self._in_rows(self.all(term.expressions), node)
        left = self.read(term)
        check_collations(left)
        query = node.args.get("query")
        if query is not None:
            return self._in_query(left, query)
        items = node.expressions
        if len(items) == 1 and isinstance(items[0], exp.Placeholder):
            return InList(left, placeholder_of(items[0]))
        if not items:
            return InList(left, None)
        return Or(tuple(compare("=", left, Plain(self.read(item))) for item in items))

    def _in_query(self, left: Term, node: exp.Expr) -> Term:
        only(node, "this")
        query = self.context.read_query(self.context, node.this, self.scope)
        if len(query.outputs) != 1:
            raise UnsupportedConstruct("a row of a subquery")
        right = query.outputs[0].term
        if left.collation is None and right.collation not in (None, "BINARY"):
            raise UnsupportedConstruct("IN of a query with a collation of its own")
        check_collations(left, right)
        return InQuery(left, query)

    def _in_rows(self, left: tuple[Term, ...], node: exp.In) -> Term:
        """IN of row values."""
        query, items = node.args.get("query"), node.expressions
        check_collations(*left)
        if query is not None:
            only(query, "this")
            read = self.context.read_query(self.context, query.this, self.scope)
            right = tuple(output.term for output in read.outputs)
            check_collations(*right)
            if any(term.collation not in (None, "BINARY") for term in right) or len(left) != len(right):
                raise UnsupportedConstruct("IN of row values and a query with collations")
            return InRows(left, (), read)
        if len(items) != 1 or not isinstance(items[0], exp.Values):
            raise UnsupportedConstruct("IN of row values and no VALUES")
        only(items[0], "expressions")
        rows = tuple(self.all(row.expressions) for row in items[0].expressions)
        if not all(isinstance(term, (Constant, Parameter)) for row in rows for term in row):
            raise UnsupportedConstruct("VALUES of other than constants")
        if any(len(row) != len(left) for row in rows):
            raise UnsupportedConstruct("VALUES of another width")
        return InRows(left, rows)

    def _exists(self, node: exp.Exists) -> Term:
        only(node, "this")
        return Exists(self.context.read_query(self.context, node.this.unnest(), self.scope))

    def _case(self, node: exp.Case) -> Term:
        only(node, "this", "ifs", "default")
        subject = self.read(node.this) if node.this is not None else None
        branches = []
        for branch in node.args["ifs"]:
            condition = self.read(branch.this)
            if subject is not None:
                condition = compare("=", subject, condition)
            branches.append((condition, self.read(branch.args["true"])))
        default = node.args.get("default")
        return Case(tuple(branches), NULL if default is None else self.read(default))

    def _if(self, node: exp.If) -> Term:
        only(node, "this", "true", "false")
        default = node.args.get("false")
        branch = (self.read(node.this), self.read(node.args["true"]))
        return Case((branch,), NULL if default is None else self.read(default))

    def _cast(self, node: exp.Cast) -> Term:
        only(node, "this", "to")
        to = _CASTS.get(node.to.this.name)
        if to is None:
            raise UnsupportedConstruct(f"CAST AS {node.to.sql(dialect='sqlite')}")
        return Cast(self.read(node.this), to)

    # ── functions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _function(self, node: exp.Expr, function: Function, *beside: str) -> Term:
        """A call. `beside`: what the node has beside the arguments."""
        only(node, *function.arguments, *beside)
        found: list[exp.Expr] = []
        for name in function.arguments:
            part = node.args.get(name)
            found += part if isinstance(part, list) else [part] if part is not None else []
        if len(found) < function.least:
            raise UnsupportedConstruct(_described(node))
        arguments = self.all(found)
        if function.compares and any(one.collation not in (None, "BINARY") or _collates(one) for one in arguments):
            raise UnsupportedConstruct(f"{function.helper} with a collation")
        never_null = function.never_null or (function.helper == "coalesce" and not arguments[-1].nullable)
        return Call(function.helper, arguments, never_null)

    def _anonymous(self, node: exp.Anonymous) -> Term:
        name = str(node.this).lower()
        if name == "total" and len(node.expressions) == 1:
            return self._aggregated("total_of", node.expressions[0])
        function = NAMED.get(name)
        if function is None:
            raise UnsupportedConstruct(f"function {name}")
        return self._function(node, function, "this")

    def _trim(self, node: exp.Trim) -> Term:
        only(node, "this", "expression", "position")
        helper = TRIMS[str(node.args.get("position") or "").upper()]
        characters = node.args.get("expression")
        return Call(helper, self.all([node.this] if characters is None else [node.this, characters]))

    def _extreme(self, node: exp.Expr) -> Term:
        if node.expressions:
            return self._function(node, PARSED[type(node)])
        return self._aggregate(node)

    # ── aggregates ────────────────────────────────────────────────────────────────────────────────────────────────

    def _aggregate(self, node: exp.Expr) -> Term:
        only(node, "this")
        return self._aggregated(_AGGREGATES[type(node)], node.this)

    def _count(self, node: exp.Count) -> Term:
        only(node, "this", "big_int")
        if node.this is None or isinstance(node.this, exp.Star):
            self.found_aggregate = True
            return Aggregate("count_rows", None)
        return self._aggregated("count_values", node.this)

    def _group_concat(self, node: exp.GroupConcat) -> Term:
        only(node, "this", "separator")
        separator = node.args.get("separator")
        read = Constant(",") if separator is None else self.read(separator)
        if refs(read):
            raise UnsupportedConstruct("group_concat with a separator that changes")
        return self._aggregated("concat_of", node.this, read)

    def _aggregated(self, helper: str, node: exp.Expr, separator: Term | None = None) -> Term:
        is_distinct = isinstance(node, exp.Distinct)
        if is_distinct:
            only(node, "expressions")
            if len(node.expressions) != 1:
                raise UnsupportedConstruct("an aggregate of several columns")
            (node,) = node.expressions
        argument = self.read(node)
        own = {source.id for source in self.scope.sources}
        if (refs(argument) and not refs(argument) & own) or any_term(argument, _is_aggregate):
            raise UnsupportedConstruct("an aggregate of an outer query")
        if is_distinct or helper in ("least_of", "greatest_of"):
            check_collations(argument)
            if argument.collation not in (None, "BINARY"):
                raise UnsupportedConstruct("an aggregate with a collation")
        self.found_aggregate = True
        return Aggregate(helper, argument, is_distinct, separator)


_READERS: dict[type[exp.Expr], Callable[[TermReader, Any], Term]] = {
    exp.Paren: TermReader._paren,
    exp.Column: TermReader._column,
    exp.Literal: TermReader._literal,
    exp.Null: TermReader._null,
    exp.Boolean: TermReader._boolean,
    exp.HexString: TermReader._blob,
    exp.Placeholder: TermReader._placeholder,
    exp.Subquery: TermReader._subquery,
    exp.Select: TermReader._select,
    exp.Union: TermReader._select,
    exp.Except: TermReader._select,
    exp.Intersect: TermReader._select,
    exp.Neg: TermReader._negative,
    exp.BitwiseNot: TermReader._bitwise_not,
    exp.Collate: TermReader._collate,
    exp.Is: TermReader._is,
    exp.NullSafeEQ: TermReader._is,
    exp.NullSafeNEQ: TermReader._is,
    exp.Not: TermReader._not,
    exp.And: TermReader._connected,
    exp.Or: TermReader._connected,
    exp.Between: TermReader._between,
    exp.Like: TermReader._like,
    exp.Glob: TermReader._like,
    exp.Escape: TermReader._escape,
    exp.In: TermReader._in,
    exp.Exists: TermReader._exists,
    exp.Case: TermReader._case,
    exp.If: TermReader._if,
    exp.Cast: TermReader._cast,
    exp.Anonymous: TermReader._anonymous,
    exp.Trim: TermReader._trim,
    exp.Max: TermReader._extreme,
    exp.Min: TermReader._extreme,
    exp.Sum: TermReader._aggregate,
    exp.Avg: TermReader._aggregate,
    exp.Count: TermReader._count,
    exp.GroupConcat: TermReader._group_concat,
}


def compare(op: str, left: Term, right: Term) -> Compare:
    """A comparison whose collation is certain."""
    check_collations(left, right)
    return Compare(op, left, right)


def check_collations(*operands: Term) -> None:
    """Refuse a COLLATE that stands inside of an operand: where it reaches to is a long story."""
    if any(_collates(operand) for operand in operands):
        raise UnsupportedConstruct("COLLATE inside an expression")


def _collates(term: Term) -> bool:
    inner = term.term if isinstance(term, Collated) else term
    return any_term(inner, lambda part: isinstance(part, Collated))


def _is_aggregate(term: Term) -> bool:
    return isinstance(term, Aggregate)


def _rows_compared(op: str, left: Sequence[Term], right: Sequence[Term]) -> Term:
    """(a, b) op (c, d): the first pair that is not equal decides."""
    if len(left) != len(right):
        raise UnsupportedConstruct("row values of different sizes")
    pairs = list(zip(left, right, strict=True))
    if op in ("=", "<>"):
        equal = And(tuple(compare("=", *pair) for pair in pairs))
        return equal if op == "=" else Not(equal)
    found: Term = compare(op, *pairs[-1])
    for pair in reversed(pairs[:-1]):
        found = Or((compare(op[0], *pair), And((compare("=", *pair), found))))
    return found


def _number(node: exp.Literal, *, negative: bool = False) -> Constant:
    found = number(str(node.this), negative=negative)
    if found is None or (isinstance(found.value, float) and not 1e-15 < abs(found.value) < 1e15 and found.value):
        raise UnsupportedConstruct(f"the number {node.this}")
    return Constant(found.value)


def placeholder_of(node: exp.Placeholder) -> int:
    """The position of a placeholder in `NormalizedStatement.lists`."""
    return int(node.name.removeprefix(PLACEHOLDER))


def _described(node: exp.Expr) -> str:
    """What the reason says of something that is not known here."""
    if isinstance(node, exp.Window):
        return "window functions"
    if isinstance(node, exp.Func):
        return f"function {node.sql_name().lower()}"
    return f"{node.key}: {node.sql(dialect='sqlite')[:60]}"
