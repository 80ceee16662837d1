"""Comparisons of two columns: when the values of one are, converted, the keys of all equal values of the other.

SQLite compares columns of different affinities by converting one side: a text with a number as a number, anything with
a TEXT column as text. A foreign key compares by the affinity and the collation of the parent's column. An index of the
other column can be searched only where it is not the indexed side that is converted.

    parent INTEGER, child INTEGER     1 finds 1, and 1.0 as stored by REAL
    parent INTEGER, child TEXT        the children '1', '01' and ' 1' all refer to 1: no key finds them

Source: https://www.sqlite.org/datatype3.html, section 4.2; https://www.sqlite.org/foreignkeys.html, section 3.
"""

from __future__ import annotations

from rome.catalog.model import Column
from rome.values import NUMERIC_AFFINITIES, Affinity


def compares_unconverted(one: Column, other: Column) -> bool:
    """Return True if SQLite compares the columns without a conversion: a predicate on one then holds for the other."""
    return _are_binary(one, other) and _are_alike(one.affinity, other.affinity)


def makes_lookup_keys(source: Column, target: Column) -> bool:
    """Return True if a value of `source`, converted for `target`, is the key of all values that equal it."""
    return _are_binary(source, target) and _converts_to_keys(source.affinity, target.affinity)


def finds_children(parent: Column, child: Column) -> bool:
    """Return True if the value of a parent, converted for the child, finds all that refer to it in an index.

    The collations of the index are another matter.
    """
    return _converts_to_keys(parent.affinity, child.affinity)


def _are_binary(one: Column, other: Column) -> bool:
    return one.collation == other.collation == "BINARY"


def _are_alike(one: Affinity, other: Affinity) -> bool:
    return one is other or (one in NUMERIC_AFFINITIES and other in NUMERIC_AFFINITIES)


def _converts_to_keys(source: Affinity, target: Affinity) -> bool:
    """Return True unless equal values of `target` may have several keys: the texts of one number, for example."""
    if target in NUMERIC_AFFINITIES:
        return True
    if target is Affinity.TEXT:
        return source in (Affinity.TEXT, Affinity.BLOB)
    return source is target
