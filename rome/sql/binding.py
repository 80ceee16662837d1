"""From paths to requests: the values of one execution put in the place of their sources.

Values are converted as SQLite converts them for a comparison with the column. Where that can't be told without SQLite
(a float beside a TEXT column), or a value is none that SQLite would take, the path widens to the whole table.
"""

from __future__ import annotations

from rome.catalog.affinity import SqlValue, Unsure, convert
from rome.catalog.model import Column, Table
from rome.errors import DataError
from rome.sql.access import Bound, Equal, KeyPath, Path, Scan, Within
from rome.sql.sources import Parameters, Source, Unknown, value_of
from rome.storage.keys import AFTER_NULL, encode, prefix_end
from rome.storage.store import Get, KeyRange, Lookup, Range, Request, index_space, rows_space

MOST_COMBINATIONS = 4096
"""How many combinations of IN lists of several columns are looked up one by one; beyond, columns are left out."""


def bind(path: Path, table: Table, parameters: Parameters) -> tuple[Request, ...]:
    """The requests that fetch a path's rows, and perhaps more; none if no row can match."""
    if isinstance(path, Scan):
        return (Range(rows_space(table.id)),)
    try:
        return _requests(path, table, parameters)
    except (Unknown, Unsure, DataError):
        return (Range(rows_space(table.id)),)


def _requests(path: KeyPath, table: Table, parameters: Parameters) -> tuple[Request, ...]:
    rows = rows_space(table.id)
    prefixes, is_whole = _prefixes(path.equal, parameters)
    if not prefixes:
        return ()
    if path.is_get and is_whole:
        return (Get(rows, tuple(prefixes)),)
    begin, end = _ends(path.within, parameters) if is_whole else (b"", None)
    found = [_range(prefix, begin, end) for prefix in prefixes]
    ranges = tuple(one for one in found if one[0] < one[1])
    if path.index is None:
        return tuple(Range(rows, *one) for one in ranges)
    return (Lookup(index_space(path.index.id), rows, ranges),) if ranges else ()


def _prefixes(equal: tuple[Equal, ...], parameters: Parameters) -> tuple[list[bytes], bool]:
    """The distinct key prefixes in order, and whether they have all columns (some may make too many combinations)."""
    lists = [_elements(term, parameters) for term in equal]
    if not all(lists):
        return [], True
    prefixes = [b""]
    for at, elements in enumerate(lists):
        if at and len(prefixes) * len(elements) > MOST_COMBINATIONS:
            return prefixes, False
        prefixes = [prefix + element for prefix in prefixes for element in elements]
    return prefixes, True


def _elements(term: Equal, parameters: Parameters) -> list[bytes]:
    values = [_value(source, term.column, parameters) for source in term.sources]
    return sorted({encode((value,)) for value in values if value is not None or term.is_null_equal})


def _value(source: Source, column: Column, parameters: Parameters) -> SqlValue:
    return convert(value_of(source, parameters), column.affinity)


def _ends(within: Within | None, parameters: Parameters) -> tuple[bytes, bytes | None]:
    """What follows the prefix at both ends of the ranges. An end of None is the prefix's own end."""
    if within is None:
        return b"", None
    begin, end = AFTER_NULL, None
    if within.lower is not None:
        begin = _cut(within.lower, within.column, parameters, behind=not within.lower.inclusive)
    if within.upper is not None:
        end = _cut(within.upper, within.column, parameters, behind=within.upper.inclusive)
    return (b"", b"") if b"" in (begin, end) else (begin, end)


def _cut(bound: Bound, column: Column, parameters: Parameters, *, behind: bool) -> bytes:
    """Where a range is cut: before all keys with this value, or behind them. Empty for NULL."""
    value = _value(bound.source, column, parameters)
    if value is None:
        return b""
    element = encode((value,))
    return prefix_end(element) if behind else element


def _range(prefix: bytes, begin: bytes, end: bytes | None) -> KeyRange:
    return prefix + begin, prefix_end(prefix) if end is None else prefix + end
