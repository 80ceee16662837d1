"""Scopes: the joins and table references of each query block, and the conditions that may be pushed down to them.

    SELECT * FROM p LEFT JOIN c ON c.pid = p.id WHERE p.host = ?

    one scope: p (0), c (1, nullable)
    c.pid = p.id    may narrow c; rows of p come out whether it is true or not
    p.host = ?      may narrow p, and c by what rejects NULL

Every SELECT, UPDATE and DELETE is a scope of its own: a subquery, the body of a CTE, a member of a UNION.

A condition may narrow a table reference if the rows that it rejects cannot affect the result:

* WHERE and the ON of an inner join are true of every row that comes out. They narrow all tables to their left. But a
  missing row on the inner side of a LEFT JOIN turns into NULLs: such a table is narrowed only by a condition that
  rejects NULL.
* The ON of a LEFT JOIN narrows its inner side only.
* RIGHT and FULL joins swap the sides: a scope with one of them is not narrowed at all.

A node of the tree with a part that this module does not know raises `ScopeNotUnderstood` for its scope, and the tables
of that scope are read whole.

Table references are numbered: a self join reads one table twice, each time by an access path of its own, so planner
and evaluators fetch rows for a table reference and not for a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field, replace

from sqlglot import exp

from rome.catalog.model import Catalog, Table
from rome.fallback import ScopeNotUnderstood, UnsupportedConstruct
from rome.folding import fold_name
from rome.sql.analysis.relation import AnyOf, Predicate, Relation, TopN
from rome.sql.syntax.parse import Nodes, walk

# ── table references ──────────────────────────────────────────────────────────────────────────────────────────────────

_MARK = "table_ref"


def number_table_refs(nodes: Nodes, catalog: Catalog) -> tuple[Table, ...]:
    """Number the references to tables of the catalog in the tree, and return the table of each.

    A name of a CTE is no table reference; nor is one that the catalog does not know as a table (a view). Numbering a
    tree again gives the same numbers.
    """
    ctes = {fold_name(cte.alias) for cte in nodes.ctes}
    found: list[Table] = []
    for node in nodes.tables:
        table = catalog.table(node.name) if isinstance(node.this, exp.Identifier) else None
        if table is not None and fold_name(node.name) not in ctes and fold_name(node.db) in ("", "main"):
            node.meta[_MARK] = len(found)
            found.append(table)
    return tuple(found)


def table_ref_number(node: exp.Expr) -> int | None:
    """Return the number of a table's node; None if it has none."""
    return node.meta.get(_MARK)


@dataclass(eq=False, slots=True)
class TableRef:
    """An item of FROM: a table, or (`table` is None) a derived table, a CTE, a view or a table function."""

    name: str
    """The name that qualifies its columns, in lower case."""
    table: Table | None
    node: exp.Expr
    number: int = -1
    """Its number in the statement; -1 for what is no table."""
    nullable: bool = False
    """True if a LEFT JOIN of those read so far may put NULLs in the place of its columns."""
    stable: bool = True
    """False if the statement may change the table's rows before it reads them here."""
    predicates: list[Predicate] = field(default_factory=list)
    any_of: list[AnyOf] = field(default_factory=list)
    topn: TopN | None = None
    """The rows that are needed, if not all that fulfil the predicates."""

    def relation(self) -> Relation:
        """Return what the analysis has found so far of a table."""
        assert self.table is not None
        return Relation(self.number, self.table, tuple(self.predicates), tuple(self.any_of), self.topn, self.name)


# ── scopes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class JoinedItem:
    """An item of FROM, joined to those before it; a list of them if `item` is a group of joins in parentheses."""

    item: TableRef | list[JoinedItem]
    is_left: bool = False
    on: exp.Expr | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition and the table references that it may narrow; those in `nullable` only by what rejects NULL.

    `outer`: for the ON of a LEFT JOIN, the table references of its outer side, which it does not narrow. `must_hold`:
    the condition is true of every row of its scope.
    """

    node: exp.Expr
    table_refs: tuple[TableRef, ...]
    nullable: frozenset[int]
    outer: tuple[TableRef, ...] = ()
    must_hold: bool = True


_CLAUSES = frozenset(
    {"with_", "with", "distinct", "expressions", "from_", "from", "joins", "where", "group", "having", "windows"}
    | {"order", "limit", "offset", "this", "returning"}
)
"""The parts of a SELECT, UPDATE or DELETE that this module knows."""

_TABLE_PARTS = frozenset({"this", "db", "alias", "indexed", "joins"})
"""The parts of a table in FROM that this module knows."""

_JOIN_PARTS = frozenset({"this", "kind", "side", "method", "on", "using"})
"""The parts of a join that this module knows."""


class Scope:
    """One query block: the joins of its FROM, its table references, and the conditions on them.

    Raise `ScopeNotUnderstood`.
    """

    def __init__(self, node: exp.Expr, catalog: Catalog, ctes: Set[str]) -> None:
        """`ctes`: the names of CTEs in lower case, which hide tables."""
        self.node = node
        self.catalog = catalog
        self.ctes = ctes
        self.conditions: list[Condition] = []
        self.merges_names = False
        """True if a column of the result may be one of two tables (NATURAL JOIN, USING)."""
        _check_parts(node, _CLAUSES)
        self.joins = self._read_from(node)
        self.table_refs = self._read_conditions(self.joins)
        where = node.args.get("where")
        if where:
            self._add_condition(where.this, self.table_refs)

    # ── FROM ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_from(self, node: exp.Expr) -> list[JoinedItem]:
        """Return the target of UPDATE and DELETE, and the items of FROM."""
        found = [] if isinstance(node, exp.Select) else [self._read_item(node.this)]
        clause = node.args.get("from_") or node.args.get("from")
        if clause is None:
            return found
        if isinstance(node, exp.Update):  # sqlglot attaches the joins to the first item
            return found + self._read_group(clause.this)
        return [*found, self._read_item(clause.this), *self._read_joins(node)]

    def _read_group(self, first: exp.Expr) -> list[JoinedItem]:
        """Return joins that sqlglot attaches to their first item."""
        return [self._read_item(first, is_group=True), *self._read_joins(first)]

    def _read_joins(self, node: exp.Expr) -> list[JoinedItem]:
        return [self._read_join(join) for join in node.args.get("joins") or ()]

    def _read_join(self, join: exp.Join) -> JoinedItem:
        _check_parts(join, _JOIN_PARTS)
        kind, side, method = [str(join.args.get(name) or "").upper() for name in ("kind", "side", "method")]
        if kind not in ("", "INNER", "CROSS", "OUTER") or side not in ("", "LEFT") or method not in ("", "NATURAL"):
            raise ScopeNotUnderstood(" ".join(filter(None, (method, side, kind, "JOIN"))))
        self.merges_names |= method == "NATURAL" or bool(join.args.get("using"))
        return replace(self._read_item(join.this), is_left=bool(side), on=join.args.get("on"))

    def _read_item(self, node: exp.Expr, *, is_group: bool = False) -> JoinedItem:
        """Return one item of FROM: a table reference, or joins in parentheses."""
        joins = node.args.get("joins")
        if joins and not is_group:
            raise ScopeNotUnderstood("joins in an unusual place")  # SQLite nests joins only in parentheses
        if isinstance(node, exp.Subquery) and isinstance(node.this, (exp.Table, exp.Subquery)):
            if node.args.get("alias"):
                raise ScopeNotUnderstood("joins with an alias")
            return JoinedItem(self._read_group(node.this))
        if isinstance(node, exp.Table):
            _check_parts(node, _TABLE_PARTS)
        name = fold_name(node.alias_or_name)
        return JoinedItem(TableRef(name, self._table_of(node), node, node.meta.get(_MARK, -1)))

    def _table_of(self, node: exp.Expr) -> Table | None:
        alias = node.args.get("alias")
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            return None
        if fold_name(node.db) not in ("", "main") or (alias is not None and alias.args.get("columns")):
            return None
        return None if fold_name(node.name) in self.ctes else self.catalog.table(node.name)

    # ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_conditions(self, joins: Sequence[JoinedItem]) -> list[TableRef]:
        """Read the conditions of joins, and return their table references from left to right."""
        left: list[TableRef] = []
        for join in joins:
            before = len(self.conditions)
            right = self._read_conditions(join.item) if isinstance(join.item, list) else [join.item]
            if join.is_left:  # the conditions within a group in parentheses are not true where the group is missing
                self.conditions[before:] = [replace(each, must_hold=False) for each in self.conditions[before:]]
            if join.on is not None:
                if join.is_left:
                    self._add_condition(join.on, right, outer=left)
                else:
                    self._add_condition(join.on, left + right)
            if join.is_left:
                for table_ref in right:
                    table_ref.nullable = True
            left = left + right
        return left

    def _add_condition(self, node: exp.Expr, narrowed: list[TableRef], outer: Sequence[TableRef] = ()) -> None:
        nullable = frozenset([id(one) for one in (*outer, *narrowed) if one.nullable])
        self.conditions.append(Condition(node, tuple(narrowed), nullable, tuple(outer), must_hold=not outer))


def _check_parts(node: exp.Expr, known: Set[str]) -> None:
    for name, part in node.args.items():
        if part and name not in known:
            raise ScopeNotUnderstood(f"{node.key} with {name}")


class Scopes:
    """The scopes of a statement that are understood, outer ones before inner ones."""

    def __init__(self, nodes: Nodes, catalog: Catalog) -> None:
        self._ctes = nodes.ctes
        names = {fold_name(cte.alias) for cte in self._ctes}
        self._by_node: dict[int, Scope] = {}
        self._reasons: dict[int, str] = {}
        for node in nodes.blocks:
            try:
                self._by_node[id(node)] = Scope(node, catalog, names)
            except ScopeNotUnderstood as error:
                self._reasons[id(node)] = str(error)
        self.all = tuple(self._by_node.values())

    def of(self, node: exp.Expr | None) -> Scope | None:
        """Return the scope of a query block, which may be in parentheses; None if it is not understood."""
        while isinstance(node, (exp.Subquery, exp.Paren)):
            node = None if node.args.get("joins") else node.this
        return self._by_node.get(id(node))

    def of_select(self, node: exp.Select) -> Scope:
        """Return the scope of a SELECT. Raise UnsupportedConstruct if it is not understood."""
        found = self._by_node.get(id(node))
        if found is None:
            raise UnsupportedConstruct(self._reasons.get(id(node), "a SELECT in an unusual place"))
        return found

    def cte_of(self, node: exp.Expr) -> exp.CTE | None:
        """Return the CTE that an item of FROM refers to; None if that is not certain."""
        if not isinstance(node, exp.Table) or node.args.get("db"):
            return None
        named = [cte for cte in self._ctes if fold_name(cte.alias) == fold_name(node.name)]
        if len(named) != 1:
            return None
        (cte,) = named
        with_ = cte.parent
        ancestors = {id(one) for one in _ancestors(node)}
        is_visible = with_ is not None and id(with_.parent) in ancestors and id(cte) not in ancestors
        return cte if is_visible else None

    def enclosing(self, scope: Scope) -> Scope | None:
        """Return the scope whose columns a correlated name of this one may mean; None without one."""
        return self.of(_enclosing_block(scope.node))


def _ancestors(node: exp.Expr) -> Iterator[exp.Expr]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent


_OPAQUE = (exp.CTE, exp.Returning, exp.OnConflict, exp.Limit, exp.Offset, exp.Insert, exp.Lateral, exp.Values)
"""Nodes that hide the scopes around them, or show them in another way (RETURNING sees the changed row)."""


def _enclosing_block(node: exp.Expr) -> exp.Expr | None:
    """Return the query block that encloses another one; a block in FROM does not see the other items of that FROM."""
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


# ── pushdown safety ───────────────────────────────────────────────────────────────────────────────────────────────────

_NOT_ROW_WISE = ("group", "having", "limit", "offset", "windows")

_ROW_FUNCTIONS = (
    exp.And, exp.Or, exp.Xor, exp.Exists, exp.Case, exp.If, exp.Cast, exp.Coalesce, exp.Nullif, exp.Lower, exp.Upper,
    exp.Length, exp.Abs, exp.Round, exp.Substring, exp.Replace, exp.Trim, exp.Concat, exp.Collate, exp.Typeof, exp.Hex
)  # fmt: skip
"""Functions that are known to look at one row only."""


def is_pushdown_safe(block: exp.Expr) -> bool:
    """Return True if predicates from outside may be pushed down into a SELECT.

    Each row of the SELECT then comes from one combination of rows of its tables, independent of the others. Where rows
    are counted, grouped, numbered or cut off, a missing row changes what comes out for others. (DISTINCT does no harm:
    equal rows are rejected together.)
    """
    for part in _NOT_ROW_WISE:
        if block.args.get(part):
            return False
    return is_row_wise(block)


def is_row_wise(block: exp.Expr) -> bool:
    """Return True if the select list and ORDER BY of a SELECT compute each row without the others."""
    if not isinstance(block, exp.Select):
        return False
    order = block.args.get("order")
    for node in (*block.expressions, order) if order else block.expressions:
        for each in walk(node):
            if isinstance(each, (exp.Func, exp.Window)) and not isinstance(each, _ROW_FUNCTIONS):
                return False
    return True
