"""Incremental sort: of rows in the order of the first terms of ORDER BY, the groups that are complete.

    SELECT * FROM t ORDER BY rank DESC, id LIMIT 3                     an index on rank, read backward, 5 rows

    rank    9   9   8   8   8   (7 or 8 …)
    id      4   6   1   3   7
            └───┘   └────────
           complete   there may be more rows with rank 8, with any id

An index on the first terms has the rows in groups of equal values. Within a group, the further terms decide: other
columns, expressions, columns of joined tables, or the other direction. So a batch from the front of the index has the
right rows, but for its last group: a row that is still missing may come before those that are there. This group takes
no part in the result, unless the index has no more rows. PostgreSQL calls this method by the same name.

The rows that come out are the first ones, because each row of a group that is left out, or was not fetched, sorts after
all rows of complete groups. If too few come out, the next batch is larger, and begins with the same rows
(`rome.session.topn`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from rome.catalog.model import Column, Table
from rome.folding import fold_name
from rome.sql.analysis.relation import Row
from rome.sql.planner.access_path import Limit
from rome.storage.keys import encode_each
from rome.values import SqlValue, collate_each


class Groups(NamedTuple):
    """The rows of a batch: those of complete groups, and those of the last group, which are left out.

    `size`: the size of the group that a row is in, on average.
    """

    complete: list[Row]
    left_out: list[Row]
    size: float


def complete_groups(table: Table, rows: Sequence[Row], limit: Limit) -> Groups:
    """Divide the rows of a batch, which are in any order. `limit`: how the batch was limited."""
    keys = encode_each([_values(table, column, rows) for column in limit.presorted])
    sizes = Counter(keys)
    last = min(sizes) if limit.backward else max(sizes)
    complete = [row for row, key in zip(rows, keys, strict=True) if key != last]
    left_out = [row for row, key in zip(rows, keys, strict=True) if key == last]
    return Groups(complete, left_out, sum(size * size for size in sizes.values()) / len(keys))


def _values(table: Table, column: Column, rows: Sequence[Row]) -> Sequence[SqlValue]:
    """Return the values of a column as its keys have them."""
    values = list(map(itemgetter(table.position[fold_name(column.name)]), rows))
    return collate_each(values, column.collation)
