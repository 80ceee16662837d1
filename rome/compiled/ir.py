"""The intermediate representation of a SELECT: bound expressions and query blocks.

`rome.compiled.bind` makes it of the parser's syntax tree, `rome.compiled.codegen` makes Python of it. All names are
resolved: a column is a position in the rows of a FROM item. For

    SELECT name FROM t WHERE id = ?1 + 1

the binder makes

    Select(
        joins=(Join(FromItem(id=0, table=t, table_ref=0)),),
        where=(Compare("=", ColumnExpr(…, item=0, at=0), Arithmetic("add", Parameter(0), Constant(1))),),
        outputs=(OutputColumn("name", ColumnExpr(…, item=0, at=1)),),
    )

Every expression has a type (`ExprType`), which holds what SQLite's rules of comparison depend on:

* `affinity`: that of SQLite's `sqlite3ExprAffinity`. None is no affinity at all, which is not the same as BLOB.
* `collation`: the one that it brings into a comparison; None if it brings none.
* `nullable`: whether it can be NULL. False only where that is certain.

Expressions are compared by value: `GROUP BY lower(a)` makes one group key of every `lower(a)` in the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

from rome.catalog.model import Table
from rome.values import Affinity, SqlValue

Classes = frozenset[type]
NO_IDS: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ExprType:
    """The type of an expression, as far as comparisons depend on it."""

    affinity: Affinity | None = None
    collation: str | None = None
    nullable: bool = True


_UNTYPED = ExprType()
_NOT_NULL = ExprType(nullable=False)


@dataclass(frozen=True)
class BoundExpr:
    """An expression with its names resolved. Subclasses infer their type."""

    @cached_property
    def type(self) -> ExprType:
        """Affinity, collation and nullability."""
        return self._infer_type()

    def _infer_type(self) -> ExprType:
        return _UNTYPED

    @cached_property
    def parts(self) -> tuple[BoundExpr | Query, ...]:
        """The expressions and subqueries that it is directly made of."""
        found: list[BoundExpr | Query] = []
        pending: list[Any] = [getattr(self, each.name) for each in fields(self)]
        while pending:
            part = pending.pop()
            if isinstance(part, tuple):
                pending += part
            elif isinstance(part, (BoundExpr, Select, CompoundSelect)):
                found.append(part)
        return tuple(found)

    @cached_property
    def refs(self) -> frozenset[int]:
        """The ids of the FROM items whose rows it depends on; of a subquery's items, only those outside of it."""
        return NO_IDS.union(*[part.refs for part in self.parts])

    @cached_property
    def kinds(self) -> Classes:
        """Its class, and those of all expressions that it is made of. Subqueries are left out."""
        return frozenset({self.__class__}).union(*[part.kinds for part in self.parts if isinstance(part, BoundExpr)])

    @cached_property
    def is_invariant(self) -> bool:
        """True if it has one value for all rows and groups, so that it can be hoisted out of every loop."""
        return not self.refs and Slot not in self.kinds


@dataclass(frozen=True)
class ColumnExpr(BoundExpr):
    """The value at position `at` in the rows of the FROM item with the id `item`."""

    type: ExprType = field()
    item: int
    at: int

    @cached_property
    def refs(self) -> frozenset[int]:
        """The id of its item."""
        return frozenset((self.item,))


@dataclass(frozen=True)
class Slot(BoundExpr):
    """A value that the generated code has under a name already: a group key, or an aggregate's result."""

    type: ExprType = field()
    code: str


@dataclass(frozen=True)
class Constant(BoundExpr):
    """A literal. `kind` distinguishes 1 from 1.0."""

    value: SqlValue
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", self.value.__class__.__name__)

    def _infer_type(self) -> ExprType:
        return _UNTYPED if self.value is None else _NOT_NULL


NULL = Constant(None)


@dataclass(frozen=True)
class Parameter(BoundExpr):
    """The value of a placeholder (by its position in `NormalizedStatement.lists`)."""

    placeholder: int


@dataclass(frozen=True)
class Arithmetic(BoundExpr):
    """`left op right`; `op` is the name of the runtime function."""

    op: str
    left: BoundExpr
    right: BoundExpr


@dataclass(frozen=True)
class Call(BoundExpr):
    """A scalar function; `function` is the name of the runtime function."""

    function: str
    arguments: tuple[BoundExpr, ...]

    def _infer_type(self) -> ExprType:
        is_certain = self.function == "coalesce" and not self.arguments[-1].type.nullable
        return _NOT_NULL if is_certain else _UNTYPED


@dataclass(frozen=True)
class Cast(BoundExpr):
    """`CAST(operand AS type)`: `affinity` is that of the type, `function` the name of the runtime function."""

    operand: BoundExpr
    affinity: Affinity
    function: str

    def _infer_type(self) -> ExprType:
        return replace(self.operand.type, affinity=self.affinity)


@dataclass(frozen=True)
class CaseExpr(BoundExpr):
    """`CASE WHEN condition THEN result … ELSE default END`. `branches` are pairs of condition and result."""

    branches: tuple[tuple[BoundExpr, BoundExpr], ...]
    default: BoundExpr


# ── expressions that are true, false or NULL ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class BooleanExpr(BoundExpr):
    """An expression whose value is 1, 0 or NULL."""


@dataclass(frozen=True)
class Compare(BooleanExpr):
    """`left op right`; op is one of = <> < <= > >=."""

    op: str
    left: BoundExpr
    right: BoundExpr

    def _infer_type(self) -> ExprType:
        return _UNTYPED if self.left.type.nullable or self.right.type.nullable else _NOT_NULL


@dataclass(frozen=True)
class NullSafeEqual(BooleanExpr):
    """`left IS right`: NULL is equal to NULL."""

    left: BoundExpr
    right: BoundExpr

    def _infer_type(self) -> ExprType:
        return _NOT_NULL


@dataclass(frozen=True)
class Like(BooleanExpr):
    """`operand LIKE pattern ESCAPE escape`."""

    operand: BoundExpr
    pattern: BoundExpr
    escape: BoundExpr | None = None


@dataclass(frozen=True)
class Not(BooleanExpr):
    """`NOT operand`."""

    operand: BoundExpr

    def _infer_type(self) -> ExprType:
        return ExprType(nullable=self.operand.type.nullable)


@dataclass(frozen=True)
class And(BooleanExpr):
    """A conjunction."""

    operands: tuple[BoundExpr, ...]


@dataclass(frozen=True)
class Or(BooleanExpr):
    """A disjunction."""

    operands: tuple[BoundExpr, ...]


@dataclass(frozen=True)
class InList(BooleanExpr):
    """`operand IN (…)`: the parameters and literals of one placeholder; an empty list if `placeholder` is None."""

    operand: BoundExpr
    placeholder: int | None


@dataclass(frozen=True)
class InRows(BooleanExpr):
    """`(operand, …) IN (VALUES (…), …)` with `rows` of constants."""

    operands: tuple[BoundExpr, ...]
    rows: tuple[tuple[BoundExpr, ...], ...]


@dataclass(frozen=True)
class InQuery(BooleanExpr):
    """`operand IN (SELECT …)`."""

    operand: BoundExpr
    query: Query


@dataclass(frozen=True)
class Exists(BooleanExpr):
    """`EXISTS (SELECT …)`."""

    query: Query

    def _infer_type(self) -> ExprType:
        return _NOT_NULL


# ── subqueries and aggregates ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class ScalarSubquery(BoundExpr):
    """`(SELECT …)` as a value."""

    query: Query

    def _infer_type(self) -> ExprType:
        return ExprType(self.query.outputs[0].expr.type.affinity)


_NEVER_NULL_AGGREGATES = frozenset({"count_rows", "count_values"})


@dataclass(frozen=True)
class Aggregate(BoundExpr):
    """An aggregate over the rows of a group; `function` is the name of the runtime function."""

    function: str
    argument: BoundExpr | None
    distinct: bool = False

    def _infer_type(self) -> ExprType:
        return _NOT_NULL if self.function in _NEVER_NULL_AGGREGATES else _UNTYPED


# ── query blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class OutputColumn:
    """A column of a result. `name`, in lower case, is how an outer SELECT refers to it; None if only SQLite knows."""

    name: str | None
    expr: BoundExpr


@dataclass(frozen=True)
class OrderTerm:
    """A term of ORDER BY."""

    expr: BoundExpr
    descending: bool
    nulls_first: bool


@dataclass(eq=False)
class FromItem:
    """A table reference or a derived table: an item of FROM whose rows have a variable of their own."""

    id: int
    table: Table | None = None
    table_ref: int | None = None
    query: Query | None = None

    @property
    def width(self) -> int:
        """The number of values in its rows."""
        if self.table is not None:
            return len(self.table.stored)
        return len(self.query.outputs) if self.query is not None else 0

    @cached_property
    def items(self) -> tuple[FromItem, ...]:
        """Itself, as the items of a JoinGroup."""
        return (self,)

    @cached_property
    def ids(self) -> frozenset[int]:
        """Its id, as the ids of a JoinGroup."""
        return frozenset((self.id,))


@dataclass(eq=False)
class Join:
    """One step of FROM: `item` is joined to all items before it.

    `on` is the ON of a LEFT JOIN, in conjuncts. The ON of an inner join has become a part of the WHERE.
    """

    item: FromItem | JoinGroup
    is_left: bool = False
    on: tuple[BoundExpr, ...] = ()


@dataclass(eq=False)
class JoinGroup:
    """Joins in a parenthesis; `where` are the conjuncts of their inner joins' ONs."""

    joins: tuple[Join, ...]
    where: tuple[BoundExpr, ...]

    @cached_property
    def items(self) -> tuple[FromItem, ...]:
        """The FROM items in it, from left to right."""
        return items_of(self.joins)

    @cached_property
    def ids(self) -> frozenset[int]:
        """The ids of the FROM items in it."""
        return ids_of(self.joins)


@dataclass(eq=False)
class Select:
    """One SELECT. `where` and `having` are conjuncts; `group` is None without GROUP BY."""

    joins: tuple[Join, ...]
    where: tuple[BoundExpr, ...]
    outputs: tuple[OutputColumn, ...] = ()
    group: tuple[BoundExpr, ...] | None = None
    having: tuple[BoundExpr, ...] = ()
    distinct: bool = False
    order: tuple[OrderTerm, ...] = ()
    limit: BoundExpr | None = None
    offset: BoundExpr | None = None
    is_aggregate: bool = False
    refs: frozenset[int] = NO_IDS
    """The ids of the FROM items of outer queries that it depends on: it is a correlated subquery if there are any."""

    @property
    def is_simple(self) -> bool:
        """True if it has one row for each combination of rows that FROM and WHERE let through."""
        return not self.is_aggregate and self.limit is None and self.offset is None

    def expressions(self) -> Iterator[BoundExpr]:
        """Yield every expression of it, in whatever clause."""
        yield from self.where
        yield from [output.expr for output in self.outputs]
        yield from self.group or ()
        yield from self.having
        yield from [order.expr for order in self.order]
        yield from [expr for expr in (self.limit, self.offset) if expr is not None]
        pending = list(self.joins)
        while pending:
            join = pending.pop()
            yield from join.on
            if isinstance(join.item, JoinGroup):
                yield from join.item.where
                pending += join.item.joins

    def result_expressions(self) -> list[BoundExpr]:
        """Return the expressions that are evaluated after grouping: outputs, HAVING, ORDER BY."""
        return [*[output.expr for output in self.outputs], *self.having, *[order.expr for order in self.order]]


@dataclass(eq=False)
class CompoundSelect:
    """`left UNION right`, or UNION ALL."""

    is_all: bool
    left: Query
    right: Query
    outputs: tuple[OutputColumn, ...]
    order: tuple[tuple[int, OrderTerm], ...] = ()
    """Each term with the position of the column in the rows."""
    limit: BoundExpr | None = None
    offset: BoundExpr | None = None
    refs: frozenset[int] = NO_IDS
    """The ids of the FROM items of outer queries that it depends on."""


Query = Select | CompoundSelect


def members_of(query: Query) -> Iterator[Select]:
    """Yield the SELECTs of a query, from left to right."""
    if isinstance(query, CompoundSelect):
        yield from members_of(query.left)
        yield from members_of(query.right)
    else:
        yield query


def items_of(joins: Sequence[Join]) -> tuple[FromItem, ...]:
    """Return the FROM items of joins, from left to right."""
    return tuple([item for join in joins for item in join.item.items])


def ids_of(joins: Sequence[Join]) -> frozenset[int]:
    """Return the ids of the FROM items of joins."""
    return NO_IDS.union(*[join.item.ids for join in joins])


# ── rewriting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rewrite(expr: BoundExpr, change: Callable[[BoundExpr], BoundExpr | None]) -> BoundExpr:
    """Return an expression in which `change` has replaced parts, from the outside in.

    `change` returns the replacement of a part, or None to have the parts of it looked at. Subqueries are left as they
    are.
    """
    changed = change(expr)
    if changed is not None:
        return changed
    values = {each.name: getattr(expr, each.name) for each in fields(expr) if each.init}
    replaced = {name: _rewrite_part(value, change) for name, value in values.items()}
    return expr if replaced == values else replace(expr, **replaced)


def _rewrite_part(part: Any, change: Callable[[BoundExpr], BoundExpr | None]) -> Any:
    if isinstance(part, BoundExpr):
        return rewrite(part, change)
    if isinstance(part, tuple):
        return tuple(_rewrite_part(one, change) for one in part)
    return part


def aggregates_of(select: Select) -> list[Aggregate]:
    """Return the distinct aggregates of a SELECT, in the order of the statement."""
    found: dict[Aggregate, None] = {}
    pending: list[Any] = select.result_expressions()[::-1]
    while pending:
        expr = pending.pop()
        if isinstance(expr, Aggregate):
            found[expr] = None
        elif isinstance(expr, BoundExpr) and Aggregate in expr.kinds:
            pending += expr.parts
    return list(found)
