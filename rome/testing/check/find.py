"""Find the faults of one version of a database, table by table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rome.catalog.model import Catalog, Table
from rome.errors import FormatError
from rome.storage.keys import decode
from rome.storage.store import Store, row_counter
from rome.testing.check.entries import entry_faults
from rome.testing.check.faults import Fault
from rome.testing.check.log import log_faults
from rome.testing.check.references import reference_faults
from rome.testing.check.rows import StoredRows, read_rows_of
from rome.transaction.index_entries import IndexEntries

_NOBODY: Callable[[str], None] = lambda _: None  # noqa: E731


def find_faults(
    store: Store,
    catalog: Catalog,
    version: int,
    *,
    foreign_keys: bool = True,
    progress: Callable[[str], None] = _NOBODY,
) -> Iterator[Fault]:
    """Yield the faults of a version. `progress` is called with the name of each table when it has been checked.

    Raise SnapshotTooOld if commits have moved the log beyond the version meanwhile.
    """
    entries = IndexEntries()
    for table in catalog.tables.values():
        rows = read_rows_of(store, table, version)
        yield from rows.faults
        if not rows.are_missing:
            for index in table.indexes:
                yield from _reported("index", table, entry_faults(store, table, index, rows, entries, version))
            if foreign_keys:
                yield from _reported("foreign key", table, reference_faults(store, catalog, table, rows, version))
            yield from _reported("counter", table, _counter_faults(store, table, rows))
        progress(table.name)
    yield from log_faults(store, version)


def _reported(kind: str, table: Table, faults: Iterator[Fault]) -> Iterator[Fault]:
    """Yield faults, and one of a kind in the place of a FormatError, which is raised where keys are missing."""
    try:
        yield from faults
    except FormatError as error:
        yield Fault(kind, table.name, str(error))


def _counter_faults(store: Store, table: Table, rows: StoredRows) -> Iterator[Fault]:
    """Yield a fault if the next id of a table may be one that a row has."""
    if table.counted is None:
        return
    ids = [_id_of(key) for key in rows.values]
    highest = max(ids, default=0)
    following = store.peek(row_counter(table.id))
    if following <= highest:
        yield Fault("counter", table.name, f"the next id is {following:,}, but a row has the id {highest:,}")


def _id_of(key: bytes) -> int:
    try:
        (number,) = decode(key)
    except (FormatError, ValueError):  # it is a fault of its own
        return 0
    return number if isinstance(number, int) else 0
