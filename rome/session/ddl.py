"""DDL: SQLite changes the schema in the workspace, and the catalog is read back from it.

What SQLite must see is fetched and loaded before:

    CREATE INDEX, CREATE UNIQUE INDEX     all rows of the table: its entries are made of them; a unique one may fail
    ALTER TABLE … ADD COLUMN              one row or all: SQLite refuses some columns unless the table is empty
    DROP TABLE                            the rows of a parent, and what their deletion needs, as for DELETE
    CREATE TABLE … AS SELECT              the tables that the SELECT mentions, through views

If other rows could make SQLite refuse the statement, commit checks that there are none (`_judged_tables`).

A schema change does not rewrite rows: they are read through the schema that they were written under.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from rome.catalog.key_codec import rowid_key
from rome.catalog.model import Catalog, Table
from rome.database.counters import IDS
from rome.errors import Error, NotSupportedError
from rome.folding import fold_name
from rome.session.dml import RolledBackBySQLite
from rome.session.run import with_current_catalog
from rome.sql.analysis.dependencies import indirect_tables
from rome.sql.rewrite.counter_ids import check_function_names, trigger_with_counter_ids
from rome.sql.syntax.ddl import Alteration, SchemaChange
from rome.sql.syntax.statement import Statement, classify
from rome.sql.syntax.tokens import names, quoted
from rome.sqlite.catalog_reader import Renames, read_catalog
from rome.sqlite.errors import translated
from rome.sqlite.pragmas import check_pragma, pragma_of_function
from rome.sqlite.stored_rows import rows_of
from rome.sqlite.workspace import Parameters, Result
from rome.sqlite.workspace_schema import counter_call
from rome.storage.store import Range, rows_space
from rome.transaction.constraints.needed_keys import NeededKeys
from rome.transaction.reads.row_cache import TableRequest, whole
from rome.transaction.savepoints import Savepoint
from rome.transaction.transaction import Transaction
from rome.transaction.writes.sequences import SequenceExhausted
from rome.transaction.writes.write_set import RowWrite

_SAVEPOINT = "rome_statement"

_JUDGES_EACH_ROW = frozenset({"check", "generated", "as"})
"""Words of an added column for which SQLite looks at each row."""
_JUDGES_ANY_ROW = frozenset({"not", "references", "default"})
"""Words of an added column that SQLite may refuse unless the table is empty."""


def change_schema(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Result:
    """Run CREATE, DROP or ALTER. Raise SQLite's errors, the transaction being as before the statement."""
    change = statement.change
    assert change is not None
    if change.virtual:
        raise NotSupportedError(f"virtual tables are not supported: {change.name}")
    check_function_names(sql)
    transaction.next_statement()
    with_current_catalog(transaction.ensure_snapshot)
    for name in names(sql) - transaction.catalog.tables.keys():
        pragma = pragma_of_function(name)
        if pragma is not None:
            check_pragma(pragma)
    workspace = transaction.workspace
    workspace.schema.ensure_all()
    transaction.fetch(list(_needed_rows(transaction, change, sql)))
    transaction.note_judged_rows(list(_judged_tables(transaction, change, sql)))
    text = sql
    if change.action == "create" and change.type == "trigger":
        text = trigger_with_counter_ids(sql, transaction.catalog, counter_call)
    if _is_temporary(transaction, change):
        transaction.load_all_into_workspace()
        workspace.begin()
        workspace.temporary = True
        return workspace.run(text, parameters)
    return _run(transaction, change, text, parameters)


def _is_temporary(transaction: Transaction, change: SchemaChange) -> bool:
    if change.temporary:
        return True
    if change.action == "create" or not transaction.workspace.temporary:
        # An index belongs to the schema of its table.
        return change.type == "index" and transaction.workspace.is_temporary(change.table or "")
    return transaction.workspace.is_temporary(change.name) and change.schema is None


def _needed_rows(transaction: Transaction, change: SchemaChange, sql: str) -> Iterator[TableRequest]:
    """Yield the requests for the rows that SQLite must see."""
    catalog = transaction.catalog
    table = catalog.table(change.table or "")
    if change.action == "create" and change.type == "index" and table is not None:
        yield whole(table)
    if change.as_select:
        for name in _closure(transaction, sql):
            yield whole(catalog.tables[name])
    if table is None or change.type != "table":
        return
    if _deletes_parents(transaction, table, change):
        yield whole(table)
        deletion = classify(f"DELETE FROM {quoted(table.name)}")
        for name in indirect_tables(deletion, frozenset(), catalog):  # of triggers on tables that foreign keys change
            yield whole(catalog.tables[name])
    judged = _judged_by_alter(transaction, table, change, sql)
    if judged is not None:
        yield judged


def _judged_tables(transaction: Transaction, change: SchemaChange, sql: str) -> Iterator[Table]:
    """Yield the tables by whose rows SQLite judges the statement. An added column that suits one row suits several."""
    table = transaction.catalog.table(change.table or "")
    if table is None or change.type != "table":
        return
    if _deletes_parents(transaction, table, change):
        yield table
    judged = _judged_by_alter(transaction, table, change, sql)
    if judged is not None and (judged == whole(table) or not transaction.row_cache.rows((judged,))):
        yield table


def _deletes_parents(transaction: Transaction, table: Table, change: SchemaChange) -> bool:
    """Return True for DROP TABLE of a table that others, or its own rows, refer to: SQLite deletes its rows first."""
    return (
        change.action == "drop" and transaction.foreign_keys and fold_name(table.name) in transaction.catalog.children
    )


def _judged_by_alter(transaction: Transaction, table: Table, change: SchemaChange, sql: str) -> TableRequest | None:
    """Return the request for the rows by which SQLite judges ALTER TABLE: each row, or only that there is one."""
    if change.alteration is None or change.alteration.action not in (Alteration.ADD_COLUMN, Alteration.OTHER):
        return None
    words = names(sql)
    if change.alteration.action == Alteration.OTHER or words & _JUDGES_EACH_ROW:
        return whole(table)
    if not words & _JUDGES_ANY_ROW:
        return None
    if transaction.write_set.has_written((table,)):
        return whole(table)  # the first row may be deleted
    return TableRequest(table, Range(rows_space(table.id), limit=1))


def _closure(transaction: Transaction, sql: str) -> set[str]:
    """Return the lower-case names of the tables that a text mentions, also through views."""
    catalog = transaction.catalog
    found: set[str] = set()
    left = set(names(sql))
    while left:
        name = left.pop()
        if name in found:
            continue
        if name in catalog.tables:
            found.add(name)
        item = catalog.objects.get(name)
        if item is not None and item.type == "view":
            left |= names(item.sql or "") - found - {name}
    return found


def _new_table_id(transaction: Transaction) -> int:
    """Return the id of a new table or index.

    A server that has lost commits may allocate ids again. Those in the catalog are skipped here; commit checks that no
    table had the id before.
    """
    counters = transaction.database.counters
    while (number := counters.take(IDS, 1)[0]) in transaction.catalog.ids:
        counters.drop(IDS)
    return number


class _Trial(NamedTuple):
    """A statement that has run. Its savepoint is still open."""

    savepoint: Savepoint
    writes: list[RowWrite]
    catalog: Catalog
    error: Error | None


def _run(transaction: Transaction, change: SchemaChange, sql: str, parameters: Parameters) -> Result:
    """Run a statement until nothing more has to be fetched for the rows that it deletes or changes (DROP TABLE)."""
    workspace, sequences = transaction.workspace, transaction.sequences
    needed_keys = NeededKeys(transaction.catalog, transaction.entries, transaction.foreign_keys, sequences.allocated)
    while True:
        compared, counters = workspace.recorder.compared_tables, workspace.counters()
        trial = _try(transaction, change, sql, parameters)
        needed = list(needed_keys.of_writes(trial.writes, workspace.deferred_violations))
        missing = transaction.row_cache.missing(needed)
        error = trial.error
        if error is None and not missing:
            break
        exhausted = error.table_id if isinstance(error, SequenceExhausted) else None
        wanted = 0 if exhausted is None else sequences.wanted(exhausted)
        transaction.roll_back_to(trial.savepoint)
        workspace.release(_SAVEPOINT)
        workspace.take_back(counters)
        if exhausted is not None:
            sequences.reserve_more(exhausted, wanted)
        elif error is not None and not missing and workspace.recorder.compared_tables == compared:
            sequences.release_surplus()
            raise error
        transaction.fetch(missing)
    sequences.release_surplus()
    workspace.release(_SAVEPOINT)
    transaction.note_constraint_reads(needed)
    transaction.fetch(list(_rows_of_new_indexes(transaction, trial.catalog)))
    transaction.change_schema(trial.catalog)
    transaction.record([write for write in trial.writes if trial.catalog.table(write.table.name) is not None])
    if change.as_select:
        _record_selected_rows(transaction, change)
    return Result([], None, -1)


def _try(transaction: Transaction, change: SchemaChange, sql: str, parameters: Parameters) -> _Trial:
    """Run a statement under a savepoint. Raise RolledBackBySQLite."""
    workspace = transaction.workspace
    transaction.load_all_into_workspace()
    savepoint = transaction.mark(_SAVEPOINT)
    catalog, error = transaction.catalog, None
    try:
        enforce = transaction.foreign_keys and (change.action == "drop" or _adds_column(change))
        # ALTER changes no row. What SQLite does to rows meanwhile has names that the catalog no longer has.
        workspace.run(sql, parameters, foreign_keys=enforce, record=change.action != "alter")
        with translated():
            catalog = read_catalog(
                workspace.sqlite, transaction.catalog, _renames(change), lambda: _new_table_id(transaction)
            )
    except Error as raised:
        if not workspace.sqlite.in_transaction:
            raise RolledBackBySQLite(raised) from raised
        error = raised
    return _Trial(savepoint, transaction.pending(savepoint), catalog, error)


def _rows_of_new_indexes(transaction: Transaction, after: Catalog) -> Iterator[TableRequest]:
    """Yield requests for all rows of the tables that got an index, of which its entries are made.

    A foreign key gets an index of its own with the key (ADD COLUMN), or when the one that served it goes (DROP INDEX).
    """
    for table in after.tables.values():
        old = transaction.catalog.by_id.get(table.id)
        is_stored = table.id in transaction.initial_catalog.by_id
        if (
            old is not None
            and is_stored
            and {index.id for index in table.indexes} - {index.id for index in old.indexes}
        ):
            yield whole(old)


def _adds_column(change: SchemaChange) -> bool:
    """Return True for ADD COLUMN. SQLite refuses a REFERENCES column with a default where foreign keys are enforced."""
    return change.alteration is not None and change.alteration.action == Alteration.ADD_COLUMN


def _renames(change: SchemaChange) -> Renames:
    alteration = change.alteration
    if alteration is None or alteration.new_name is None:
        return Renames(change.table or "")
    if alteration.action == Alteration.RENAME_TABLE:
        return Renames(fold_name(change.name), new_table=fold_name(alteration.new_name))
    return Renames(fold_name(change.name), column=(fold_name(alteration.column or ""), fold_name(alteration.new_name)))


def _record_selected_rows(transaction: Transaction, change: SchemaChange) -> None:
    """Add the rows of CREATE TABLE … AS SELECT to the write set: SQLite's preupdate hook does not report them."""
    table = transaction.catalog.table(change.name)
    if table is None or transaction.write_set.has_written((table,)):
        return
    rows = rows_of(transaction.workspace.sqlite, table)
    transaction.record([RowWrite(table, None, None, rowid_key(rowid), row, rowid) for rowid, row in rows.values()])
