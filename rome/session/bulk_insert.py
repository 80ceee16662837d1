"""Insert many rows at once without the workspace: those of `executemany`, and those of INSERT … SELECT.

Values are kept by column. The unique keys that the rows take, and their parents, are fetched together, and checked at
commit, as for a row that is inserted alone (`rome.session.point_dml`), or only checked then
(`rome.transaction.deferral`). If a key is taken or a parent is missing, the statement runs in the workspace, so that
SQLite raises the error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import compress
from typing import Any

from rome.catalog.key_codec import KeyCodec
from rome.catalog.model import Table
from rome.fallback import NeedsWorkspace, NotConvertible
from rome.session.point_plan import RowInsert
from rome.storage.keys import encode_ints
from rome.storage.store import Demand, Request
from rome.transaction.reads.row_cache import UNREAD, TableRequest
from rome.transaction.transaction import Transaction
from rome.transaction.writes.row_block import RowBlock
from rome.values import Columns

_REQUEST_KEYS = 1000
"""The keys of one request: so many keep the server from others for about a millisecond."""


class _Probes:
    """Keys of one unique key of a table: those that new rows take, or those of their parents."""

    def __init__(self, table: Table, codec: KeyCodec, keys: Set[bytes]) -> None:
        self.codec = codec
        self.keys = keys
        self._table = table
        self.requests = [TableRequest(table, request) for request in requests_for(codec, sorted(keys))]

    def missing(self, transaction: Transaction) -> Set[bytes]:
        """Return the keys that no row has now."""
        codec = self.codec
        # Lookups may have brought more rows than they ask for.
        found = {codec.encode_unique(codec.take(row)) for row in transaction.row_cache.rows(self.requests)}
        return transaction.not_taken(codec.space, self.keys - found)

    def requests_for_others(self, transaction: Transaction) -> list[TableRequest]:
        """Return the requests for the keys but those of rows that the transaction has inserted."""
        others = transaction.not_taken(self.codec.space, self.keys)
        if len(others) == len(self.keys):
            return self.requests
        return [TableRequest(self._table, request) for request in requests_for(self.codec, sorted(others))]


def _may_exist(transaction: Transaction, parents: _Probes, own: Mapping[bytes, Set[bytes]]) -> bool:
    """Return True if rows of the store may have the keys of parents, and none of these is among the new rows."""
    is_apart = parents.keys.isdisjoint(own.get(parents.codec.space, ()))
    return is_apart and bool(transaction.row_cache.missing(parents.requests))


def insert_rows(
    transaction: Transaction, insert: RowInsert, columns: Columns, last_changes: int | None = None
) -> Columns | None:
    """Insert rows. Return them; None, with nothing done, if SQLite must.

    A row without an id gets the next one. `last_changes`: SQL's changes() after it, if not all of the rows. Raise
    NeedsWorkspace as None is returned, and CatalogChanged.
    """
    table, number = insert.table, len(columns[0])
    given = _given_ids(insert, columns)
    if given and len(given) < number:
        raise NeedsWorkspace  # some ids are given, others come from the sequence
    taken = [
        _Probes(table, codec, _distinct(codec, columns)) for codec in insert.unique_codecs(has_row_key=bool(given))
    ]
    parents = list(_parents(insert, columns)) if transaction.foreign_keys else []
    is_drawn = table.counted is not None and not given
    if given:
        transaction.sequences.note_explicit(table.id, given)
    sequences = transaction.sequences
    may_defer = insert.is_refused_at_once and transaction.may_defer()
    is_deferred = may_defer and (not is_drawn or sequences.reserve_at_once(table, number))
    if not is_deferred:
        if is_drawn:
            sequences.announce(table.id, number)
        transaction.fetch([request for probes in (*taken, *parents) for request in probes.requests])
        transaction.ensure_snapshot()
    if any(len(probes.missing(transaction)) < len(probes.keys) for probes in taken):
        return None
    own = {probes.codec.space: probes.keys for probes in taken}
    for probes in parents:
        missing = probes.missing(transaction)
        if missing and not (is_deferred and _may_exist(transaction, probes, own)):
            return None
    rowids: Sequence[int] | None = given or None
    sequences.mark()
    try:
        if is_drawn:
            rowids = transaction.allocate_ids(table.id, number)
            columns = insert.with_rowids(columns, rowids)
        data = insert.encoded_rows(columns)
    except NeedsWorkspace:
        sequences.roll_back_to_mark()
        return None
    keys = _row_keys(table, columns, rowids, own)
    unique = [probes for probes in taken if probes.codec is not table.row_codec]
    if is_deferred:
        for probes in taken:
            transaction.assume(probes.requests, Demand.NO_KEYS)
        for probes in parents:
            transaction.assume(probes.requests_for_others(transaction), Demand.A_KEY)
    else:
        for probes in (*unique, *parents):  # commit checks the rows' own keys anyway
            transaction.note_constraint_reads(probes.requests)
    since = UNREAD if is_drawn or is_deferred else transaction.version or 0
    of_unique = {each.codec.space: each.keys for each in unique}
    block = RowBlock(table, keys, None, columns, data, since, rowids, bool(given), taken=of_unique)
    transaction.record_block(block, number, number if last_changes is None else last_changes)
    return columns


def _row_keys(
    table: Table, columns: Columns, rowids: Sequence[int] | None, own: Mapping[bytes, Set[bytes]]
) -> Sequence[bytes]:
    """Return the row keys of new rows. `own`: the keys that they take, by space, in the order of the rows."""
    known = own.get(table.row_codec.space, ())
    if len(known) == len(columns[0]):
        return list(known)
    return table.row_codec.encode_each(columns) if rowids is None else encode_ints(rowids)


def _given_ids(insert: RowInsert, columns: Columns) -> Sequence[int]:
    """Return the ids that are given. Raise NeedsWorkspace if SQLite has to convert one."""
    at = insert.rowid_place
    if at is None:
        return []
    given: Sequence[Any] = columns[at]
    types = set(map(type, given))
    if not types <= {int, type(None)}:
        raise NeedsWorkspace
    return given if types == {int} else [value for value in given if value is not None]


def _distinct(codec: KeyCodec, columns: Columns) -> Set[bytes]:
    """Return the keys of rows; rows with a NULL have none. Raise NeedsWorkspace if two rows have the same key."""
    taken = codec.take_columns(columns)
    if any(None in column for column in taken):
        is_key = [None not in values for values in zip(*taken, strict=True)]
        taken = [list(compress(column, is_key)) for column in taken]
    keys = dict.fromkeys(codec.encode_values(taken)).keys()  # in their order, so that they are soon sorted
    if len(keys) < len(taken[0]):
        raise NeedsWorkspace
    return keys


def _parents(insert: RowInsert, columns: Columns) -> Iterator[_Probes]:
    """Yield the keys of the rows' parents, of each foreign key. Raise NeedsWorkspace if SQLite has to convert one."""
    for reference in insert.parents:
        values = {values for row in zip(*columns, strict=True) if (values := reference.child_values(row))}
        try:
            probes = [probe for each in values if (probe := reference.parent_probe(each)) is not None]
        except NotConvertible:
            raise NeedsWorkspace from None
        if probes and reference.parent is not None:
            yield _Probes(reference.parent, probes[0].codec, {probe.key for probe in probes})


def requests_for(codec: KeyCodec, keys: Sequence[bytes]) -> Iterator[Request]:
    """Yield requests for the rows that have these keys."""
    for at in range(0, len(keys), _REQUEST_KEYS):
        yield codec.get_all(keys[at : at + _REQUEST_KEYS])
