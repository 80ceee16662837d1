"""Bare columns: what a SELECT with aggregates may name beside its group keys.

A column that is neither a group key nor inside of an aggregate has the value of one of the group's rows; which one is
SQLite's choice. It is certain where the group keys hold the whole row key of the column's table: then all rows of the
group have the same row of that table, and the column is as good as a group key.
"""

from __future__ import annotations

from rome.compiled.ir.expressions import Aggregate, ColumnExpr, Exists, InQuery, Scalar, Term, rewritten
from rome.compiled.ir.queries import Select, Source, sources_of
from rome.fallback import UnsupportedConstruct


def with_determined_columns(select: Select) -> Select:
    """The same, with every bare column that is determined by the group keys among them. Raises UnsupportedConstruct."""
    keys = select.group or ()
    sources = {source.id: source for join in select.joins for source in sources_of(join.item)}
    later = [output.term for output in select.outputs] + list(select.having) + [order.term for order in select.order]
    added: dict[ColumnExpr, None] = {}
    for term in later:
        for column in _bare_columns(term, keys, frozenset(sources)):
            if not _determined(sources[column.source], keys):
                raise UnsupportedConstruct("a bare column beside aggregates")
            added[column] = None
    if added:
        select.group = (*keys, *added)
    return select


def _bare_columns(term: Term, keys: tuple[Term, ...], own: frozenset[int]) -> list[ColumnExpr]:
    found: list[ColumnExpr] = []

    def look(part: Term) -> Term | None:
        if part in keys or isinstance(part, Aggregate):
            return part
        if isinstance(part, (Scalar, Exists, InQuery)) and part.query.free & own:
            raise UnsupportedConstruct("a correlated subquery beside aggregates")
        if isinstance(part, ColumnExpr) and part.source in own:
            found.append(part)
        return None

    rewritten(term, look)
    return found


def _determined(source: Source, keys: tuple[Term, ...]) -> bool:
    table = source.table
    if table is None or not table.key:
        return False
    positions = {key.at for key in keys if isinstance(key, ColumnExpr) and key.source == source.id}
    return positions.issuperset(table.position[name.lower()] for name in table.key)


def aggregates_of(select: Select) -> list[Aggregate]:
    """The distinct aggregates of a SELECT."""
    found: dict[Aggregate, None] = {}

    def look(part: Term) -> Term | None:
        if isinstance(part, Aggregate):
            found[part] = None
            return part
        return None

    for term in [output.term for output in select.outputs] + list(select.having):
        rewritten(term, look)
    for order in select.order:
        rewritten(order.term, look)
    return list(found)
