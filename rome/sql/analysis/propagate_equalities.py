"""What is known of one side of an equality is known of the other.

    c.pid = p.id and p.id = ?1          c.pid = ?1          one round fetches both
    c.pid = p.id                        c.pid = any p.id    of the rows that were fetched for p, a round later
    g.cid = c.pid and c.pid = p.id      g.cid = any p.id    in the same round as c
    c.pid = u.id, u a UNION of p and q  c.pid = any p.id or q.id

Nothing is entered where SQLite would convert what the key is made of (`comparing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rome.sql.analysis.affinity_rules import are_alike, gives_keys
from rome.sql.analysis.comparisons import Op
from rome.sql.analysis.extract_predicates import Equality
from rome.sql.analysis.relation import Predicate
from rome.sql.analysis.resolve_names import Found
from rome.sql.analysis.scopes import TableRef
from rome.sql.syntax.operands import FromColumn

MOST_PREDICATES = 64
"""How many predicates a table reference gets; a statement of many equal columns would have their square."""


def propagate(equalities: Sequence[Equality], is_steady: Callable[[TableRef], bool]) -> None:
    """Enter the predicates that follow from equalities with their table references.

    `is_steady`: whether the statement finds the rows of a table reference as they were fetched.
    """
    for equality in equalities:
        found = [_from_column(source, equality.target) for source in equality.sources]
        sources = tuple(source for source in found if source is not None)
        if len(sources) == len(found) and all(is_steady(source.table_ref) for source in equality.sources):
            _enter(equality.target.table_ref, Predicate(equality.target.column, Op.EQUAL, sources))
    pairs = [(each.sources[0], each.target) for each in equalities if len(each.sources) == 1]
    alike = [(source, target) for source, target in pairs if are_alike(source.column, target.column)]
    grows = True
    while grows:
        grows = sum(_carry_over(source, target) for source, target in alike) > 0


def _carry_over(source: Found, target: Found) -> int:
    """Enter what is known of the source's column with the target; how much of it is new."""
    about = (each for each in source.table_ref.predicates if each.column == source.column)
    known = [each for each in about if each.op is not Op.PRESENT]
    carried = [Predicate(target.column, Op.EQUAL if each.op is Op.SAME else each.op, each.sources) for each in known]
    return sum(_enter(target.table_ref, predicate) for predicate in carried)


def _enter(table_ref: TableRef, predicate: Predicate) -> bool:
    known = table_ref.predicates
    if predicate in known or len(known) >= MOST_PREDICATES:
        return False
    if any(isinstance(source, FromColumn) and source.table_ref == table_ref.number for source in predicate.sources):
        return False
    known.append(predicate)
    return True


def _from_column(source: Found, target: Found) -> FromColumn | None:
    table = source.table_ref.table
    assert table is not None
    position = table.position.get(source.column.name.lower())
    if position is None or not gives_keys(source.column, target.column):
        return None  # a hidden rowid or a virtual column is not in the row
    return FromColumn(source.table_ref.number, source.table_ref.name, source.column, position)
