"""Numbers for the table references of tables in a statement: how planner and evaluators speak of the same one.

A self join reads one table twice, each time by another access path: rows are fetched for a table reference, not for a
table.


Scopes: which tables occur in each SELECT, UPDATE or DELETE of a statement, and which conditions narrow them.

Every query block is a scope of its own, wherever it stands: a subquery, the body of a CTE, a member of a UNION.

A condition may narrow a table reference if every row outside of it would be thrown away anyway:

* WHERE, and the ON of an inner join, must be true of every row that comes out, so they narrow all tables that stand
  before them. But where a table is the inner side of a LEFT JOIN, a row of it that is not there turns into NULLs: such
  a table is narrowed only by what rejects NULL.
* The ON of a LEFT JOIN narrows its inner side only: rows of the outer side come out whether it is true or not.
* RIGHT and FULL joins turn the sides around; a scope with one of them is not narrowed at all.

What a scope is made of is told by the parser's tree; a node with a part that is not known here makes its scope
`ScopeNotUnderstood`, and all its tables are read whole.


Is a query block plain: does each of its rows come from one combination of rows of its tables, and each on its own?

Then a row of a table that a condition from outside rejects may be left out. Not so where rows are counted, grouped,
numbered or cut off: there, a row that is missing changes what comes out for others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field, replace

from sqlglot import exp

from rome.catalog.model import Catalog, Table
from rome.fallback import ScopeNotUnderstood
from rome.sql.analysis.relation import AnyOf, Predicate, Relation, TopN
from rome.sql.syntax.parse import Nodes, walk

_MARK = "occurrence"


def number_table_refs(nodes: Nodes, catalog: Catalog) -> tuple[Table, ...]:
    """Mark every table reference of a table of the catalog in the parser's tree; the tables, by number of table
    reference.

    What has the name of a CTE is none, and what the catalog does not know as a table (a view) has no number either.
    Numbering a tree again gives the same numbers.
    """
    shadowed = {cte.alias.lower() for cte in nodes.ctes}
    found: list[Table] = []
    for node in nodes.tables:
        table = catalog.table(node.name) if isinstance(node.this, exp.Identifier) else None
        if table is not None and node.name.lower() not in shadowed and node.db.lower() in ("", "main"):
            node.meta[_MARK] = len(found)
            found.append(table)
    return tuple(found)


def table_ref_number(node: exp.Expr) -> int | None:
    """The number of a table's node, if it has one."""
    return node.meta.get(_MARK)


@dataclass(eq=False, slots=True)
class TableRef:
    """A table, or something else that has columns, in a FROM clause. `table` is None for the something else."""

    name: str
    """The name that qualifies its columns, in lower case."""
    table: Table | None
    node: exp.Expr
    nullable: bool = False
    """Whether a LEFT JOIN, of those that were read so far, may put NULLs in its place."""
    predicates: list[Predicate] = field(default_factory=list)
    any_of: list[AnyOf] = field(default_factory=list)
    topn: TopN | None = None
    """Which part of its rows is wanted, where that is not all that the predicates leave."""

    @property
    def number(self) -> int:
        """Its number in the statement. (What is no table has none.)"""
        number = table_ref_number(self.node)
        assert number is not None
        return number

    def wanted(self) -> Relation:
        """What is known of it so far. (Not of what is no table.)"""
        assert self.table is not None
        return Relation(self.number, self.table, tuple(self.predicates), tuple(self.any_of), self.topn)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition and the table references that it may narrow; of those in `nullable`, by what rejects NULL only.

    `outer`: for the ON of a LEFT JOIN, the table references that it does not narrow, because their rows come out
    whether it is true or not. `must_hold`: it is true of every row of its scope.
    """

    node: exp.Expr
    table_refs: tuple[TableRef, ...]
    nullable: frozenset[int]
    outer: tuple[TableRef, ...] = ()
    must_hold: bool = True


_CLAUSES = frozenset(
    {
        "with_",
        "with",
        "distinct",
        "expressions",
        "from_",
        "from",
        "joins",
        "where",
        "group",
        "having",
        "windows",
        "order",
    }
    | {"limit", "offset", "this", "returning"}
)
"""The parts of a SELECT, UPDATE or DELETE that are understood."""

_TABLE_PARTS = frozenset({"this", "db", "alias", "indexed", "joins"})
"""The parts of a table in FROM that are understood."""


class Scope:
    """One query block: its table references, and the conditions on them. Raises ScopeNotUnderstood."""

    def __init__(self, node: exp.Expr, catalog: Catalog, shadowed: Set[str]) -> None:
        """`shadowed`: the names, in lower case, that stand for CTEs."""
        self.node = node
        self.catalog = catalog
        self.shadowed = shadowed
        self.conditions: list[Condition] = []
        self.merges_names = False
        if any(part for name, part in node.args.items() if name not in _CLAUSES):
            raise ScopeNotUnderstood
        self.table_refs = self._sources(node)
        where = node.args.get("where")
        if where:
            self._condition(where.this, self.table_refs)

    def _sources(self, node: exp.Expr) -> list[TableRef]:
        """The table references of a query block: the target of UPDATE and DELETE, and what stands in FROM."""
        found = [] if isinstance(node, exp.Select) else self._item(node.this)
        clause = node.args.get("from_") or node.args.get("from")
        if clause is None:
            return found
        joins = list(node.args.get("joins") or ())
        first = clause.this
        if isinstance(node, exp.Update):  # its tree has the joins one level deeper
            joins = list(first.args.get("joins") or ())
            found += self._item(first, is_group=True)
        else:
            found += self._item(first)
        return self._joined(found, joins)

    def _joined(self, left: list[TableRef], joins: Sequence[exp.Join]) -> list[TableRef]:
        for join in joins:
            kind, side, method = (str(join.args.get(name) or "").upper() for name in ("kind", "side", "method"))
            if kind not in ("", "INNER", "CROSS", "OUTER") or side not in ("", "LEFT") or method not in ("", "NATURAL"):
                raise ScopeNotUnderstood
            self.merges_names |= method == "NATURAL" or bool(join.args.get("using"))
            before = len(self.conditions)
            right = self._item(join.this)
            if side:  # where a group in parentheses is not there, its own conditions are not true
                self.conditions[before:] = [replace(each, must_hold=False) for each in self.conditions[before:]]
            on = join.args.get("on")
            if on is not None:
                self._condition(on, right, outer=left) if side else self._condition(on, left + right)
            if side:
                for table_ref in right:
                    table_ref.nullable = True
            left = left + right
        return left

    def _item(self, node: exp.Expr, *, is_group: bool = False) -> list[TableRef]:
        """The table references of one item of FROM: a table, joins in a parenthesis, or something else that has
        columns.
        """
        joins = node.args.get("joins") or ()
        if isinstance(node, exp.Subquery) and isinstance(node.this, (exp.Table, exp.Subquery)):
            if node.args.get("alias") or (joins and not is_group):
                raise ScopeNotUnderstood
            inner = node.this
            return self._joined(self._item(inner, is_group=True), inner.args.get("joins") or ())
        if joins and not is_group:
            raise ScopeNotUnderstood  # SQLite does not nest joins without a parenthesis
        if isinstance(node, exp.Table) and any(part for name, part in node.args.items() if name not in _TABLE_PARTS):
            raise ScopeNotUnderstood
        return [TableRef(node.alias_or_name.lower(), self._table(node), node)]

    def _table(self, node: exp.Expr) -> Table | None:
        alias = node.args.get("alias")
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            return None
        if node.db.lower() not in ("", "main") or (alias is not None and alias.args.get("columns")):
            return None
        return None if node.name.lower() in self.shadowed else self.catalog.table(node.name)

    def _condition(self, node: exp.Expr, narrowed: list[TableRef], outer: Sequence[TableRef] = ()) -> None:
        nullable = frozenset(id(one) for one in (*outer, *narrowed) if one.nullable)
        self.conditions.append(Condition(node, tuple(narrowed), nullable, tuple(outer), must_hold=not outer))


class Scopes:
    """All scopes of a statement that are clear, outer ones before those within them."""

    def __init__(self, nodes: Nodes, catalog: Catalog) -> None:
        self._ctes = nodes.ctes
        shadowed = {cte.alias.lower() for cte in self._ctes}
        self._of: dict[int, Scope] = {}
        for node in nodes.blocks:
            try:
                self._of[id(node)] = Scope(node, catalog, shadowed)
            except ScopeNotUnderstood:
                continue

    def __iter__(self) -> Iterator[Scope]:
        return iter(self._of.values())

    def of(self, node: exp.Expr | None) -> Scope | None:
        """The scope of a query block, perhaps in parentheses; None if it is unclear, or no query block."""
        while isinstance(node, (exp.Subquery, exp.Paren)):
            node = None if node.args.get("joins") else node.this
        return self._of.get(id(node))

    def cte_of(self, node: exp.Expr) -> exp.CTE | None:
        """The CTE that an item of FROM stands for, if that is certain."""
        if not isinstance(node, exp.Table) or node.args.get("db"):
            return None
        named = [cte for cte in self._ctes if cte.alias.lower() == node.name.lower()]
        if len(named) != 1 or named[0].args["alias"].args.get("columns"):
            return None
        (cte,) = named
        with_ = cte.parent
        around = {id(one) for one in _ancestors(node)}
        is_seen = with_ is not None and id(with_.parent) in around and id(cte) not in around
        return cte if is_seen else None

    def around(self, scope: Scope) -> Scope | None:
        """The scope whose columns another one can name beside its own; None if there is none, or it is unclear."""
        return self.of(_around(scope.node))


def _ancestors(node: exp.Expr) -> Iterator[exp.Expr]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


_OPAQUE = (exp.CTE, exp.Returning, exp.OnConflict, exp.Limit, exp.Offset, exp.Insert, exp.Lateral, exp.Values)
"""What hides the scopes around it, or shows them otherwise than elsewhere (RETURNING has the changed row)."""


def _around(node: exp.Expr) -> exp.Expr | None:
    """The query block around another one; a block in FROM does not see the items beside it, but what is around them."""
    child, parent = node, node.parent
    in_on = False
    while parent is not None and not isinstance(parent, _OPAQUE):
        part = child.arg_key
        if isinstance(parent, exp.SetOperation) and part not in ("this", "expression"):
            return None
        if isinstance(parent, exp.Table) and part != "joins" and not in_on:
            return None
        in_on = in_on or (isinstance(parent, exp.Join) and part == "on")
        is_block = isinstance(parent, (exp.Select, exp.Update, exp.Delete))
        if is_block and (in_on or part not in ("from_", "from", "joins")):
            return parent
        child, parent = parent, parent.parent
    return None


_PARTS = ("group", "having", "limit", "offset", "windows")

_ROW_BY_ROW = (
    exp.And, exp.Or, exp.Xor, exp.Exists, exp.Case, exp.If, exp.Cast, exp.Coalesce, exp.Nullif, exp.Lower, exp.Upper,
    exp.Length, exp.Abs, exp.Round, exp.Substring, exp.Replace, exp.Trim, exp.Concat
)  # fmt: skip
"""Functions that look at one row. Of others it is not known here whether they do."""


def is_pushdown_safe(block: exp.Expr) -> bool:
    """Whether a SELECT is plain. (DISTINCT does no harm: equal rows are rejected together.)"""
    return not any(block.args.get(part) for part in _PARTS) and is_row_wise(block)


def is_row_wise(block: exp.Expr) -> bool:
    """Whether what a SELECT shows of a row, and orders it by, needs no other row."""
    if not isinstance(block, exp.Select):
        return False
    shown = [*block.expressions, *([block.args["order"]] if block.args.get("order") else ())]
    found = (each for node in shown for each in walk(node) if isinstance(each, (exp.Func, exp.Window)))
    return all(isinstance(each, _ROW_BY_ROW) for each in found)
