"""Binding of FROM: its items, how they are joined, and name resolution over them.

    FROM a JOIN b ON b.a_id = a.id LEFT JOIN c ON c.b_id = b.id

    joins    a, b, LEFT c ON c.b_id = b.id
    where    b.a_id = a.id           an inner join's ON is a part of the WHERE

A join in a parenthesis that is inner joined becomes a part of the chain around it; one that is left joined stays a
JoinGroup. RIGHT and FULL joins, NATURAL and USING are refused.

**Name resolution** (`BindScope`). A name is looked up in the FROM of its own SELECT first, then in the aliases of that
SELECT's result columns, and then in the enclosing SELECTs, from the inside out:

    SELECT a.id AS n FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a_id = a.id) ORDER BY n

    b.a_id    column of b
    a.id      in the subquery: not in its FROM, so the column of the outer a
    n         no column, but an alias: the expression a.id

What SQLite might take for something else than a column (a string in double quotes, the hidden rowid, a column of two
tables) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from sqlglot import exp

from rome.catalog.model import Catalog, Table
from rome.compiled.bind.checks import allow_only
from rome.compiled.ir import (
    BoundExpr,
    ColumnExpr,
    CompoundSelect,
    Constant,
    ExprType,
    FromItem,
    Join,
    JoinGroup,
    Query,
    Select,
    ids_of,
)
from rome.fallback import UnsupportedConstruct
from rome.folding import fold_name
from rome.sql.analysis.resolve_names import ROWID_NAMES
from rome.sql.analysis.scopes import table_ref_number
from rome.sql.syntax.tokens import names
from rome.values import COLLATIONS

Conjuncts = Callable[["exp.Expr"], tuple[BoundExpr, ...]]  # quoted: sqlglot 28 has no Expr


# ── name resolution ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Cte:
    """A query of WITH, and the names that it gives to its columns (None: the query's own)."""

    query: Query
    names: tuple[str, ...] | None


@dataclass(frozen=True)
class BindContext:
    """The state that the binders of a statement's query blocks share; a WITH adds its queries in a copy of it."""

    catalog: Catalog
    bind_query: Callable[[BindContext, exp.Expr, BindScope | None], Query]
    ctes: Mapping[str, Cte] = field(default_factory=dict)
    """The queries of WITH that can be referred to here, by their names in lower case."""
    plus_marks: set[int] = field(default_factory=set)
    """The `id()` of the nodes that mark a binary plus (see `plus_mark`)."""
    item_ids: Iterator[int] = field(default_factory=count)


@dataclass
class BindScope:
    """The names that can be used in one SELECT."""

    outer: BindScope | None = None
    items: list[FromItem] = field(default_factory=list)
    aliases: dict[str, BoundExpr] | None = None
    """The aliases of the result columns, once these are bound."""
    unbound_aliases: frozenset[str] = frozenset()
    """The aliases of result columns that are not bound yet: the use of one is refused."""

    def resolve(self, node: exp.Column) -> BoundExpr:
        """Return the expression that a name refers to. Raise UnsupportedConstruct if that is not certain."""
        name, qualifier = fold_name(node.name), fold_name(node.table)
        if node.args.get("db") or node.args.get("catalog"):
            raise UnsupportedConstruct(f"the name {node.sql(dialect='sqlite')}, not resolved")
        found = self._own_column(name, qualifier)
        if found is not None:
            return found
        if not qualifier and self.aliases is not None and name in self.aliases:
            return self.aliases[name]
        if not qualifier and name in self.unbound_aliases:
            raise UnsupportedConstruct(f"a reference to the alias {node.name}")
        if self.outer is None:
            raise UnsupportedConstruct(f"the name {node.sql(dialect='sqlite')}, not resolved")
        return self.outer.resolve(node)

    def _own_column(self, name: str, qualifier: str) -> ColumnExpr | None:
        """Return the column of this SELECT's FROM with a name; None if there is none."""
        candidates = [item for item in self.items if not qualifier or item.name == qualifier]
        if qualifier and len(candidates) > 1:
            raise UnsupportedConstruct(f"two tables named {qualifier}")
        found = [(item, item.columns[at][1]) for item in candidates for at in item.places.get(name, ())]
        if len(found) > 1:
            raise UnsupportedConstruct(f"two columns named {name}")
        if found:
            item, column = found[0]
            return _supported(item, name, column)
        if name in ROWID_NAMES and candidates:
            return self._rowid_alias(candidates, name)
        return None

    def _rowid_alias(self, candidates: list[FromItem], name: str) -> ColumnExpr:
        """Return the INTEGER PRIMARY KEY that `rowid`, or another name of it, refers to."""
        if len(candidates) == 1:
            item = candidates[0]
            if item.table is not None and item.table.rowid_alias is not None:
                alias = fold_name(item.table.rowid_alias)
                return next(_supported(item, alias, column) for own, column in item.columns if own == alias)
        raise UnsupportedConstruct(f"the hidden column {name}")

    def star(self, qualifier: str) -> list[tuple[str | None, ColumnExpr]]:
        """Return the columns of `*`, or of `qualifier.*`, with their names."""
        candidates = [item for item in self.items if not qualifier or item.name == qualifier]
        if not candidates or (qualifier and len(candidates) > 1):
            raise UnsupportedConstruct(f"{qualifier}.*")
        return [(name, _supported(item, str(name), column)) for item in candidates for name, column in item.columns]

    def has_column(self, name: str) -> bool:
        """Return True if a name, in lower case, is that of a column here or in an enclosing SELECT."""
        return any(name in item.places for item in self.items) or (
            self.outer is not None and self.outer.has_column(name)
        )


def _supported(item: FromItem, name: str, column: ColumnExpr | str) -> ColumnExpr:
    if isinstance(column, str):
        raise UnsupportedConstruct(f"{column} {item.name}.{name}")
    return column


# ── FROM ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class FromClause:
    """The joins of a FROM, and the conjuncts of its inner joins' ONs."""

    joins: tuple[Join, ...] = ()
    where: tuple[BoundExpr, ...] = ()


class FromBinder:
    """Binds the FROM of one SELECT, and adds its items to the scope."""

    def __init__(self, context: BindContext, scope: BindScope, conjuncts: Conjuncts) -> None:
        """`conjuncts` returns the bound conjuncts of a condition."""
        self.context = context
        self.scope = scope
        self.conjuncts = conjuncts

    def bind(self, select: exp.Select) -> FromClause:
        """Return the bound FROM of a SELECT. Raise UnsupportedConstruct."""
        clause = select.args.get("from_") or select.args.get("from")
        if clause is None:
            return FromClause()
        allow_only(clause, "this")
        if clause.this.args.get("joins"):
            raise UnsupportedConstruct("joins in an unusual place")
        found = self._chain(clause.this, select.args.get("joins") or ())
        _check_on_references(found.joins)
        return found

    def _chain(self, first: exp.Expr, nodes: Sequence[exp.Join]) -> FromClause:
        """Bind a chain of joins. Groups that are inner joined become a part of it."""
        joins: list[Join] = []
        where: list[BoundExpr] = []
        _append(Join(self._item(first)), joins, where)
        for node in nodes:
            allow_only(node, "this", "side", "kind", "on")
            side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
            if side not in ("", "LEFT") or kind not in ("", "INNER", "CROSS", "OUTER"):
                raise UnsupportedConstruct(f"{side} {kind} JOIN".replace("  ", " "))
            join = Join(self._item(node.this), is_left=bool(side))
            if join.is_left:
                _make_nullable(join.item)
            on = node.args.get("on")
            conjuncts = self.conjuncts(on) if on is not None else ()
            conjuncts = tuple([one for one in conjuncts if one != Constant(1)])
            if join.is_left:
                join.on = conjuncts
            else:
                where += conjuncts
            _append(join, joins, where)
        return FromClause(tuple(joins), tuple(where))

    # ── items ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _item(self, node: exp.Expr) -> FromItem | JoinGroup:
        if isinstance(node, exp.Table):
            return self._table_ref(node)
        if isinstance(node, exp.Subquery):
            inner = node.this
            if isinstance(inner, (exp.Table, exp.Subquery)):
                allow_only(node, "this")
                found = self._chain(_without_joins(inner), inner.args.get("joins") or ())
                if len(found.joins) == 1 and not found.where:
                    return found.joins[0].item
                return JoinGroup(found.joins, found.where)
            allow_only(node, "this", "alias")
            return self._derived_table(node)
        raise UnsupportedConstruct(f"{node.key} in FROM")

    def _table_ref(self, node: exp.Table) -> FromItem:
        """Bind the name of a table, or of a query of WITH."""
        allow_only(node, "this", "db", "alias", "joins")
        alias = node.args.get("alias")
        if alias is not None:
            allow_only(alias, "this")
        cte = None if node.db else self.context.ctes.get(fold_name(node.name))
        if cte is not None:
            return self._query_item(node.alias_or_name, cte.query, cte.names)
        if not isinstance(node.this, exp.Identifier):
            raise UnsupportedConstruct("a table-valued function")
        table_ref, table = table_ref_number(node), self.context.catalog.table(node.name)
        if table is None or table_ref is None:
            raise UnsupportedConstruct(f"{node.name} is not a table of the catalog")
        if "strict" in names(table.sql):
            raise UnsupportedConstruct(f"{node.name}, possibly a STRICT table")
        number = next(self.context.item_ids)
        item = FromItem(number, fold_name(node.alias_or_name), _columns_of(number, table), table, table_ref)
        self.scope.items.append(item)
        return item

    def _derived_table(self, node: exp.Subquery) -> FromItem:
        alias = node.args.get("alias")
        if alias is not None:
            allow_only(alias, "this")
        query = self.context.bind_query(self.context, node.this, self.scope.outer)
        return self._query_item(node.alias, query, None)

    def _query_item(self, name: str, query: Query, columns: Sequence[str] | None) -> FromItem:
        """Make an item of a query's rows; `columns` are names that replace the query's own."""
        if query.refs:
            raise UnsupportedConstruct("a correlated derived table")
        number = next(self.context.item_ids)
        named = [output.name for output in query.outputs] if columns is None else list(columns)
        if len(named) != len(query.outputs):
            raise UnsupportedConstruct("WITH with another number of columns")
        bound = tuple([(own, _derived_column(number, at, query)) for at, own in enumerate(named)])
        item = FromItem(number, fold_name(name), bound, query=query)
        self.scope.items.append(item)
        return item


def _append(join: Join, joins: list[Join], where: list[BoundExpr]) -> None:
    if isinstance(join.item, JoinGroup) and not join.is_left:
        joins += join.item.joins
        where += join.item.where
    else:
        joins.append(join)


def _check_on_references(joins: Sequence[Join]) -> None:
    """Refuse an ON of a LEFT JOIN that refers to a later item, and one in a group that refers to an item outside."""
    for at, join in enumerate(joins):
        later = ids_of(joins[at + 1 :])
        if any(expr.refs & later for expr in join.on):
            raise UnsupportedConstruct("ON that refers to a later table")
        if isinstance(join.item, JoinGroup):
            inside = [*join.item.where, *(expr for inner in join.item.joins for expr in inner.on)]
            if any(expr.refs - join.item.ids for expr in inside):
                raise UnsupportedConstruct("ON in a parenthesis that refers to a table outside")
            _check_on_references(join.item.joins)


def _without_joins(node: exp.Expr) -> exp.Expr:
    """Return a table or subquery in a parenthesis without the joins that follow it there."""
    if isinstance(node, exp.Subquery) and node.args.get("joins"):
        bare = exp.Subquery(**{name: value for name, value in node.args.items() if name != "joins"})
        bare.meta.update(node.meta)
        return bare
    return node


def _make_nullable(joined: FromItem | JoinGroup) -> None:
    """Make all columns of the inner side of a LEFT JOIN nullable."""
    for item in joined.items:
        item.columns = tuple([(name, _nullable(column)) for name, column in item.columns])


def _nullable(column: ColumnExpr | str) -> ColumnExpr | str:
    return column if isinstance(column, str) else replace(column, type=replace(column.type, nullable=True))


def _columns_of(item: int, table: Table) -> tuple[tuple[str, ColumnExpr | str], ...]:
    """Return the columns of a table with their names; in place of a column that is not supported, the reason."""
    key = {fold_name(name) for name in table.key}
    found: list[tuple[str, ColumnExpr | str]] = []
    for column in table.columns:
        name = fold_name(column.name)
        if name not in table.position:
            found.append((name, "virtual generated column"))
        elif column.collation not in COLLATIONS:
            found.append((name, f"collation {column.collation} of"))
        else:
            nullable = not (column.not_null or name in key)
            found.append(
                (name, ColumnExpr(ExprType(column.affinity, column.collation, nullable), item, table.position[name]))
            )
    return tuple(found)


def _derived_column(item: int, at: int, query: Query) -> ColumnExpr | str:
    """Return a column of a derived table; if it is not supported, the reason."""
    types = [member.outputs[at].expr.type for member in _members(query)]
    if len({each.affinity for each in types}) > 1:
        return "a column of several affinities:"
    nullable = any(each.nullable for each in types)
    return ColumnExpr(ExprType(types[0].affinity, types[0].collation or "BINARY", nullable), item, at)


def _members(query: Query) -> list[Select]:
    """Return the SELECTs of a query."""
    return [*_members(query.left), *_members(query.right)] if isinstance(query, CompoundSelect) else [query]
