"""Scopes: which tables occur in each SELECT, UPDATE or DELETE of a statement, and which conditions narrow them.

Every query block is a scope of its own, wherever it stands: a subquery, the body of a CTE, a member of a UNION. A
condition narrows only tables of its own scope, so that scopes can be looked at one by one.

A condition may narrow an occurrence if every row outside of it would be thrown away anyway:

* WHERE, and the ON of an inner join, must be true of every row that comes out, so they narrow all tables that stand
  before them. But where a table is the inner side of a LEFT JOIN, a row of it that is not there turns into NULLs: such
  a table is narrowed only by what rejects NULL.
* The ON of a LEFT JOIN narrows its inner side only: rows of the outer side come out whether it is true or not.
* RIGHT and FULL joins turn the sides around; a scope with one of them is not narrowed at all.
* A name without a qualifier is looked up in all tables of the scope. With NATURAL and USING it may be a column of two
  tables at once, and narrows nothing.

What a scope is made of is told by the parser's tree; a node with a part that is not known here makes its scope
`Unclear`, and all its tables are read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from rome.catalog.affinity import Affinity
from rome.catalog.model import Catalog, Column, Table
from rome.sql.predicates import Comparison, Op, comparisons, conjuncts
from rome.sql.rowids import rowid_names
from rome.sql.sources import Source


class Unclear(Exception):
    """The scope has a form that is not understood here."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """What is known of one column of an occurrence."""

    column: Column
    op: Op
    sources: tuple[Source, ...]


@dataclass(eq=False, slots=True)
class Occurrence:
    """A table, or something else that has columns, in a FROM clause. `table` is None for the something else."""

    name: str
    """The name that qualifies its columns, in lower case."""
    table: Table | None
    node: exp.Expr
    nullable: bool = False
    """Whether a LEFT JOIN, of those that were read so far, may put NULLs in its place."""
    predicates: list[Predicate] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition and the occurrences that it may narrow; of those in `nullable`, by what rejects NULL only."""

    node: exp.Expr
    occurrences: tuple[Occurrence, ...]
    nullable: frozenset[int]


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
    """One query block: its occurrences, with the predicates on them. Raises Unclear."""

    def __init__(self, node: exp.Expr, catalog: Catalog, lists: Sequence[tuple[Source, ...]]) -> None:
        self.catalog = catalog
        self.lists = lists
        self.conditions: list[_Condition] = []
        self.merges_names = False
        if any(part for name, part in node.args.items() if name not in _CLAUSES):
            raise Unclear
        self.occurrences = self._sources(node)
        where = node.args.get("where")
        if where:
            self._condition(where.this, self.occurrences)
        for condition in self.conditions:
            self._narrow(condition)

    def _sources(self, node: exp.Expr) -> list[Occurrence]:
        """The occurrences of a query block: the target of UPDATE and DELETE, and what stands in FROM."""
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

    def _joined(self, left: list[Occurrence], joins: Sequence[exp.Join]) -> list[Occurrence]:
        for join in joins:
            kind, side, method = (str(join.args.get(name) or "").upper() for name in ("kind", "side", "method"))
            if kind not in ("", "INNER", "CROSS", "OUTER") or side not in ("", "LEFT") or method not in ("", "NATURAL"):
                raise Unclear
            self.merges_names |= method == "NATURAL" or bool(join.args.get("using"))
            right = self._item(join.this)
            on = join.args.get("on")
            if on is not None:
                self._condition(on, right if side else left + right)
            if side:
                for occurrence in right:
                    occurrence.nullable = True
            left = left + right
        return left

    def _item(self, node: exp.Expr, *, is_group: bool = False) -> list[Occurrence]:
        """The occurrences of one item of FROM: a table, joins in a parenthesis, or something else that has columns."""
        joins = node.args.get("joins") or ()
        if isinstance(node, exp.Subquery) and isinstance(node.this, (exp.Table, exp.Subquery)):
            if node.args.get("alias") or (joins and not is_group):
                raise Unclear
            inner = node.this
            return self._joined(self._item(inner, is_group=True), inner.args.get("joins") or ())
        if joins and not is_group:
            raise Unclear  # SQLite does not nest joins without a parenthesis
        if isinstance(node, exp.Table) and any(part for name, part in node.args.items() if name not in _TABLE_PARTS):
            raise Unclear
        return [Occurrence(node.alias_or_name.lower(), self._table(node), node)]

    def _table(self, node: exp.Expr) -> Table | None:
        alias = node.args.get("alias")
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            return None
        if node.db.lower() not in ("", "main") or (alias is not None and alias.args.get("columns")):
            return None
        return self.catalog.table(node.name)

    def _condition(self, node: exp.Expr, occurrences: Sequence[Occurrence]) -> None:
        nullable = frozenset(id(occurrence) for occurrence in occurrences if occurrence.nullable)
        self.conditions.append(_Condition(node, tuple(occurrences), nullable))

    def _narrow(self, condition: _Condition) -> None:
        for conjunct in conjuncts(condition.node):
            for comparison in comparisons(conjunct, self.lists):
                occurrence, column = self._resolve(comparison)
                if column is None or occurrence not in condition.occurrences:
                    continue
                if comparison.rejects_null or id(occurrence) not in condition.nullable:
                    occurrence.predicates.append(Predicate(column, comparison.op, comparison.sources))

    def _resolve(self, comparison: Comparison) -> tuple[Occurrence, Column] | tuple[None, None]:
        """The occurrence and column that a name stands for, if that is certain."""
        node = comparison.column
        name, qualifier = node.name.lower(), node.table.lower()
        if node.args.get("db") or (self.merges_names and not qualifier):
            return None, None
        candidates = [one for one in self.occurrences if one.name == qualifier] if qualifier else self.occurrences
        if qualifier and len(candidates) > 1:
            return None, None
        found = [(one, column) for one in candidates if (column := _column(one.table, name, len(candidates) == 1))]
        return found[0] if len(found) == 1 else (None, None)


def _column(table: Table | None, name: str, alone: bool) -> Column | None:
    """The column of a table; a name of the hidden rowid only where no other occurrence could have it."""
    if table is None:
        return None
    if name not in table.by_name and alone and name in rowid_names(table):
        name = str(table.counted).lower()
        return table.by_name.get(name) or rowid_column(table)
    return table.by_name.get(name)


def rowid_column(table: Table) -> Column:
    """The hidden rowid as a column."""
    return Column(str(table.counted), -1, Affinity.INTEGER)


def scopes(tree: exp.Expr, catalog: Catalog, lists: Sequence[tuple[Source, ...]]) -> Iterator[Scope]:
    """The scopes of a statement that are clear."""
    for node in tree.find_all(exp.Select, exp.Update, exp.Delete):
        try:
            yield Scope(node, catalog, lists)
        except Unclear:
            continue
