"""What a transaction has read, and which of it is in the workspace.

Rows that were fetched are kept here, decoded, so that nothing is fetched twice. They are *staged* (put into the
workspace) only when a statement runs there; the compiled evaluator takes them from here.

Most transactions ask once for rows of a table, and change none of them. So the first answer is kept as it came
(`_Fresh`), and is taken apart into rows that are known by their keys only when anything else is asked of the table.

A row that is known (fetched, found missing, or written) is never staged over again: what the transaction did to it
would be lost. ROLLBACK TO takes rows out of the workspace that were staged since; so what is staged hangs on the
transaction's ledger. What was read stays read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

from rome.catalog.model import Table
from rome.catalog.rows import migrate_row, read_rows
from rome.fast_tuples import tuple_maker
from rome.sqlite.workspace import Row, Workspace
from rome.storage.keys import decode, row_keys_of
from rome.storage.store import Fetched, Get, Lookup, Range, Request, Whole, rows_space
from rome.transaction.reads.answered_lookups import AnsweredLookups
from rome.transaction.undo import UndoLog

UNREAD = -1
"""In place of a version: the key was written without having been looked at, because its number came from a counter."""


class CachedRow(NamedTuple):
    """A row as the store has it: the version it was read at, its table's definition then, its values (None: no row)."""

    version: int
    table: Table
    values: Row | None


_known = tuple_maker(CachedRow)


_values_of: Callable[[Any], Any] = itemgetter(2)


class TableRequest(NamedTuple):
    """A request, and the table whose rows its answer brings."""

    table: Table
    request: Request


table_request = tuple_maker(TableRequest)
request_of: Callable[[TableRequest], Request] = itemgetter(1)
"""The request of a target."""


class _Fresh(NamedTuple):
    """An answer as it came. `keys`: of rows, or the entries that lead to them. `found`: its rows in key order."""

    table: Table
    request: Request
    version: int
    keys: Sequence[bytes]
    rows: Sequence[Row | None]
    found: list[Row]


_fresh = tuple_maker(_Fresh)


class RowCache:
    """The reads of one transaction. What a single answer does not need is made when there is more to keep."""

    _answered_lookups: AnsweredLookups | None = None

    def __init__(self, workspace: Workspace, undo_log: UndoLog) -> None:
        self._workspace = workspace
        self._undo_log = undo_log
        self._fresh: dict[int, _Fresh] = {}
        """By table: at most one, of a table of which nothing is in `_known`."""
        self._known: dict[int, dict[bytes, CachedRow]] = {}
        self._staged: dict[int, dict[bytes, bool]] = {}
        self._answers: dict[Request, Sequence[bytes]] = {}
        self._full: set[int] = set()

    @property
    def known(self) -> dict[int, dict[bytes, CachedRow]]:
        """By table and key: every row that was read or written."""
        for table_id in tuple(self._fresh):
            self._settle(table_id)
        return self._known

    # ── what is fetched ───────────────────────────────────────────────────────────────────────────────────────────

    def missing(self, targets: Iterable[TableRequest]) -> list[TableRequest]:
        """The requests, or the parts of them, that have not been answered yet."""
        if not self._known and not self._fresh and isinstance(targets, list) and len(targets) == 1:
            return targets
        left: dict[Request, TableRequest] = {}
        for target in targets:
            table, request = target
            fresh = self._fresh.get(table.id)
            if fresh is not None:
                if fresh.request == request:
                    continue
                self._settle(table.id)
            if table.id in self._full or request in self._answers:
                continue
            if isinstance(request, Get):
                known = self._known.get(table.id, {})
                keys = tuple(dict.fromkeys(key for key in request.keys if key not in known))
                if not keys:
                    continue
                request = Get(request.space, keys)
            elif isinstance(request, Lookup) and self._is_answered(table, request):
                continue
            left[request] = TableRequest(table, request)
        return list(left.values())

    def _is_answered(self, table: Table, request: Lookup) -> bool:
        keys = self._answered_lookups.rows(table, request) if self._answered_lookups is not None else None
        if keys is None:
            return False
        self._answers[request] = keys
        return True

    def add(self, targets: Sequence[TableRequest], fetched: Fetched) -> None:
        """Keep what a fetch brought. Raises FormatError for a row that does not decode."""
        for target, answer in zip(targets, fetched.answers, strict=True):
            table, request = target
            keys: Sequence[bytes]
            values: Sequence[bytes | None]
            if table.id in self._fresh:
                self._settle(table.id)
            if isinstance(request, Get):
                keys, values = request.keys, answer
            elif isinstance(request, (Lookup, Whole)):
                keys, values = answer
            else:
                keys, values = zip(*answer, strict=True) if answer else ((), ())
            if self._known.get(table.id):
                self._add(target, fetched.version, keys, values)
            else:
                rows = read_rows(table, keys, values)
                found = _in_key_order(target, keys, rows)
                self._fresh[table.id] = _fresh((table, request, fetched.version, keys, rows, found))

    def _settle(self, table_id: int) -> None:
        """Take the fresh answer of a table apart, if there is one."""
        fresh = self._fresh.pop(table_id, None)
        if fresh is not None:
            table, request, version, keys, rows, _ = fresh
            self._know(table, version, self._note(table, request, keys), rows)

    def _add(self, target: TableRequest, version: int, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Keep one more answer of a table."""
        table, request = target
        keys = self._note(table, request, keys)
        known = self._known[table.id]
        new = [pair for pair in zip(keys, values, strict=True) if pair[0] not in known]
        if new:
            keys, values = zip(*new, strict=True)
            self._know(table, version, keys, read_rows(table, keys, values))

    def _note(self, table: Table, request: Request, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Remember that a request was answered, and with which rows; the keys of these."""
        if isinstance(request, Get):
            return keys
        if isinstance(request, Lookup):
            keys = row_keys_of(keys)
            if self._answered_lookups is None:
                self._answered_lookups = AnsweredLookups()
            self._answered_lookups.note(request, keys)
        elif isinstance(request, Whole):
            self._full.add(table.id)
        self._answers[request] = keys
        return keys

    def _know(self, table: Table, version: int, keys: Sequence[bytes], rows: Sequence[Row | None]) -> None:
        known = self._known.setdefault(table.id, {})
        known.update(zip(keys, map(_known, zip(repeat(version), repeat(table), rows)), strict=True))

    def rows(self, targets: Sequence[TableRequest]) -> list[Row]:
        """The rows that some requests for one table were answered with, as the store has them: each once, in key order.

        When all of the table was fetched, these may be all of its rows. The list is not to be changed.
        """
        if not targets:
            return []
        table, request = targets[0]
        fresh = self._fresh.get(table.id)
        if fresh is not None:
            if fresh.request == request and len(targets) == 1:
                return fresh.found
            self._settle(table.id)
        known = self._known.get(table.id, {})
        if len(targets) == 1 and isinstance(request, Get) and len(request.keys) == 1:
            row = known.get(request.keys[0])
            return [] if row is None or row.values is None else [row.values]
        keys: Collection[bytes] = self._keys(request, known)
        if len(targets) > 1:
            keys = {key for target in targets for key in self._keys(target.request, known)}
        if len(keys) > 1:
            keys = sorted(keys)
        found = list(map(known.get, keys))
        if all(found):
            rows: list[Row] = list(map(_values_of, found))
            if all(rows):
                return rows
        return [row.values for row in found if row is not None and row.values is not None]

    def _keys(self, request: Request, known: dict[bytes, CachedRow]) -> Collection[bytes]:
        if isinstance(request, Get):
            return request.keys
        return self._answers.get(request, known)

    def has_only(self, table: Table, count: int) -> bool:
        """Whether no other rows of a table are known than some, which are so many."""
        return sum(row.values is not None for row in self.known.get(table.id, {}).values()) == count

    def note_new(self, table: Table, key: bytes) -> None:
        """A row key that a statement in the workspace has written."""
        self._settle(table.id)
        known = self._known.setdefault(table.id, {})
        if key not in known:
            self._undo_log.set(known, key, CachedRow(UNREAD, table, None))
        self._undo_log.set(self._staged.setdefault(table.id, {}), key, True)

    # ── what is in the workspace ──────────────────────────────────────────────────────────────────────────────────

    def stage(self, tables: Iterable[Table]) -> None:
        """Put the known rows of these tables into the workspace."""
        for table in tables:
            self._settle(table.id)
            known = self._known.get(table.id)
            if known:
                staged = self._staged.setdefault(table.id, {})
                if len(staged) < len(known):
                    self._stage(table, known, staged)

    def _stage(self, table: Table, known: dict[bytes, CachedRow], staged: dict[bytes, bool]) -> None:
        rows: list[Row] = []
        for key, row in known.items():
            if key in staged:
                continue
            self._undo_log.set(staged, key, True)
            if row.values is not None:
                values = migrate_row(row.values, row.table, table)
                rows.append(values if table.key else (decode(key)[0], *values))
        if rows:
            # A compiled statement reads a table without the workspace's ever having heard of it.
            self._workspace.schema.ensure((table.name.lower(),))
            self._workspace.load(table, rows)

    def forget_unchanged(self, tables: Iterable[Table], changed: set[tuple[int, bytes]]) -> None:
        """Forget every row that was only read, and take it out of the workspace: the next statement reads anew."""
        self._fresh.clear()  # who changes a row of a table has asked more of it
        for table in tables:
            known = self._known.get(table.id, {})
            for key in [key for key in known if (table.id, key) not in changed]:
                del known[key]
        self._answers.clear()
        self._answered_lookups = None
        self._full.clear()
        self.unstage_unknown(tables)

    def unstage_unknown(self, tables: Iterable[Table]) -> None:
        """Take rows out of the workspace that are not known, because they were forgotten."""
        for table in tables:
            staged = self._staged.get(table.id, {})
            known = self._known.get(table.id, {})
            gone = [key for key in staged if key not in known]
            if gone:
                self._workspace.unload(table, map(decode, gone))
                for key in gone:
                    self._undo_log.take_out(staged, key)


def _in_key_order(target: TableRequest, keys: Sequence[bytes], rows: Sequence[Row | None]) -> list[Row]:
    """The rows that there are of an answer, in key order. `keys`: as in `_Fresh`."""
    table, request = target
    if len(rows) == 1:
        return [] if rows[0] is None else [rows[0]]
    found = list(filter(None, rows))  # of the rows that there are, none is empty
    if len(found) < len(rows):
        keys = [key for key, row in zip(keys, rows, strict=True) if row]
    if len(found) < 2 or (isinstance(request, Range) and not request.reverse):
        return found
    if table.rowid_alias is not None:
        return sorted(found, key=itemgetter(table.position[table.rowid_alias.lower()]))
    if isinstance(request, Lookup):
        keys = row_keys_of(keys)
    return [row for _, row in sorted(zip(keys, found, strict=True), key=itemgetter(0))]


def whole(table: Table) -> TableRequest:
    """Every row of a table."""
    return TableRequest(table, Whole(rows_space(table.id)))
