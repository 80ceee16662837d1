"""Access paths: how the rows of one table reference are found that may matter to a statement.

    full scan of t                                       all rows
    primary key lookup on t (id = ?1)                    rows by their key, or its first columns
    primary key range scan on t (id > ?1)                a range of keys
    index lookup on t using i (a = ?1)                   by the columns of an index
    index range scan on t using i (a = ?1 AND b > ?2)    by a range of an index
    index scan on t using i                              all entries, in their order, or of a partial index
    multi-index OR on t using i (a = ?1), j (b = ?2)     the union of several

EXPLAIN and the golden tests show a path in these words (`rome.session.explain` has the whole grammar).

A path is made once for a statement's text and a catalog, is immutable, and holds no values: its terms have *sources* (a
constant, a parameter, a column of another table reference), and `bind` puts the values of an execution in their place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rome.catalog.model import Column, Index
from rome.sql.syntax.operands import KeySource, Pattern, Source, WithoutAffinity, may_match_null

Rank = tuple[bool, bool, float, bool]
"""(rows are got by their keys, keys are unique, number of terms, it is the row key): the greatest is the best."""


@dataclass(frozen=True, slots=True)
class EqualTerm:
    """A term `column = source`, or `column IN (sources)`; with no sources, nothing matches.

    `is_null_equal`: NULL matches NULL, as with IS. Otherwise a source that is NULL matches nothing. `source_refs`: the
    table references that the values come from, of sources that are columns.
    """

    column: Column
    sources: tuple[KeySource, ...]
    is_null_equal: bool = False
    source_refs: tuple[int, ...] = field(default=(), compare=False)

    @property
    def is_constant(self) -> bool:
        """Return True if the column has the same value in all rows of the path."""
        return len(self.sources) == 1 and not may_match_null(self.sources[0])

    def __str__(self) -> str:
        if self.is_null_equal:
            return f"{self.column.name} IS {self.sources[0]}"
        distinct = list(dict.fromkeys(map(str, self.sources)))
        if len(distinct) == 1:
            return f"{_left_side(self.column, self.sources[0])} = {distinct[0]}"
        shown = distinct[:3]
        if len(distinct) > len(shown):
            shown.append(f"… {len(distinct)} values")
        return f"{self.column.name} IN ({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class Bound:
    """One end of a range."""

    source: KeySource
    inclusive: bool


@dataclass(frozen=True, slots=True)
class RangeTerm:
    """A term `column > lower AND column < upper`, or with one bound; without any, `column IS NOT NULL`."""

    column: Column
    lower: Bound | None = None
    upper: Bound | None = None

    @property
    def rejects_null(self) -> bool:
        """Return True if the term is certainly not true of NULL."""
        bounds = [bound for bound in (self.lower, self.upper) if bound is not None]
        return not bounds or not all(may_match_null(bound.source) for bound in bounds)

    def __str__(self) -> str:
        ends = []
        for bound, operator in ((self.lower, ">"), (self.upper, "<")):
            if bound is not None:
                ends.append(f"{_left_side(self.column, bound.source)} {operator}{'=' * bound.inclusive} {bound.source}")
        return " AND ".join(ends) or f"{self.column.name} IS NOT NULL"


@dataclass(frozen=True, slots=True)
class PrefixTerm:
    """A term `column LIKE pattern` or GLOB: a TEXT column begins with the literal prefix of the pattern."""

    column: Column
    pattern: Pattern

    def __str__(self) -> str:
        return f"{self.column.name} {self.pattern}"


@dataclass(frozen=True, slots=True)
class FullScan:
    """All rows of the table."""

    table: str
    depends_on: ClassVar[frozenset[int]] = frozenset()
    rank: ClassVar[Rank] = (False, False, 0.0, False)

    def describe(self, table: str) -> str:
        """Return the path's text, with a table's name and perhaps alias."""
        return f"full scan of {table}"

    def __str__(self) -> str:
        return self.describe(self.table)


@dataclass(frozen=True, slots=True)
class KeyPath:
    """A lookup or range scan by the row key, or by an index.

    `index`: None for the row key. `equal`: terms on the first columns of the key, in their order. `range_term`: a term
    on the column after these. `is_get`: all columns of the row key have an equal term, so rows are got by their keys.
    `is_unique`: a key has one row at most, unless a value in it is NULL. `depends_on`: the table references whose rows
    must be fetched before the keys are known. `rank`: of paths with the same cost, the one with the greatest is chosen.
    """

    table: str
    index: Index | None
    equal: tuple[EqualTerm, ...]
    range_term: RangeTerm | PrefixTerm | None = None
    is_get: bool = False
    is_unique: bool = False
    rank: Rank = (False, False, 0.0, False)
    depends_on: frozenset[int] = frozenset()

    @property
    def terms(self) -> str:
        """Return the terms as a condition in SQL."""
        return " AND ".join(str(term) for term in (*self.equal, self.range_term) if term is not None)

    def describe(self, table: str) -> str:
        """Return the path's text, with a table's name and perhaps alias."""
        method = "range scan" if self.range_term else "lookup" if self.equal else "scan"
        return _describe(table, self.index, method, self.terms)

    def describe_source(self, table: str) -> str:
        """Return what the path reads: `primary key of t`, or `index i of t (a = ?1)`."""
        return _describe_source(table, self.index, self.terms)

    def __str__(self) -> str:
        return self.describe(self.table)


@dataclass(frozen=True, slots=True)
class UnionPath:
    """A union of paths, one for each alternative of an OR."""

    table: str
    paths: tuple[KeyPath, ...]

    @property
    def index(self) -> Index | None:
        """Return the index of the paths, if they use the same one; None for the row key."""
        return self.paths[0].index

    @property
    def uses_one_index(self) -> bool:
        """Return True if all paths use the same index, or all the row key."""
        return all(path.index == self.index for path in self.paths)

    @property
    def depends_on(self) -> frozenset[int]:
        """Return the table references whose rows must be fetched before the keys are known."""
        return frozenset().union(*(path.depends_on for path in self.paths))

    @property
    def rank(self) -> Rank:
        """Return the rank of the path among those of the same cost: that of its worst part."""
        return min(path.rank for path in self.paths)

    @property
    def terms(self) -> str:
        """Return the terms as a condition in SQL."""
        return " OR ".join(path.terms for path in self.paths)

    def describe(self, table: str) -> str:
        """Return the path's text, with a table's name and perhaps alias."""
        if self.uses_one_index:
            method = "range scan" if any(path.range_term for path in self.paths) else "lookup"
            return _describe(table, self.index, method, self.terms)
        keys = (f"{_index_name(path.index) if path.index else 'primary key'} ({path.terms})" for path in self.paths)
        return f"multi-index OR on {table} using {', '.join(keys)}"

    def describe_source(self, table: str) -> str:
        """Return what the path reads: `primary key of t (id < ?1 OR id > ?2)`, or an index."""
        return _describe_source(table, self.index, self.terms)

    def __str__(self) -> str:
        return self.describe(self.table)


Path = FullScan | KeyPath | UnionPath


@dataclass(frozen=True, slots=True)
class Limit:
    """Only the first rows of a path in the order of its keys; as many as the sum of `counts`.

    `backward`: the last rows, in descending order. `grows`: that many results are needed, which may take more rows.
    `presorted`: the order asked for sorts by more than the keys do, which have the rows sorted by these columns only,
    so that an incremental sort follows (`rome.sql.planner.incremental_sort`). Empty if the keys have the whole order.
    """

    counts: tuple[Source, ...]
    backward: bool = False
    grows: bool = False
    presorted: tuple[Column, ...] = ()

    def __str__(self) -> str:
        how = "backward, " * self.backward + "incremental sort, " * bool(self.presorted)
        return f"{how}limit {' + '.join(map(str, self.counts))}"


def _describe(table: str, index: Index | None, method: str, terms: str) -> str:
    shown = f" ({terms})" if terms else ""
    if index is None:
        return f"primary key {method} on {table}{shown}"
    return f"index {method} on {table} using {_index_name(index)}{shown}"


def _describe_source(table: str, index: Index | None, terms: str) -> str:
    name = "primary key" if index is None else f"index {index.name}" if index.name else _index_name(index)
    return f"{name} of {table}" + (f" ({terms})" if terms else "")


def _index_name(index: Index) -> str:
    return index.name or f"index on {', '.join(column or 'expression' for column in index.columns)}"


def _left_side(column: Column, source: KeySource) -> str:
    """Return what a term compares with a source: the column, or the column with a value in place of NULL."""
    if isinstance(source, WithoutAffinity) and source.null_as:
        return f"coalesce({column.name}, {source.null_as})"
    return column.name
