"""What a transaction has read: which rows are in the workspace, and which key ranges need not be fetched again.

A row that is known (loaded, found missing, or changed) is never loaded over again: what the transaction did to it would
be lost. Everything here hangs on the transaction's ledger, because ROLLBACK TO takes loaded rows out of the workspace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rome.catalog.affinity import SqlValue
from rome.catalog.model import Catalog, Table
from rome.errors import FormatError
from rome.execution.workspace import Row, Workspace
from rome.storage.keys import decode, row_key_of
from rome.storage.rows import decode_row
from rome.storage.store import LAST, Fetched, Get, Lookup, Range, Request, rows_space
from rome.transaction.ledger import Ledger


class Known(NamedTuple):
    """A row as the store has it: the version it was read at, its table's definition then, its values (None: no row)."""

    version: int
    table: Table
    values: Row | None


class Target(NamedTuple):
    """A request, and the table whose rows its answer brings."""

    table: Table
    request: Request


class Loaded:
    """The reads of one transaction."""

    def __init__(self, workspace: Workspace, ledger: Ledger) -> None:
        self._workspace = workspace
        self._ledger = ledger
        self.known: dict[int, dict[bytes, Known]] = {}
        self._covered: dict[Request, bool] = {}
        self._full: dict[int, bool] = {}

    def missing(self, targets: Iterable[Target]) -> list[Target]:
        """The requests, or the parts of them, that have not been answered yet."""
        left: dict[Request, Target] = {}
        for target in targets:
            table, request = target
            if table.id in self._full or request in self._covered:
                continue
            if isinstance(request, Get):
                known = self.known.get(table.id, {})
                keys = tuple(dict.fromkeys(key for key in request.keys if key not in known))
                if not keys:
                    continue
                request = Get(request.space, keys)
            left[request] = Target(table, request)
        return list(left.values())

    def is_full(self, table: Table) -> bool:
        """Whether every row of the table has been read."""
        return table.id in self._full

    def add(self, targets: Sequence[Target], fetched: Fetched) -> int:
        """Load what a fetch brought into the workspace; how many rows were new."""
        count = 0
        for target, answer in zip(targets, fetched.answers, strict=True):
            table, request = target
            count += self._load(table, fetched.version, _pairs(request, answer))
            if not isinstance(request, Get):
                self._ledger.set(self._covered, request, True)
            if isinstance(request, Range) and (request.begin, request.end, request.limit) == (b"", LAST, None):
                self._ledger.set(self._full, table.id, True)
        return count

    def _load(self, table: Table, version: int, pairs: Iterable[tuple[bytes, bytes | None]]) -> int:
        known = self.known.setdefault(table.id, {})
        rows: list[Row] = []
        for key, data in pairs:
            if key in known:
                continue
            values = None if data is None else read_row(table, key, data)
            self._ledger.set(known, key, Known(version, table, values))
            if values is not None:
                rows.append(values if table.key else (decode(key)[0], *values))
        if rows:
            self._workspace.load(table, rows)
        return len(rows)

    def note_new(self, table: Table, key: bytes, version: int) -> None:
        """A row key that the transaction has written without having read it."""
        known = self.known.setdefault(table.id, {})
        if key not in known:
            self._ledger.set(known, key, Known(version, table, None))

    def forget_unchanged(self, catalog: Catalog, changed: set[tuple[int, bytes]]) -> None:
        """Take every row that was only read out of the workspace: the next statement reads a newer version."""
        present = {table.id: table for table in catalog.tables.values()}
        for table_id, known in self.known.items():
            gone = [key for key in known if (table_id, key) not in changed]
            keys = [_key_values(known[key].table, key, known[key].values) for key in gone if known[key].values]
            if keys and table_id in present:
                self._workspace.unload(present[table_id], keys)
            for key in gone:
                self._ledger.remove(known, key)
        for mapping in (self._covered, self._full):
            for item in list(mapping):
                self._ledger.remove(mapping, item)


def _pairs(request: Request, answer: Any) -> Iterable[tuple[bytes, bytes | None]]:
    """(row key, row) of an answer, whatever was asked."""
    if isinstance(request, Get):
        return list(zip(request.keys, answer, strict=True))
    if isinstance(request, Lookup):
        return [(row_key_of(entry), row) for entry, row in answer]
    return list(answer)


def _key_values(table: Table, key: bytes, values: Row | None) -> tuple[SqlValue, ...]:
    if table.key:
        assert values is not None
        return tuple(values[table.position[column.lower()]] for column in table.key)
    return decode(key)


def read_row(table: Table, key: bytes, data: bytes) -> Row:
    """The values of a stored row in the order of the table's stored columns, through the schema it was written under.

    Raises FormatError that names the table and the key.
    """
    try:
        number, values = decode_row(data)
        if number == table.schema:
            if len(values) != len(table.stored):
                raise FormatError(f"{len(values)} values for {len(table.stored)} columns")
            return values
        return _through_schema(table, number, values)
    except FormatError as error:
        raise FormatError(f"row {_shown(key)} of table {table.name} does not decode: {error}") from error


def _through_schema(table: Table, number: int, values: Row) -> Row:
    cids = table.schemas.get(number)
    if cids is None:
        raise FormatError(f"it was written under schema {number}, which the catalog does not have")
    by_cid = dict(zip(cids, values, strict=True))
    return tuple(
        by_cid[column.cid] if column.cid in by_cid else table.defaults.get(column.cid) for column in table.stored
    )


def _shown(key: bytes) -> str:
    try:
        return repr(decode(key))
    except FormatError:
        return repr(key)


def whole(table: Table) -> Target:
    """Every row of a table."""
    return Target(table, Range(rows_space(table.id)))
