"""Row blocks: many rows of a table that one statement has written, kept by column until something asks for one of them.

A statement that writes 50,000 rows is mostly followed by COMMIT, or by others of the same kind. So its rows stay
together: commit makes the batch of them column by column (`rome.transaction.commit.batch`). Before a statement that may
read or write one of them, the transaction is *settled*: each row becomes a `RowWrite` of its own, as if it had been
written alone (`rome.transaction.transaction.Transaction.settle`).

    INSERT INTO t (a) VALUES (?)     with 3 sets of parameters

    table t, keys (k1, k2, k3), olds None, news ((1, 2, 3), ('a', 'b', 'c')), since UNREAD
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat

from rome.catalog.model import Table
from rome.transaction.writes.write_set import RowWrite, row_write
from rome.values import Columns


@dataclass(frozen=True)
class RowBlock:
    """Rows that were inserted (`olds` is None), updated, or deleted (`news` is None), without SQLite."""

    table: Table
    keys: Sequence[bytes]
    olds: Columns | None
    news: Columns | None
    data: Sequence[bytes] | None
    """The new rows as the store will hold them; None if they were deleted."""
    since: int
    """The version that the rows were read at; UNREAD for new rows whose keys were not looked up."""
    rowids: Sequence[int] | None = None
    """The ids of new rows of a table with a sequence."""
    are_ids_given: bool = False
    """True if the ids were given, and did not come from the sequence."""
    changed: Set[str] = frozenset()
    """The columns, in lower case, in which updated rows may differ from the old ones."""
    taken: Mapping[bytes, Set[bytes]] = field(default_factory=dict)
    """By space: the keys of unique indexes that new rows have taken."""

    def is_changed(self, columns: Collection[str]) -> bool:
        """Return True if rows were not there before, are gone, or may differ in one of these columns."""
        return self.olds is None or self.news is None or not self.changed.isdisjoint(columns)

    @property
    def explicit_id(self) -> int | None:
        """The greatest id that was given, and did not come from the sequence."""
        return max(self.rowids) if self.rowids and self.are_ids_given else None

    def taken_keys(self, space: bytes) -> Set[bytes]:
        """Return the keys that new rows have taken in a space of rows or of a unique index."""
        if space == self.table.row_codec.space and self.olds is None:
            return self._key_set
        return self.taken.get(space, frozenset())

    @cached_property
    def _key_set(self) -> Set[bytes]:
        return frozenset(self.keys)

    def writes(self) -> Iterator[RowWrite]:
        """Yield the write of each row."""
        nothing = repeat(None)
        old_keys = nothing if self.olds is None else self.keys
        new_keys = nothing if self.news is None else self.keys
        columns = (
            old_keys,
            nothing if self.olds is None else zip(*self.olds, strict=True),
            new_keys,
            nothing if self.news is None else zip(*self.news, strict=True),
            self.rowids or repeat(1 if self.olds is None else 0),
            self.data or nothing,
        )
        return map(row_write, zip(repeat(self.table, len(self.keys)), *columns, strict=False))
