"""From paths to requests: the values of one execution put in the place of their sources.

Values are converted as SQLite converts them for a comparison with the column. Where that can't be told without SQLite
(a float beside a TEXT column), or a value is none that SQLite would take, the path widens to the whole table. So it
does where rows that were fetched before give so many keys that to read all rows is less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rome.catalog.affinity import SqlValue, Unsure, convert
from rome.catalog.model import Column, Table
from rome.errors import DataError
from rome.sql.access import Bound, Equal, KeyPath, Path, Within
from rome.sql.comparing import are_alike
from rome.sql.read_plan import Step
from rome.sql.sources import FromColumn, Key, Parameters, Unknown, value_of
from rome.storage.keys import AFTER_NULL, encode, prefix_end
from rome.storage.store import Get, KeyRange, Lookup, Range, Request, index_space, rows_space

MOST_COMBINATIONS = 4096
"""How many combinations of the values of several columns are looked up one by one; beyond, columns are left out."""

MOST_KEYS = 4096
"""How many keys from other rows are looked up one by one; beyond, the whole table is read."""

Row = Sequence[SqlValue]
RowsOf = Callable[[int], Iterable[Row]]
"""Occurrence → its rows: their values in the order of the table's stored columns."""


def bind(path: Path, table: Table, parameters: Parameters) -> tuple[Request, ...]:
    """The requests that fetch a path's rows, and perhaps more; none if no row can match."""
    return _Binding(table, parameters, _no_rows).requests(path)


def bind_step(step: Step, parameters: Parameters, rows_of: RowsOf) -> tuple[Request, ...]:
    """The requests that fetch a step's rows, and perhaps more; none if no row can match.

    `rows_of` is asked for the occurrences in `step.after`: for every row that was fetched for them, and, where the
    transaction has changed rows of their tables, for these rows as they are now.
    """
    return _Binding(step.table, parameters, rows_of).requests(step.path)


def _no_rows(_: int) -> Iterable[Row]:
    raise Unknown


class _TooMany(Exception):
    """There are so many keys that to read the whole table is less."""


@dataclass(frozen=True, slots=True)
class _Binding:
    table: Table
    parameters: Parameters
    rows_of: RowsOf

    def requests(self, path: Path) -> tuple[Request, ...]:
        if isinstance(path, KeyPath):
            try:
                return self._requests(path)
            except (Unknown, Unsure, DataError, _TooMany):
                pass
        return (Range(rows_space(self.table.id)),)

    def _requests(self, path: KeyPath) -> tuple[Request, ...]:
        rows = rows_space(self.table.id)
        prefixes, is_whole = self._prefixes(path.equal)
        if not prefixes:
            return ()
        if path.is_get and is_whole:
            return (Get(rows, tuple(prefixes)),)
        begin, end = self._ends(path.within) if is_whole else (b"", None)
        found = [_range(prefix, begin, end) for prefix in prefixes]
        ranges = tuple(one for one in found if one[0] < one[1])
        if path.index is None:
            return tuple(Range(rows, *one) for one in ranges)
        return (Lookup(index_space(path.index.id), rows, ranges),) if ranges else ()

    def _prefixes(self, equal: tuple[Equal, ...]) -> tuple[list[bytes], bool]:
        """The distinct key prefixes in order, and whether they have all columns (they may make too many combinations).

        Columns side by side whose values come from the same rows have only the combinations that are in these rows.
        """
        groups = [tuple(terms) for _, terms in groupby(equal, _rows_behind)]
        lists = [self._elements(terms) for terms in groups]
        if not all(lists):
            return [], True
        prefixes = [b""]
        for at, elements in enumerate(lists):
            if at and len(prefixes) * len(elements) > MOST_COMBINATIONS:
                return prefixes, False
            prefixes = [prefix + element for prefix in prefixes for element in elements]
        return prefixes, True

    def _elements(self, terms: tuple[Equal, ...]) -> list[bytes]:
        """The keys of one column's values, or of the combinations of values that several have in the same rows."""
        occurrence = _rows_behind(terms[0])
        if occurrence >= 0:
            return self._from_rows(occurrence, terms)
        (term,) = terms
        values = [self._value(source, term.column) for source in term.sources]
        return sorted({encode((value,)) for value in values if value is not None or term.is_null_equal})

    def _from_rows(self, occurrence: int, terms: tuple[Equal, ...]) -> list[bytes]:
        columns = [(source, term.column) for term in terms for source in term.sources if isinstance(source, FromColumn)]
        places = [source.position for source, _ in columns]
        combinations = {tuple([row[place] for place in places]) for row in self.rows_of(occurrence)}
        if len(combinations) > MOST_KEYS:
            raise _TooMany
        keys = set()
        for values in combinations:
            if None not in values:
                pairs = zip(values, columns, strict=True)
                keys.add(encode([_converted(value, source.column, target) for value, (source, target) in pairs]))
        return sorted(keys)

    def _value(self, source: Key, column: Column) -> SqlValue:
        if isinstance(source, FromColumn):
            raise Unknown
        return convert(value_of(source, self.parameters), column.affinity)

    def _ends(self, within: Within | None) -> tuple[bytes, bytes | None]:
        """What follows the prefix at both ends of the ranges. An end of None is the prefix's own end."""
        if within is None:
            return b"", None
        begin, end = AFTER_NULL, None
        if within.lower is not None:
            begin = self._cut(within.lower, within.column, behind=not within.lower.inclusive)
        if within.upper is not None:
            end = self._cut(within.upper, within.column, behind=within.upper.inclusive)
        return (b"", b"") if b"" in (begin, end) else (begin, end)

    def _cut(self, bound: Bound, column: Column, *, behind: bool) -> bytes:
        """Where a range is cut: before all keys with this value, or behind them. Empty for NULL."""
        value = self._value(bound.source, column)
        if value is None:
            return b""
        element = encode((value,))
        return prefix_end(element) if behind else element


def _rows_behind(term: Equal) -> int:
    """The occurrence whose rows a column's values come from; a number below 0 of its own if they are not from rows."""
    source = term.sources[0] if term.sources else None
    return source.occurrence if isinstance(source, FromColumn) else -1 - abs(term.column.cid)


def _converted(value: SqlValue, source: Column, target: Column) -> SqlValue:
    """The value of one column as SQLite compares it with another."""
    return value if are_alike(source, target) else convert(value, target.affinity)


def _range(prefix: bytes, begin: bytes, end: bytes | None) -> KeyRange:
    return prefix + begin, prefix_end(prefix) if end is None else prefix + end
