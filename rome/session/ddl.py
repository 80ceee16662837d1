"""Statements that change the schema: SQLite makes the change in the workspace, and the catalog is read back from it.

What SQLite must see is loaded first: all rows of a table that gets an index (a unique one may fail, and its entries are
made of them), some or all rows where a column is added (SQLite refuses some columns unless the table is empty), and the
children of a parent that is dropped. Rows themselves are not rewritten by a change of the schema.
"""

from __future__ import annotations

from collections.abc import Iterator

from rome.catalog.key_codec import rowid_key
from rome.database.counters import IDS
from rome.errors import Error, NotSupportedError
from rome.session.dml import RolledBackBySQLite
from rome.session.run import with_current_catalog
from rome.sql.rewrite.counter_ids import trigger_with_counter_ids
from rome.sql.syntax.ddl import Alteration, SchemaChange
from rome.sql.syntax.statement import Statement
from rome.sql.syntax.tokens import names
from rome.sqlite.catalog_reader import Renames, read_catalog
from rome.sqlite.errors import translated
from rome.sqlite.workspace import Parameters, Result
from rome.sqlite.workspace_schema import counter_call
from rome.storage.store import Range, rows_space
from rome.transaction.reads.row_cache import TableRequest, whole
from rome.transaction.transaction import Transaction
from rome.transaction.writes.write_set import RowWrite

_SAVEPOINT = "rome_statement"


def change_schema(transaction: Transaction, statement: Statement, sql: str, parameters: Parameters) -> Result:
    """Run CREATE, DROP or ALTER. Raises SQLite's errors; the transaction is as before the statement then."""
    change = statement.change
    assert change is not None
    if change.virtual:
        raise NotSupportedError(f"virtual tables are not supported: {change.name}")
    transaction.next_statement()
    with_current_catalog(transaction.ensure_snapshot)
    workspace = transaction.workspace
    workspace.schema.ensure_all()
    transaction.fetch(list(_targets(transaction, change, sql)))
    if _is_temporary(transaction, change):
        transaction.stage_all()
        workspace.begin()
        workspace.temporary = True
        return workspace.run(sql, parameters)
    return _run(transaction, change, sql, parameters)


def _is_temporary(transaction: Transaction, change: SchemaChange) -> bool:
    if change.temporary:
        return True
    if change.action == "create" or not transaction.workspace.temporary:
        # An index belongs to the schema of its table.
        return change.type == "index" and transaction.workspace.is_temporary(change.table or "")
    return transaction.workspace.is_temporary(change.name) and change.schema is None


def _targets(transaction: Transaction, change: SchemaChange, sql: str) -> Iterator[TableRequest]:
    """What SQLite must see."""
    catalog = transaction.catalog
    table = catalog.table(change.table or "")
    if change.action == "create" and change.type == "index" and table is not None:
        yield whole(table)
    if change.as_select:
        for name in _closure(transaction, sql):
            yield whole(catalog.tables[name])
    if table is None or change.type != "table":
        return
    if change.action == "drop" and transaction.foreign_keys:
        children = {key.table.lower() for key in catalog.children.get(table.name.lower(), ())} - {table.name.lower()}
        for child in children:
            yield whole(catalog.tables[child])
        if children:
            yield whole(table)
    if change.alteration is not None and change.alteration.action in (Alteration.ADD_COLUMN, Alteration.OTHER):
        if {"check", "generated", "as"} & names(sql) or change.alteration.action == Alteration.OTHER:
            yield whole(table)
        else:
            yield TableRequest(table, Range(rows_space(table.id), limit=1))


def _closure(transaction: Transaction, sql: str) -> set[str]:
    """The tables that a text mentions, through views."""
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


def _new_id(transaction: Transaction) -> int:
    """The id of a new table or index. One that our catalog has already was given out twice, by a server that went back;
    commit finds out those that it had.
    """
    counters = transaction.database.counters
    while (number := counters.next(IDS)) in transaction.catalog.ids:
        counters.drop(IDS)
    return number


def _run(transaction: Transaction, change: SchemaChange, sql: str, parameters: Parameters) -> Result:
    workspace = transaction.workspace
    text = sql
    if change.action == "create" and change.type == "trigger":
        text = trigger_with_counter_ids(sql, transaction.catalog, counter_call)
    transaction.stage_all()
    mark = transaction.mark(_SAVEPOINT)
    try:
        enforce = transaction.foreign_keys and change.action == "drop"
        # ALTER changes no row; what SQLite does to them meanwhile is under names that are not the catalog's any more.
        workspace.run(text, parameters, foreign_keys=enforce, record=change.action != "alter")
        entries = transaction.pending(mark)
        with translated():
            catalog = read_catalog(
                workspace.sqlite,
                transaction.catalog,
                _renames(change),
                lambda: _new_id(transaction),
                {change.name.lower(): _as_sqlite_keeps(sql)} if text != sql else {},
            )
    except Error as error:
        if not workspace.sqlite.in_transaction:
            raise RolledBackBySQLite(error) from error
        transaction.back_to(mark)
        workspace.release(_SAVEPOINT)
        raise
    workspace.release(_SAVEPOINT)
    transaction.change_schema(catalog)
    transaction.record([entry for entry in entries if catalog.table(entry.table.name) is not None])
    if change.as_select:
        _record_selected_rows(transaction, change)
    return Result([], None, -1)


def _as_sqlite_keeps(sql: str) -> str:
    """The text of a trigger without what follows its END."""
    return sql.strip().rstrip(";").rstrip()


def _renames(change: SchemaChange) -> Renames:
    alteration = change.alteration
    if alteration is None or alteration.new_name is None:
        return Renames(change.table or "")
    if alteration.action == Alteration.RENAME_TABLE:
        return Renames(change.name.lower(), new_table=alteration.new_name.lower())
    return Renames(change.name.lower(), column=((alteration.column or "").lower(), alteration.new_name.lower()))


def _record_selected_rows(transaction: Transaction, change: SchemaChange) -> None:
    """CREATE TABLE … AS SELECT fills its table without the workspace noticing: put its rows into the journal."""
    table = transaction.catalog.table(change.name)
    if table is None or any(entry.table.id == table.id for entry in transaction.journal):
        return
    rows = transaction.workspace.rows_of(table)
    transaction.record([RowWrite(table, None, None, rowid_key(rowid), row, rowid) for rowid, row in rows.values()])
