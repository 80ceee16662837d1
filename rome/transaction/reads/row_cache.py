"""The row cache: every row that a transaction has read, and which of them are in the workspace.

Fetched rows stay here, decoded, so that nothing is fetched twice. The compiled evaluator reads them from here. They are
loaded into the workspace only when a statement runs there.

Raw results and indexed rows
    Most transactions read rows of a table once, and change none of them. So the first result for a table is kept as it
    came (`_RawResult`). Only the second request for the table makes an index of it: row key → `CachedRow`
    (`_index_rows`).

What was asked before
    A request that was answered is not sent again; nor are the keys of a Get that are cached, nor a lookup whose rows
    another index has brought (`answered_lookups`). Once all of a table was fetched, nothing more is fetched of it.

The workspace
    A cached row (fetched, found missing, or written) is loaded at most once: loading it again would undo what the
    transaction did to it. ROLLBACK TO removes rows from the workspace that were loaded since the savepoint, so the
    record of what is loaded goes back with it (`UndoLog`). What was read stays read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

from rome.cache.contents import SHARED
from rome.cache.results import FEWEST_ROWS, SharedRows
from rome.catalog.model import Table
from rome.catalog.rows import migrate_row, read_row, read_rows
from rome.fast_tuples import tuple_maker
from rome.folding import fold_name
from rome.sqlite.workspace import Row, Workspace
from rome.storage.keys import decode, row_keys_of
from rome.storage.store import Fetched, Get, Lookup, Range, Request, Scan, rows_space
from rome.transaction.reads.answered_lookups import AnsweredLookups

UNREAD = -1
"""In place of a version: the key was written without being read, because its id came from the table's sequence."""


class CachedRow(NamedTuple):
    """A row as the store has it: the version it was read at, its table's definition then, its values (None: no row)."""

    version: int
    table: Table
    values: Row | None


class TableRequest(NamedTuple):
    """A request to the store, and the table whose rows its answer brings."""

    table: Table
    request: Request


class _RawResult(NamedTuple):
    """An answer as it came. `keys`: those of rows, or the entries that lead to them. `found`: its rows in key order."""

    table: Table
    request: Request
    version: int
    keys: Sequence[bytes]
    rows: Sequence[Row | None]
    found: list[Row]


_cached_row = tuple_maker(CachedRow)
_raw_result = tuple_maker(_RawResult)
_table_of: Callable[[Any], Table] = itemgetter(1)
_values_of: Callable[[Any], Any] = itemgetter(2)
table_request = tuple_maker(TableRequest)
request_of: Callable[[TableRequest], Request] = itemgetter(1)


def whole(table: Table) -> TableRequest:
    """Return the request for every row of a table."""
    return TableRequest(table, Scan(rows_space(table.id)))


_MISSING = object()
_ADDED, _CLEARED = object(), object()
"""In place of a key: many keys changed at once, and these are in place of the old value."""


class UndoLog(list[tuple[dict[Any, Any], Any, Any]]):
    """The changes of dictionaries that ROLLBACK TO undoes, from the last to the first, since the first mark."""

    is_marked = False

    def mark(self) -> int:
        """Return what `roll_back_to` goes back to."""
        self.is_marked = True
        return len(self)

    def set(self, mapping: dict[Any, Any], key: Any, value: Any) -> None:
        """Set mapping[key], and log it."""
        if self.is_marked:
            self.append((mapping, key, mapping.get(key, _MISSING)))
        mapping[key] = value

    def delete(self, mapping: dict[Any, Any], key: Any) -> None:
        """Delete mapping[key], and log it."""
        self.append((mapping, key, mapping.pop(key)))

    def set_all(self, mapping: dict[Any, Any], keys: Collection[Any], value: Any) -> None:
        """Set mapping[key] for keys that are not in it, and log it."""
        self.append((mapping, _ADDED, keys))
        mapping.update(dict.fromkeys(keys, value))

    def clear_mapping(self, mapping: dict[Any, Any]) -> None:
        """Delete all keys of a mapping, and log it."""
        self.append((mapping, _CLEARED, mapping.copy()))
        mapping.clear()

    def roll_back_to(self, mark: int) -> list[tuple[dict[Any, Any], Any]]:
        """Undo every change since the mark. Return the mappings and keys that have their old values again."""
        restored = []
        while len(self) > mark:
            mapping, key, old = self.pop()
            if key is _ADDED:
                for each in old:
                    mapping.pop(each, None)
            elif key is _CLEARED:
                mapping.update(old)
                restored += [(mapping, each) for each in old]
            elif old is _MISSING:
                mapping.pop(key, None)
            else:
                mapping[key] = old
                restored.append((mapping, key))
        return restored


class RowCache:
    """The rows that one transaction has read. What a single answer does not need is made when there is more."""

    _answered_lookups: AnsweredLookups | None = None

    def __init__(self, workspace: Workspace) -> None:
        self.undo_log = UndoLog()
        self._workspace = workspace
        self._raw: dict[int, _RawResult] = {}
        """By table id: at most one, of a table with nothing in `_rows`."""
        self._rows: dict[int, dict[bytes, CachedRow]] = {}
        self._loaded: dict[int, dict[bytes, bool]] = {}
        """By table id: the keys that are in the workspace, or are not to be loaded into it."""
        self._not_loaded: dict[int, dict[bytes, bool]] = {}
        """By table id: the keys of `_rows` that are not in `_loaded`, and perhaps others."""
        self._forgettable: dict[int, list[bytes]] = {}
        """By table id: the keys of `_rows` that were not written when they came, and perhaps others, and some twice."""
        self._answers: dict[Request, Sequence[bytes]] = {}
        self._full: set[int] = set()
        """The ids of tables of which all rows were fetched."""

    def rows_by_key(self, table_id: int) -> dict[bytes, CachedRow]:
        """Return the rows of a table that were read or written, by key. The dictionary may be empty, and not kept."""
        if table_id in self._raw:
            self._index_rows(table_id)
        return self._rows.get(table_id, {})

    # ── fetched rows ──────────────────────────────────────────────────────────────────────────────────────────────

    def missing(self, requests: Iterable[TableRequest]) -> list[TableRequest]:
        """Return the requests, or the parts of them, that have not been answered yet."""
        if not self._rows and not self._raw and isinstance(requests, list) and len(requests) == 1:
            return requests
        left: dict[Request, TableRequest] = {}
        for each in requests:
            table, request = each
            raw = self._raw.get(table.id)
            if raw is not None:
                if raw.request == request:
                    continue
                self._index_rows(table.id)
            if table.id in self._full or request in self._answers:
                continue
            if isinstance(request, Get):
                rows = self._rows.get(table.id, {})
                keys = tuple(dict.fromkeys(key for key in request.keys if key not in rows))
                if not keys:
                    continue
                request = Get(request.space, keys)
            elif isinstance(request, Lookup) and self._is_answered(table, request):
                continue
            left[request] = TableRequest(table, request)
        return list(left.values())

    def _is_answered(self, table: Table, request: Lookup) -> bool:
        """Return True if earlier lookups have brought all rows of this one."""
        keys = self._answered_lookups.rows(table, request) if self._answered_lookups is not None else None
        if keys is None:
            return False
        self._answers[request] = keys
        return True

    def add(self, requests: Sequence[TableRequest], fetched: Fetched) -> None:
        """Keep what a fetch brought. Raise FormatError for a row that does not decode."""
        for each, answer in zip(requests, fetched.answers, strict=True):
            table, request = each
            keys: Sequence[bytes]
            values: Sequence[bytes | None]
            if table.id in self._raw:
                self._index_rows(table.id)
            if isinstance(request, Get):
                keys, values = request.keys, answer
            elif isinstance(request, (Lookup, Scan)):
                keys, values = answer
            else:
                keys, values = zip(*answer, strict=True) if answer else ((), ())
            if self._rows.get(table.id):
                self._add(each, fetched.version, keys, values)
            else:
                rows, found = _decoded(each, answer, keys, values)
                self._raw[table.id] = _raw_result((table, request, fetched.version, keys, rows, found))

    def _index_rows(self, table_id: int) -> None:
        """Index the raw result of a table, if there is one, by row key."""
        raw = self._raw.pop(table_id, None)
        if raw is not None:
            table, request, version, keys, rows, _ = raw
            self._put(table, version, self._note(table, request, keys), rows)

    def _add(self, each: TableRequest, version: int, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Keep one more answer of a table."""
        table, request = each
        keys = self._note(table, request, keys)
        cached = self._rows[table.id]
        new = [pair for pair in zip(keys, values, strict=True) if pair[0] not in cached]
        if new:
            keys, values = zip(*new, strict=True)
            self._put(table, version, keys, read_rows(table, keys, values))

    def _note(self, table: Table, request: Request, keys: Sequence[bytes]) -> Sequence[bytes]:
        """Remember that a request was answered. Return the keys of the rows that answer it."""
        if isinstance(request, Get):
            return keys
        if isinstance(request, Lookup):
            keys = row_keys_of(keys)
            if self._answered_lookups is None:
                self._answered_lookups = AnsweredLookups()
            self._answered_lookups.note(request, keys)
        elif isinstance(request, Scan):
            self._full.add(table.id)
        self._answers[request] = keys
        return keys

    def _put(self, table: Table, version: int, keys: Sequence[bytes], rows: Sequence[Row | None]) -> None:
        cached = self._rows.setdefault(table.id, {})
        if len(keys) == 1:
            cached[keys[0]] = _cached_row((version, table, rows[0]))
        else:
            cached.update(zip(keys, map(_cached_row, zip(repeat(version), repeat(table), rows)), strict=True))
        self._not_loaded.setdefault(table.id, {}).update(dict.fromkeys(keys, True))
        self._forgettable.setdefault(table.id, []).extend(keys)

    def rows(self, requests: Sequence[TableRequest]) -> list[Row]:
        """Return the stored rows that answer some requests for one table, each once, in key order.

        If all of the table was fetched, these may be all of its rows. The list must not be changed.
        """
        if not requests:
            return []
        table, request = requests[0]
        raw = self._raw.get(table.id)
        if raw is not None:
            if raw.request == request and len(requests) == 1:
                return raw.found
            self._index_rows(table.id)
        cached = self._rows.get(table.id, {})
        if len(requests) == 1 and isinstance(request, Get) and len(request.keys) == 1:
            row = cached.get(request.keys[0])
            return [] if row is None or row.values is None else [row.values]
        if len(requests) > 1:
            present = {
                key: row.values
                for each in requests
                for key in self._keys(each.request, cached)
                if (row := cached.get(key)) is not None and row.values is not None
            }
            return [present[key] for key in sorted(present)]
        keys = self._keys(request, cached)
        if len(keys) > 1:
            keys = sorted(keys)
        found = list(map(cached.get, keys))
        if all(found):
            rows: list[Row] = list(map(_values_of, found))
            if all(rows):
                return rows
        return [row.values for row in found if row is not None and row.values is not None]

    def _keys(self, request: Request, cached: dict[bytes, CachedRow]) -> Collection[bytes]:
        """Return the keys of the rows that answer a request, or of more rows."""
        if isinstance(request, Get):
            return request.keys
        return self._answers.get(request, cached)

    def has_only(self, table: Table, count: int) -> bool:
        """Return True if exactly `count` rows of a table are cached."""
        return sum(row.values is not None for row in self.rows_by_key(table.id).values()) == count

    def note_written(self, table: Table, key: bytes) -> None:
        """Note that a row with this key was written, and is in the workspace."""
        table_id, undo_log = table.id, self.undo_log
        if table_id in self._raw:
            self._index_rows(table_id)
        cached = self._rows.setdefault(table_id, {})
        if key not in cached:
            undo_log.set(cached, key, _cached_row((UNREAD, table, None)))
        undo_log.set(self._loaded.setdefault(table_id, {}), key, True)

    def note_deleted(self, table: Table, keys: Sequence[bytes]) -> None:
        """Note that the rows with these keys, which were read, are deleted, and not to be in the workspace."""
        self._index_rows(table.id)
        loaded = self._loaded.setdefault(table.id, {})
        gone = [key for key in keys if key in loaded]
        if gone:
            self._workspace.unload(table, map(decode, gone))
        self.undo_log.set_all(loaded, [key for key in keys if key not in loaded], True)

    def migrate(self, table: Table) -> None:
        """Lay out the cached rows of a table for its present definition."""
        self._index_rows(table.id)
        cached = self._rows.get(table.id, {})
        for key, row in cached.items():
            values = None if row.values is None else migrate_row(row.values, row.table, table)
            self.undo_log.set(cached, key, CachedRow(row.version, table, values))

    def forget_other_layouts(self, table: Table) -> None:
        """Forget the rows that were read under a definition of a table which ROLLBACK TO has undone."""
        self._index_rows(table.id)
        cached = self._rows.get(table.id, {})
        others = [key for key, row in cached.items() if row.table.schema != table.schema]
        for key in others:
            del cached[key]
        if others:
            self._answers.clear()
            self._answered_lookups = None
            self._full.discard(table.id)

    # ── the workspace ─────────────────────────────────────────────────────────────────────────────────────────────

    def has_loaded(self, table: Table, keys: Iterable[bytes]) -> bool:
        """Return True if one of these rows of a table is in the workspace."""
        return not self._loaded.get(table.id, {}).keys().isdisjoint(keys)

    def load_into_workspace(self, tables: Iterable[Table], left_out: Mapping[int, Container[bytes]]) -> None:
        """Put the cached rows of these tables into the workspace, as far as they are not there.

        `left_out`: by table id, the keys of rows that are not put there now.
        """
        for table in tables:
            self._index_rows(table.id)
            if self._not_loaded.get(table.id):
                self._load(table, left_out.get(table.id, ()))

    def load_all_into_workspace(self, tables: Mapping[int, Table]) -> None:
        """Put all cached rows into the workspace. `tables`: the present ones, by id."""
        ids = dict.fromkeys((*self._raw, *self._not_loaded))
        self.load_into_workspace([tables[table_id] for table_id in ids if table_id in tables], {})

    def _load(self, table: Table, left_out: Container[bytes]) -> None:
        cached, loaded = self._rows.get(table.id, {}), self._loaded.setdefault(table.id, {})
        not_loaded = self._not_loaded[table.id]
        new = [key for key in not_loaded if key not in loaded] if loaded else list(not_loaded)
        later: list[bytes] = []
        if left_out:
            later = [key for key in new if key in left_out]
            new = [key for key in new if key not in left_out]
        found: list[Any] = list(map(cached.get, new))
        if not all(found):
            new = [key for key in new if key in cached]
            found = list(filter(None, found))
        self.undo_log.clear_mapping(not_loaded)
        self.undo_log.set_all(not_loaded, later, True)
        self.undo_log.set_all(loaded, new, True)
        rows: list[Row] = []
        if table.key and set(map(id, map(_table_of, found))) == {id(table)}:
            rows += filter(None, map(_values_of, found))  # no row is an empty tuple
        else:
            for key, row in zip(new, found, strict=True):
                if row.values is not None:
                    values = migrate_row(row.values, row.table, table)
                    rows.append(values if table.key else (decode(key)[0], *values))
        if rows:
            # The compiled evaluator reads tables that the workspace may not have made yet.
            self._workspace.schema.ensure((fold_name(table.name),))
            self._workspace.load(table, rows)

    def forget_unchanged(self, tables: Mapping[int, Table], written: Callable[[int], Container[bytes]]) -> None:
        """Forget every row that was only read, and take it out of the workspace: the next statement reads anew.

        `tables`: the present ones, by id. `written`: returns the written keys of a table, by its id.
        """
        self._raw.clear()  # a table with changed rows has none
        for table_id, keys in self._forgettable.items():
            cached, kept = self._rows.get(table_id, {}), written(table_id)
            gone = [key for key in keys if key not in kept]
            for key in gone:
                cached.pop(key, None)
            self._unload(tables.get(table_id), gone)
        self._forgettable.clear()
        self._answers.clear()
        self._answered_lookups = None
        self._full.clear()

    def roll_back_to(self, mark: int, tables: Mapping[int, Table]) -> None:
        """Undo what was logged since the mark. `tables`: those of the savepoint, by id."""
        found: dict[int, list[bytes]] = {}
        for mapping, key in self.undo_log.roll_back_to(mark):
            found.setdefault(id(mapping), []).append(key)
        for table_id, loaded in self._loaded.items() if found else ():
            # Rows that were taken out of the workspace since, because they may be outdated, are in it again.
            cached = self._rows.get(table_id, {})
            self._unload(tables.get(table_id), [key for key in found.get(id(loaded), ()) if key not in cached])

    def note_unwritten(self, keys: Iterable[tuple[int, bytes]]) -> None:
        """Note that ROLLBACK TO has undone the writes of these keys: their rows are only read, if they are cached."""
        for table_id, key in keys:
            self._forgettable.setdefault(table_id, []).append(key)
            self._not_loaded.setdefault(table_id, {})[key] = True

    def _unload(self, table: Table | None, keys: Sequence[bytes]) -> None:
        """Take rows out of the workspace, as far as they are in it. A key may be given several times."""
        loaded = self._loaded.get(table.id) if table is not None else None
        if table is None or not loaded:
            return
        gone = [key for key in dict.fromkeys(keys) if key in loaded]
        if gone:
            self._workspace.unload(table, map(decode, gone))
            for key in gone:
                self.undo_log.delete(loaded, key)


def _decoded(
    each: TableRequest, answer: Any, keys: Sequence[bytes], values: Sequence[bytes | None]
) -> tuple[Sequence[Row | None], list[Row]]:
    """Return the rows of an answer, and those that exist in key order. A shared answer keeps them."""
    table = each.table
    is_shared = isinstance(answer, SHARED)
    if is_shared and answer.derived is not None and answer.derived[0] is table:
        _, rows, found = answer.derived
        return rows, found
    if len(values) == 1 and not is_shared:
        # Most answers have one row.
        data = values[0]
        row = None if data is None else read_row(table, keys[0], data)
        return [row], [] if row is None else [row]
    rows = read_rows(table, keys, values)
    found = _in_key_order(each, keys, rows)
    if is_shared:
        found = SharedRows(found) if len(found) >= FEWEST_ROWS else found
        answer.derived = table, rows, found
    return rows, found


def _in_key_order(each: TableRequest, keys: Sequence[bytes], rows: Sequence[Row | None]) -> list[Row]:
    """Return the rows of an answer that exist, in key order. `keys`: as in `_RawResult`."""
    table, request = each
    if len(rows) == 1:
        return [] if rows[0] is None else [rows[0]]
    found = list(filter(None, rows))  # no row is an empty tuple
    if len(found) < len(rows):
        keys = [key for key, row in zip(keys, rows, strict=True) if row]
    if len(found) < 2 or (isinstance(request, Range) and not request.reverse):
        return found
    if table.rowid_alias is not None:
        return sorted(found, key=itemgetter(table.position[fold_name(table.rowid_alias)]))
    if isinstance(request, Lookup):
        keys = row_keys_of(keys)
    if sorted(keys) == list(keys):
        return found
    return [row for _, row in sorted(zip(keys, found, strict=True), key=itemgetter(0))]
