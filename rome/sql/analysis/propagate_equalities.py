"""Propagate predicates across equalities: a predicate on one column also holds for every column equal to it.

    c.pid = p.id AND p.id = ?1                       c.pid = ?1          both are fetched in one round
    c.pid = p.id                                     c.pid = any p.id    of the rows fetched for p, a round later
    g.cid = c.pid AND c.pid = p.id                   g.cid = any p.id    in the same round as c
    c.pid = u.id, where u is a UNION of p and q      c.pid = any p.id or q.id

SQLite compares columns of different affinities by converting one side (https://www.sqlite.org/datatype3.html, 4.2): a
text compared with a number becomes a number, anything compared with TEXT becomes a text. A predicate is propagated
only if the indexed side is not the one that is converted.
"""

from __future__ import annotations

from rome.catalog.model import compares_unconverted, makes_lookup_keys
from rome.folding import fold_name
from rome.sql.analysis.comparisons import Op
from rome.sql.analysis.context import AnalysisContext
from rome.sql.analysis.relation import Predicate
from rome.sql.analysis.resolve_names import ResolvedColumn
from rome.sql.analysis.scopes import TableRef
from rome.sql.syntax.operands import FromColumn

MAX_PREDICATES = 64
"""The greatest number of predicates of a table reference: n equal columns would otherwise have n * n of them."""


def propagate_equalities(context: AnalysisContext) -> None:
    """Add the predicates that follow from equalities to their table references."""
    unconverted: list[tuple[ResolvedColumn, ResolvedColumn]] = []
    for equality in context.equalities:
        target, sources = equality.target, equality.sources
        keys = []
        for source in sources:
            key = _key_from(source, target)
            if key is None or not source.table_ref.stable:
                break
            keys.append(key)
        else:
            _add(target.table_ref, Predicate(target.column, Op.EQUAL, tuple(keys)))
        if len(sources) == 1 and compares_unconverted(sources[0].column, target.column):
            unconverted.append((sources[0], target))
    grows = True
    while grows:
        grows = False
        for source, target in unconverted:
            grows |= _copy_predicates(source, target)


def _copy_predicates(source: ResolvedColumn, target: ResolvedColumn) -> bool:
    """Add the predicates on the source's column to the target's; return True if one of them is new."""
    grows = False
    for each in list(source.table_ref.predicates):
        if each.column == source.column and each.op is not Op.NOT_NULL:
            op = Op.EQUAL if each.op is Op.IS else each.op
            grows |= _add(target.table_ref, Predicate(target.column, op, each.sources))
    return grows


def _add(table_ref: TableRef, predicate: Predicate) -> bool:
    """Add a predicate, unless it is known or refers to the table reference's own rows; return True if it is new."""
    known = table_ref.predicates
    if predicate in known or len(known) >= MAX_PREDICATES:
        return False
    for source in predicate.sources:
        if isinstance(source, FromColumn) and source.table_ref == table_ref.number:
            return False
    known.append(predicate)
    return True


def _key_from(source: ResolvedColumn, target: ResolvedColumn) -> FromColumn | None:
    """Return the values of the source's column as keys of the target's; None if they are none."""
    table = source.table_ref.table
    assert table is not None
    position = table.position.get(fold_name(source.column.name))
    if position is None or not makes_lookup_keys(source.column, target.column):
        return None  # a hidden rowid or a virtual column is not stored in the row
    return FromColumn(source.table_ref.number, source.table_ref.name, source.column, position)
