"""Name resolution: which column of which FROM item a name in a query refers to, by SQLite's rules.

A name is looked up in the FROM of its own SELECT first, then in the aliases of that SELECT's result columns, and then
in the enclosing SELECTs, from the inside out:

    SELECT a.id AS n FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.a_id = a.id) ORDER BY n

    b.a_id    column of b
    a.id      in the subquery: not in its FROM, so the column of the outer a
    n         no column, but an alias: the expression a.id

What SQLite might take for something else than a column (a string in double quotes, the hidden rowid, a column of two
tables) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from sqlglot import exp

from rome.catalog.model import Catalog
from rome.compiled.ir import BoundExpr, ColumnExpr, FromItem, Query
from rome.fallback import UnsupportedConstruct
from rome.sql.analysis.resolve_names import ROWID_NAMES


@dataclass(frozen=True)
class Cte:
    """A query of WITH, and the names that it gives to its columns (None: the query's own)."""

    query: Query
    names: tuple[str, ...] | None


@dataclass(frozen=True)
class BindContext:
    """What the binding of all query blocks of a statement shares; a WITH makes another one with its queries."""

    catalog: Catalog
    bind_query: Callable[[BindContext, exp.Expr, BindScope | None], Query]
    ctes: Mapping[str, Cte] = field(default_factory=dict)
    """The queries of WITH that can be referred to here, by their names in lower case."""
    plus_marks: set[int] = field(default_factory=set)
    """The ids of the nodes that stand for the mark after a binary plus (see `plus_mark`)."""
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
        name, qualifier = node.name.lower(), node.table.lower()
        if node.args.get("db") or node.args.get("catalog"):
            raise UnsupportedConstruct(f"the name {node.sql(dialect='sqlite')}")
        found = self._own_column(name, qualifier)
        if found is not None:
            return found
        if not qualifier and self.aliases is not None and name in self.aliases:
            return self.aliases[name]
        if not qualifier and name in self.unbound_aliases:
            raise UnsupportedConstruct(f"the alias {node.name} before ORDER BY")
        if self.outer is None:
            raise UnsupportedConstruct(f"the name {node.sql(dialect='sqlite')}")
        return self.outer.resolve(node)

    def _own_column(self, name: str, qualifier: str) -> ColumnExpr | None:
        """Return the column of this SELECT's FROM with a name; None if there is none."""
        candidates = [item for item in self.items if not qualifier or item.name == qualifier]
        if qualifier and len(candidates) > 1:
            raise UnsupportedConstruct(f"two tables of the name {qualifier}")
        found = [(item, item.columns[at][1]) for item in candidates for at in item.places.get(name, ())]
        if len(found) > 1:
            raise UnsupportedConstruct(f"two columns of the name {name}")
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
                alias = item.table.rowid_alias.lower()
                return next(_supported(item, alias, column) for own, column in item.columns if own == alias)
        raise UnsupportedConstruct(f"the hidden {name}")

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
