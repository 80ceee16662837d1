"""Reading texts that SQLite has computed and that are not UTF-8, which a driver can't decode.

SELECT lower(x'ff')                    UnicodeDecodeError
ComputedColumns(["lower(x'ff')"], …)   selects the bytes as a blob, and the type of the term beside it
"""

from __future__ import annotations

from collections.abc import Sequence, Set

from rome.values import SqlValue, text_of

Row = tuple[SqlValue, ...]


class ComputedColumns:
    """Result columns, some of which may be texts that are not UTF-8: the SQL that selects them, and how to read it."""

    def __init__(self, terms: Sequence[str], computed: Set[str]) -> None:
        """`terms`: the SQL of each column; `computed`: those of them that are read as bytes."""
        self._computed = [at for at, term in enumerate(terms) if term in computed]
        types = [f"typeof({terms[at]})" for at in self._computed]
        selected = [
            f"iif(typeof({term}) = 'text', CAST({term} AS BLOB), {term})" if term in computed else term
            for term in terms
        ]
        self._width = len(terms)
        self.terms = [*selected, *types]
        """The SQL of the columns, and after them of the types of those that are computed."""
        self.sql = ", ".join(self.terms)

    def read(self, selected: Row) -> Row:
        """Return the values of the columns of a row that `sql` has selected."""
        if not self._computed:
            return selected
        row = list(selected[: self._width])
        for at, kind in zip(self._computed, selected[self._width :], strict=True):
            value = row[at]
            if kind == "text" and isinstance(value, bytes):
                row[at] = text_of(value)
        return tuple(row)
