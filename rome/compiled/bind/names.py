"""Names: which column of which source a name in a query stands for, by SQLite's rules.

A name is looked up in the FROM of its own SELECT first, and then further out, SELECT by SELECT. Behind the columns of
FROM stand the aliases of the result's columns. What SQLite would take for something else than a plain column (a
string in double quotes, the hidden rowid, a column of two tables) is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from rome.compiled.ir.expressions import ColumnExpr, Term
from rome.compiled.ir.queries import Source
from rome.fallback import UnsupportedConstruct
from rome.sql.analysis.resolve_names import ROWID_NAMES


@dataclass
class BindScope:
    """The names that can be used in one SELECT."""

    outer: BindScope | None = None
    sources: list[Source] = field(default_factory=list)
    aliases: dict[str, Term] | None = None
    """Aliases of the result's columns, as soon as they are known; before, using one is refused."""
    coming: frozenset[str] = frozenset()
    """Names of aliases that are not known yet."""

    def resolve(self, node: exp.Column) -> Term:
        """The term that a name stands for."""
        name, qualifier = node.name.lower(), node.table.lower()
        if node.args.get("db") or node.args.get("catalog"):
            raise UnsupportedConstruct(f"the name {node.sql(dialect='sqlite')}")
        found = self._own(name, qualifier)
        if found is not None:
            return found
        if not qualifier and self.aliases is not None and name in self.aliases:
            return self.aliases[name]
        if not qualifier and name in self.coming:
            raise UnsupportedConstruct(f"the alias {node.name} before ORDER BY")
        if self.outer is None:
            raise UnsupportedConstruct(f"the name {node.sql(dialect='sqlite')}")
        return self.outer.resolve(node)

    def _own(self, name: str, qualifier: str) -> ColumnExpr | None:
        candidates = [source for source in self.sources if not qualifier or source.name == qualifier]
        if qualifier and len(candidates) > 1:
            raise UnsupportedConstruct(f"two tables of the name {qualifier}")
        found = [(source, source.columns[at][1]) for source in candidates for at in source.places.get(name, ())]
        if len(found) > 1:
            raise UnsupportedConstruct(f"two columns of the name {name}")
        if found:
            source, column = found[0]
            return _usable(source, name, column)
        if name in ROWID_NAMES and candidates:
            return self._rowid(candidates, name)
        return None

    def _rowid(self, candidates: list[Source], name: str) -> ColumnExpr:
        """The INTEGER PRIMARY KEY, by another name."""
        if len(candidates) == 1:
            source = candidates[0]
            if source.table is not None and source.table.rowid_alias is not None:
                alias = source.table.rowid_alias.lower()
                return next(_usable(source, alias, column) for own, column in source.columns if own == alias)
        raise UnsupportedConstruct(f"the hidden {name}")

    def star(self, qualifier: str) -> list[tuple[str | None, ColumnExpr]]:
        """The columns of `*`, or of `qualifier.*`, with their names."""
        candidates = [source for source in self.sources if not qualifier or source.name == qualifier]
        if not candidates or (qualifier and len(candidates) > 1):
            raise UnsupportedConstruct(f"{qualifier}.*")
        return [(name, _usable(source, str(name), column)) for source in candidates for name, column in source.columns]

    def has_column(self, name: str) -> bool:
        """Whether the name, in lower case, could be a column here or further out."""
        own = any(name in source.places for source in self.sources)
        return own or (self.outer is not None and self.outer.has_column(name))


def _usable(source: Source, name: str, column: ColumnExpr | str) -> ColumnExpr:
    if isinstance(column, str):
        raise UnsupportedConstruct(f"{column} {source.name}.{name}")
    return column
