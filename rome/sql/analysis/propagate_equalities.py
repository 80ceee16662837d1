"""What is known of one side of an equality is known of the other.

    c.pid = p.id and p.id = ?1          c.pid = ?1          one round fetches both
    c.pid = p.id                        c.pid = any p.id    of the rows that were fetched for p, a round later
    g.cid = c.pid and c.pid = p.id      g.cid = any p.id    in the same round as c
    c.pid = u.id, u a UNION of p and q  c.pid = any p.id or q.id

Nothing is entered where SQLite would convert what the key is made of (`comparing`).


What one column says of another when they are equal: which keys to look for, so that SQLite would find the same rows.

SQLite compares columns of different affinities by converting one side (https://www.sqlite.org/datatype3.html, 4.2): a
text beside a number as a number, anything beside a TEXT as text. Keys can be made of the values on the other side only
where it is not the indexed side that is converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rome.catalog.model import Column
from rome.sql.analysis.comparisons import Op
from rome.sql.analysis.extract_predicates import Equality
from rome.sql.analysis.relation import Predicate
from rome.sql.analysis.resolve_names import Found
from rome.sql.analysis.scopes import TableRef
from rome.sql.syntax.operands import FromColumn
from rome.values import Affinity

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
    alike = [(source, target) for source, target in pairs if compares_unconverted(source.column, target.column)]
    grows = True
    while grows:
        grows = sum(_carry_over(source, target) for source, target in alike) > 0


def _carry_over(source: Found, target: Found) -> int:
    """Enter what is known of the source's column with the target; how much of it is new."""
    about = (each for each in source.table_ref.predicates if each.column == source.column)
    known = [each for each in about if each.op is not Op.NOT_NULL]
    carried = [Predicate(target.column, Op.EQUAL if each.op is Op.IS else each.op, each.sources) for each in known]
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
    if position is None or not makes_lookup_keys(source.column, target.column):
        return None  # a hidden rowid or a virtual column is not in the row
    return FromColumn(source.table_ref.number, source.table_ref.name, source.column, position)


_NUMBERS = frozenset({Affinity.NUMERIC, Affinity.INTEGER, Affinity.REAL})


def compares_unconverted(one: Column, other: Column) -> bool:
    """Whether the columns are compared by their values as they are; then what is known of one is known of the other."""
    return _is_binary(one, other) and (
        one.affinity is other.affinity or (one.affinity in _NUMBERS and other.affinity in _NUMBERS)
    )


def makes_lookup_keys(source: Column, target: Column) -> bool:
    """Whether values of `source`, converted to the affinity of `target`, are the keys of all equal values of `target`.

    A text of numbers has many forms, so a TEXT column is not looked up by numbers; nor one without affinity by others.
    """
    if target.affinity in _NUMBERS:
        return _is_binary(source, target)
    if target.affinity is Affinity.TEXT:
        return _is_binary(source, target) and source.affinity in (Affinity.TEXT, Affinity.BLOB)
    return compares_unconverted(source, target)


def _is_binary(one: Column, other: Column) -> bool:
    return one.collation == other.collation == "BINARY"
