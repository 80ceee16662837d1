"""What one column says of another when they are equal: which keys to look for, so that SQLite would find the same rows.

SQLite compares columns of different affinities by converting one side (https://www.sqlite.org/datatype3.html, 4.2): a
text beside a number as a number, anything beside a TEXT as text. Keys can be made of the values on the other side only
where it is not the indexed side that is converted.
"""

from __future__ import annotations

from rome.catalog.model import Column
from rome.values import Affinity

_NUMBERS = frozenset({Affinity.NUMERIC, Affinity.INTEGER, Affinity.REAL})


def are_alike(one: Column, other: Column) -> bool:
    """Whether the columns are compared by their values as they are; then what is known of one is known of the other."""
    return _is_binary(one, other) and (
        one.affinity is other.affinity or (one.affinity in _NUMBERS and other.affinity in _NUMBERS)
    )


def gives_keys(source: Column, target: Column) -> bool:
    """Whether values of `source`, converted to the affinity of `target`, are the keys of all equal values of `target`.

    A text of numbers has many forms, so a TEXT column is not looked up by numbers; nor one without affinity by others.
    """
    if target.affinity in _NUMBERS:
        return _is_binary(source, target)
    if target.affinity is Affinity.TEXT:
        return _is_binary(source, target) and source.affinity in (Affinity.TEXT, Affinity.BLOB)
    return are_alike(source, target)


def _is_binary(one: Column, other: Column) -> bool:
    return one.collation == other.collation == "BINARY"
