"""Reading FROM: the sources of a SELECT, how they are joined, and the names that they bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from rome.catalog.model import Table
from rome.compiled.bind.expressions import COLLATIONS, Context, TermReader
from rome.compiled.bind.grammar import only
from rome.compiled.bind.names import BindScope
from rome.compiled.ir.expressions import ColumnExpr, Constant, Nature, Term, refs
from rome.compiled.ir.queries import Compound, Group, Join, Query, Select, Source, ids_of, sources_of
from rome.fallback import UnsupportedConstruct
from rome.sql.analysis.scopes import table_ref_number
from rome.sql.syntax.tokens import names


@dataclass(frozen=True)
class From:
    """What FROM says: the joins, and what the ONs of the inner ones demand of their rows."""

    joins: tuple[Join, ...] = ()
    where: tuple[Term, ...] = ()


class FromReader:
    """Reads the FROM of one SELECT, and puts its sources into the scope."""

    def __init__(self, context: Context, scope: BindScope, terms: TermReader) -> None:
        self.context = context
        self.scope = scope
        self.terms = terms

    def read(self, select: exp.Select) -> From:
        """The joins of a SELECT. Raises UnsupportedConstruct."""
        clause = select.args.get("from_") or select.args.get("from")
        if clause is None:
            return From()
        only(clause, "this")
        if clause.this.args.get("joins"):
            raise UnsupportedConstruct("joins in an odd place")
        found = self._joined(clause.this, select.args.get("joins") or ())
        for join in found.joins:
            self._check_sides(join, found.joins)
        return found

    def _joined(self, first: exp.Expr, nodes: Sequence[exp.Join]) -> From:
        """A chain of joins. Groups that are inner joined become a part of it."""
        joins: list[Join] = []
        where: list[Term] = []
        self._append(Join(self._item(first)), joins, where)
        for node in nodes:
            only(node, "this", "side", "kind", "on")
            side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
            if side not in ("", "LEFT") or kind not in ("", "INNER", "CROSS", "OUTER"):
                raise UnsupportedConstruct(f"{side} {kind} JOIN".replace("  ", " "))
            join = Join(self._item(node.this), is_left=bool(side))
            if join.is_left:
                self._make_nullable(join.item)
            on = node.args.get("on")
            conjuncts = self.terms.conjuncts(on) if on is not None else ()
            conjuncts = tuple(one for one in conjuncts if one != Constant(1))
            if join.is_left:
                join.on = conjuncts
            else:
                where += conjuncts
            self._append(join, joins, where)
        return From(tuple(joins), tuple(where))

    @staticmethod
    def _append(join: Join, joins: list[Join], where: list[Term]) -> None:
        if isinstance(join.item, Group) and not join.is_left:
            joins += join.item.joins
            where += join.item.where
        else:
            joins.append(join)

    def _check_sides(self, join: Join, joins: Sequence[Join]) -> None:
        """ON of a LEFT JOIN speaks of what stands before it, a group's inside only of the group."""
        at = list(joins).index(join)
        later = ids_of(tuple(joins[at + 1 :]))
        if any(refs(term) & later for term in join.on):
            raise UnsupportedConstruct("ON that speaks of a later table")
        if isinstance(join.item, Group):
            own = ids_of(join.item.joins)
            inside = [*join.item.where, *(term for inner in join.item.joins for term in inner.on)]
            if any(refs(term) - own for term in inside):
                raise UnsupportedConstruct("ON in a parenthesis that speaks of a table outside")
            for inner in join.item.joins:
                self._check_sides(inner, join.item.joins)

    # ── items ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _item(self, node: exp.Expr) -> Source | Group:
        if isinstance(node, exp.Table):
            return self._table(node)
        if isinstance(node, exp.Subquery):
            inner = node.this
            if isinstance(inner, (exp.Table, exp.Subquery)):
                only(node, "this")
                found = self._joined(_without_joins(inner), inner.args.get("joins") or ())
                if len(found.joins) == 1 and not found.where:
                    return found.joins[0].item
                return Group(found.joins, found.where)
            only(node, "this", "alias")
            return self._derived(node)
        raise UnsupportedConstruct(f"{node.key} in FROM")

    def _table(self, node: exp.Table) -> Source:
        only(node, "this", "db", "alias", "joins")
        alias = node.args.get("alias")
        if alias is not None:
            only(alias, "this")
        cte = None if node.db else self.context.ctes.get(node.name.lower())
        if cte is not None:
            return self._of_query(node.alias_or_name, cte.query, cte.names)
        table_ref = table_ref_number(node)
        table = self.context.catalog.table(node.name) if isinstance(node.this, exp.Identifier) else None
        if table is None or table_ref is None:
            raise UnsupportedConstruct(f"{node.name} is no table of the catalog")
        if "strict" in names(table.sql):
            raise UnsupportedConstruct(f"{node.name}, perhaps a STRICT table")
        source = Source(self.context.new_source(), node.alias_or_name.lower(), (), table, table_ref)
        source.columns = tuple(
            (column.name.lower(), _column(source.id, table, column.name)) for column in table.columns
        )
        return self._named(source)

    def _derived(self, node: exp.Subquery) -> Source:
        alias = node.args.get("alias")
        if alias is not None:
            only(alias, "this")
        query = self.context.read_query(self.context, node.this, self.scope.outer)
        return self._of_query(node.alias, query, None)

    def _of_query(self, name: str, query: Query, columns: Sequence[str] | None) -> Source:
        """A source of a query's rows; `columns` are other names for them."""
        if query.free:
            raise UnsupportedConstruct("a derived table that depends on an outer query")
        source = Source(self.context.new_source(), name.lower(), (), query=query)
        called = [output.name for output in query.outputs] if columns is None else list(columns)
        if len(called) != len(query.outputs):
            raise UnsupportedConstruct("WITH of another number of columns")
        source.columns = tuple((own, _derived_column(source.id, at, query)) for at, own in enumerate(called))
        return self._named(source)

    def _named(self, source: Source) -> Source:
        self.scope.sources.append(source)
        return source

    @staticmethod
    def _make_nullable(item: Source | Group) -> None:
        for source in sources_of(item):
            source.columns = tuple((name, _nullable(column)) for name, column in source.columns)


def _without_joins(node: exp.Expr) -> exp.Expr:
    """A table or subquery in a parenthesis, apart from the joins that follow it there."""
    if isinstance(node, exp.Subquery) and node.args.get("joins"):
        bare = exp.Subquery(**{name: value for name, value in node.args.items() if name != "joins"})
        bare.meta.update(node.meta)
        return bare
    return node


def _nullable(column: ColumnExpr | str) -> ColumnExpr | str:
    return column if isinstance(column, str) else replace(column, nature=replace(column.nature, nullable=True))


def _column(source: int, table: Table, name: str) -> ColumnExpr | str:
    """A column of a table, or why it can't be used."""
    key = name.lower()
    column = table.by_name[key]
    if key not in table.position:
        return "virtual generated column"
    if column.collation not in COLLATIONS:
        return f"collation {column.collation} of"
    is_key = key in {part.lower() for part in table.key}
    nature = Nature(column.affinity, column.collation, not (column.not_null or is_key))
    return ColumnExpr(nature, source, table.position[key])


def _derived_column(source: int, at: int, query: Query) -> ColumnExpr | str:
    """A column of a derived table, or why it can't be used."""
    terms = [member.outputs[at].term for member in _members(query)]
    affinities = {term.affinity for term in terms}
    if len(affinities) > 1:
        return "a column of several affinities:"
    nature = Nature(affinities.pop(), terms[0].collation or "BINARY", any(term.nullable for term in terms))
    return ColumnExpr(nature, source, at)


def _members(query: Query) -> list[Select]:
    return [*_members(query.left), *_members(query.right)] if isinstance(query, Compound) else [query]
