"""Access paths: how the rows of one table that can matter to a statement are found. Immutable, and without values.

A path is made once for a statement's text and a catalog. It holds sources; `binding` puts the values of an execution in
their place. Its text, `services by services_uuid_idx (uuid = ?1)`, is what EXPLAIN and the golden tests show.
"""

from __future__ import annotations

from dataclasses import dataclass

from rome.catalog.model import Column, Index
from rome.sql.syntax.operands import FromColumn, KeySource, Pattern, Source, WithoutAffinity, may_match_null


@dataclass(frozen=True, slots=True)
class EqualTerm:
    """The column has one of the values (none at all, if there are no sources)."""

    column: Column
    sources: tuple[KeySource, ...]
    is_null_equal: bool = False
    """Whether NULL finds NULL, as with IS. Else a source that is NULL finds nothing."""

    @property
    def source_refs(self) -> tuple[int, ...]:
        """The table references whose rows the values come from, if they come from rows."""
        return tuple(source.table_ref for source in self.sources if isinstance(source, FromColumn))

    @property
    def is_constant(self) -> bool:
        """Whether the column has the same value in all rows, if the source is one value."""
        return len(self.sources) == 1 and not may_match_null(self.sources[0])

    def __str__(self) -> str:
        if self.is_null_equal:
            return f"{self.column.name} IS {self.sources[0]}"
        distinct = list(dict.fromkeys(map(str, self.sources)))
        if len(distinct) == 1:
            return f"{_compared(self.column, self.sources[0])} = {distinct[0]}"
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
    """The column's value lies between two bounds, or on one side of one; without any, it is not NULL."""

    column: Column
    lower: Bound | None = None
    upper: Bound | None = None

    @property
    def rejects_null(self) -> bool:
        """Whether it certainly does not hold of NULL."""
        bounds = [bound for bound in (self.lower, self.upper) if bound is not None]
        return not bounds or not all(may_match_null(bound.source) for bound in bounds)

    def __str__(self) -> str:
        ends = []
        for bound, operator in ((self.lower, ">"), (self.upper, "<")):
            if bound is not None:
                ends.append(f"{_compared(self.column, bound.source)} {operator}{'=' * bound.inclusive} {bound.source}")
        return " AND ".join(ends) or f"{self.column.name} IS NOT NULL"


@dataclass(frozen=True, slots=True)
class PrefixTerm:
    """The column, of TEXT affinity, has a text (or a blob) that begins as a pattern does."""

    column: Column
    pattern: Pattern

    def __str__(self) -> str:
        return f"{self.column.name} {self.pattern}"


@dataclass(frozen=True, slots=True)
class FullScan:
    """All rows of the table."""

    table: str

    def __str__(self) -> str:
        return f"{self.table} whole"


@dataclass(frozen=True, slots=True)
class KeyPath:
    """The rows in some ranges of the row key, or of an index.

    `equal` speaks of the first columns of the key, in their order; `within` of the next one.
    """

    table: str
    index: Index | None
    """None: the row key."""
    equal: tuple[EqualTerm, ...]
    within: RangeTerm | PrefixTerm | None = None
    is_get: bool = False
    """Whether all columns of the row key are equal to something: then rows are got, not ranged over."""

    @property
    def is_unique(self) -> bool:
        """Whether there is one row at most for each key, unless a value in it is NULL."""
        index = self.index
        return self.is_get or (index is not None and index.unique and len(self.equal) >= len(index.columns))

    @property
    def depends_on(self) -> frozenset[int]:
        """The table references whose rows must be there before the keys are known."""
        return frozenset(table_ref for term in self.equal for table_ref in term.source_refs)

    @property
    def terms(self) -> str:
        """What the columns are compared with."""
        return " AND ".join(str(term) for term in (*self.equal, self.within) if term is not None)

    @property
    def by(self) -> str:
        """What the rows are found by, in words."""
        if self.index is None:
            return "key"
        return self.index.name or f"the index of {', '.join(column or '' for column in self.index.columns)}"

    def __str__(self) -> str:
        return f"{self.table} by {self.by}" + (f" ({self.terms})" if self.terms else "")


@dataclass(frozen=True, slots=True)
class UnionPath:
    """The rows that one path at least leads to: what OR asks for."""

    table: str
    paths: tuple[KeyPath, ...]

    @property
    def index(self) -> Index | None:
        """The index of all paths, if they are all by one; None for the row key."""
        return self.paths[0].index

    @property
    def uses_one_index(self) -> bool:
        """Whether all paths are by the same index, or all by the row key."""
        return all(path.index == self.index for path in self.paths)

    @property
    def depends_on(self) -> frozenset[int]:
        """The table references whose rows must be there before the keys are known."""
        return frozenset().union(*(path.depends_on for path in self.paths))

    def __str__(self) -> str:
        if self.uses_one_index:
            return f"{self.table} by {self.paths[0].by} ({' OR '.join(path.terms for path in self.paths)})"
        return f"{self.table} by {' OR '.join(f'{path.by} ({path.terms})' for path in self.paths)}"


Path = FullScan | KeyPath | UnionPath


@dataclass(frozen=True, slots=True)
class Limit:
    """Only the first rows of a path in the order of its keys, or its reverse; as many as the sum of `counts`.

    `grows`: that many rows are to be made of them, which may take more of them.
    """

    counts: tuple[Source, ...]
    backward: bool = False
    grows: bool = False

    def __str__(self) -> str:
        shown = f"{'last' if self.backward else 'first'} {' + '.join(map(str, self.counts))}"
        return f"{shown}, and on while too few come out" if self.grows else shown


def _compared(column: Column, key: KeySource) -> str:
    """What is compared with a key: the column, perhaps with something in the place of NULL."""
    return (
        f"coalesce({column.name}, {key.null_as})" if isinstance(key, WithoutAffinity) and key.null_as else column.name
    )
