"""What a transaction has read, and which of it is in the workspace.

Rows that were fetched are kept here, decoded, so that nothing is fetched twice. They are *staged* (put into the
workspace) only when a statement runs there; the compiled evaluator takes them from here.

A row that is known (fetched, found missing, or written) is never staged over again: what the transaction did to it
would be lost. ROLLBACK TO takes rows out of the workspace that were staged since; so what is staged hangs on the
transaction's ledger. What was read stays read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from rome.catalog.model import Table
from rome.errors import FormatError
from rome.execution.workspace import Row, Workspace
from rome.storage.keys import decode, row_key_of
from rome.storage.rows import decode_row
from rome.storage.store import LAST, Fetched, Get, Lookup, Range, Request, rows_space
from rome.transaction.ledger import Ledger

UNREAD = -1
"""In place of a version: the key was written without having been looked at, because its number came from a counter."""


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
        self._staged: dict[int, dict[bytes, bool]] = {}
        self._answers: dict[Request, tuple[bytes, ...]] = {}
        self._full: set[int] = set()

    # ── what is fetched ───────────────────────────────────────────────────────────────────────────────────────────

    def missing(self, targets: Iterable[Target]) -> list[Target]:
        """The requests, or the parts of them, that have not been answered yet."""
        if not self.known and isinstance(targets, list) and len(targets) == 1:
            return targets
        left: dict[Request, Target] = {}
        for target in targets:
            table, request = target
            if table.id in self._full or request in self._answers:
                continue
            if isinstance(request, Get):
                known = self.known.get(table.id, {})
                keys = tuple(dict.fromkeys(key for key in request.keys if key not in known))
                if not keys:
                    continue
                request = Get(request.space, keys)
            left[request] = Target(table, request)
        return list(left.values())

    def add(self, targets: Sequence[Target], fetched: Fetched) -> None:
        """Keep what a fetch brought. Raises FormatError for a row that does not decode."""
        for target, answer in zip(targets, fetched.answers, strict=True):
            table, request = target
            known = self.known.get(table.id)
            if known is None:
                known = self.known[table.id] = {}
            pairs: Iterable[tuple[bytes, bytes | None]]
            if isinstance(request, Get):
                pairs = zip(request.keys, answer, strict=True)
            else:
                pairs = _pairs(request, answer)
                self._answers[request] = tuple([key for key, _ in pairs])
                if isinstance(request, Range) and (request.begin, request.end, request.limit) == (b"", LAST, None):
                    self._full.add(table.id)
            for key, data in pairs:
                if key not in known:
                    values = None if data is None else read_row(table, key, data)
                    known[key] = Known(fetched.version, table, values)

    def rows(self, targets: Sequence[Target]) -> list[Row]:
        """The rows that some requests for one table were answered with, as the store has them: each once, in key order.

        When all of the table was fetched, these may be all of its rows.
        """
        if not targets:
            return []
        table, request = targets[0]
        known = self.known.get(table.id, {})
        if len(targets) == 1 and isinstance(request, Get) and len(request.keys) == 1:
            row = known.get(request.keys[0])
            return [] if row is None or row.values is None else [row.values]
        keys: Collection[bytes] = self._keys(request, known)
        if len(targets) > 1:
            keys = {key for target in targets for key in self._keys(target.request, known)}
        if len(known) > 1 and len(keys) > 1:
            keys = sorted(keys)
        return [row.values for key in keys if (row := known.get(key)) is not None and row.values is not None]

    def _keys(self, request: Request, known: dict[bytes, Known]) -> Collection[bytes]:
        if isinstance(request, Get):
            return request.keys
        return self._answers.get(request, known)

    def note_new(self, table: Table, key: bytes) -> None:
        """A row key that a statement in the workspace has written."""
        known = self.known.setdefault(table.id, {})
        if key not in known:
            self._ledger.set(known, key, Known(UNREAD, table, None))
        self._ledger.set(self._staged.setdefault(table.id, {}), key, True)

    # ── what is in the workspace ──────────────────────────────────────────────────────────────────────────────────

    def stage(self, tables: Iterable[Table]) -> None:
        """Put the known rows of these tables into the workspace."""
        for table in tables:
            known = self.known.get(table.id)
            if known:
                staged = self._staged.setdefault(table.id, {})
                if len(staged) < len(known):
                    self._stage(table, known, staged)

    def _stage(self, table: Table, known: dict[bytes, Known], staged: dict[bytes, bool]) -> None:
        rows: list[Row] = []
        for key, row in known.items():
            if key in staged:
                continue
            self._ledger.set(staged, key, True)
            if row.values is not None:
                values = relaid(row.values, row.table, table)
                rows.append(values if table.key else (decode(key)[0], *values))
        if rows:
            # A compiled statement reads a table without the workspace's ever having heard of it.
            self._workspace.ensure((table.name.lower(),))
            self._workspace.load(table, rows)

    def forget_unchanged(self, tables: Iterable[Table], changed: set[tuple[int, bytes]]) -> None:
        """Forget every row that was only read, and take it out of the workspace: the next statement reads anew."""
        for table in tables:
            known = self.known.get(table.id, {})
            for key in [key for key in known if (table.id, key) not in changed]:
                del known[key]
        self._answers.clear()
        self._full.clear()
        self.unstage_unknown(tables)

    def unstage_unknown(self, tables: Iterable[Table]) -> None:
        """Take rows out of the workspace that are not known, because they were forgotten."""
        for table in tables:
            staged = self._staged.get(table.id, {})
            known = self.known.get(table.id, {})
            gone = [key for key in staged if key not in known]
            if gone:
                self._workspace.unload(table, map(decode, gone))
                for key in gone:
                    self._ledger.remove(staged, key)


def _pairs(request: Request, answer: Any) -> list[tuple[bytes, bytes | None]]:
    """(row key, row) of what a Range or a Lookup was answered."""
    if isinstance(request, Lookup):
        return [(row_key_of(entry), row) for entry, row in answer]
    pairs: list[tuple[bytes, bytes | None]] = answer
    return pairs


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


def relaid(row: Row, table: Table, final: Table) -> Row:
    """A row laid out for an earlier definition of a table, laid out for a later one."""
    if table is final or table.schema == final.schema:
        return row
    by_cid = {column.cid: value for column, value in zip(table.stored, row, strict=True)}
    return tuple(
        by_cid[column.cid] if column.cid in by_cid else final.defaults.get(column.cid) for column in final.stored
    )


def _shown(key: bytes) -> str:
    try:
        return repr(decode(key))
    except FormatError:
        return repr(key)


def whole(table: Table) -> Target:
    """Every row of a table."""
    return Target(table, Range(rows_space(table.id)))
