"""Copy the rows of a table in batches, in the order of its key. Each batch is one transaction of the target.

The order is the same in both databases. So the greatest key in the target tells how far an interrupted copy came.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Dialect, Table, and_, func, insert, select, tuple_
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import JSON, NullType, Text

import rome
from rome.cli.copy.bulk import loader_for
from rome.cli.copy.databases import end_reading
from rome.cli.copy.plan import TableCopy, ordered_by
from rome.cli.failures import CommandFailure

Row = tuple[Any, ...]

_STORED = frozenset({type(None), int, float, str, bytes})
"""Types whose values are the same in all databases."""


def copied_batches(copy: TableCopy, source: Connection, target: Connection, size: int) -> Iterator[int]:
    """Copy the rows that the target does not have. Yield the number of rows of each batch when it is committed."""
    last = last_key(copy.target, copy.key, target) if copy.key else None
    if not copy.key:  # nobody knows how far an interrupted copy came
        target.execute(copy.target.delete())
        target.commit()
    write = _writer(copy.target, target)
    for batch in batches(copy.source, copy.key, source, size, last):
        try:
            write(batch)
        except (TypeError, ValueError) as error:  # of a driver or a type of SQLAlchemy
            raise CommandFailure(f"table {copy.name}: the target can't store a row: {error}") from error
        yield len(batch)


def _writer(table: Table, target: Connection) -> Callable[[Sequence[Row]], None]:
    """Return the function that writes rows to a table, and commits them."""
    names = [column.name for column in table.columns]
    convert = _converter(table)
    driver = target.connection.dbapi_connection
    loader = loader_for(driver, table.name, names) if isinstance(driver, rome.Connection) else None
    if loader is not None:
        load, bind = loader.write, _binder(table, target.dialect)
        return lambda rows: load(map(bind, map(convert, rows)))
    statement = insert(table)

    def write(rows: Sequence[Row]) -> None:
        target.execute(statement, [dict(zip(names, convert(row), strict=True)) for row in rows])
        target.commit()

    return write


def count(table: Table, connection: Connection) -> int:
    """Return the number of a table's rows."""
    number = connection.execute(select(func.count()).select_from(table)).scalar_one()
    end_reading(connection)
    return int(number)


def last_key(table: Table, key: Sequence[str], connection: Connection) -> Row | None:
    """Return the greatest key; None if there is no row."""
    order = [term.desc() for term in ordered_by(table, key, connection.dialect.name)]
    row = connection.execute(select(*(table.c[name] for name in key)).order_by(*order).limit(1)).first()
    end_reading(connection)
    return None if row is None else tuple(row)


def batches(
    table: Table, key: Sequence[str], connection: Connection, size: int, last: Row | None = None
) -> Iterator[list[Row]]:
    """Yield the rows after a key in batches; all of them in one pass if there is no key."""
    query = select(*table.columns)
    if not key:
        result = connection.execution_options(stream_results=True).execute(query)
        for some in result.partitions(size):
            yield [tuple(row) for row in some]
        return
    terms = ordered_by(table, key, connection.dialect.name)
    places = [list(table.columns.keys()).index(name) for name in key]
    query = query.order_by(*terms).limit(size)
    while True:
        after = query if last is None else query.where(_after(table, key, terms, last))
        rows = [*map(tuple, connection.execute(after))]
        end_reading(connection)
        if rows:
            yield rows
        if len(rows) < size:
            return
        last = tuple(rows[-1][place] for place in places)


def _after(table: Table, key: Sequence[str], terms: Sequence[ColumnElement[Any]], last: Row) -> ColumnElement[bool]:
    """Return the condition of the rows whose key is greater than the last one."""
    if len(terms) == 1:
        return and_(terms[0] > last[0])
    return tuple_(*terms) > tuple_(*last, types=[table.c[name].type for name in key])


def _converter(table: Table) -> Callable[[Row], Row]:
    """Return the function that makes rows what the target's types take."""
    if all(isinstance(column.type, NullType) for column in table.columns):
        return lambda row: row  # stored values, as they are
    texts = [isinstance(column.type, Text) and not isinstance(column.type, JSON) for column in table.columns]
    return lambda row: tuple(map(converted, row, texts))


def _binder(table: Table, dialect: Dialect) -> Callable[[Row], Row]:
    """Return the function that makes of values what SQLAlchemy would pass to the driver."""
    found: list[Any] = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in table.columns]
    if not any(found):
        return lambda row: row
    processors = [process or (lambda value: value) for process in found]
    return lambda row: tuple([process(value) for process, value in zip(processors, row, strict=True)])


def converted(value: Any, is_text: bool) -> Any:
    """Return a value without what other databases do not have: time zones, views of memory, types of one database."""
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return str(value) if is_text and value is not None and not isinstance(value, (str, bytes)) else value


def canonical_row(row: Row) -> Row:
    """Return a row whose `repr` is the same for equal rows of both databases."""
    return row if _STORED.issuperset(map(type, row)) else tuple(map(canonical, row))


def canonical(value: Any) -> Any:
    """Return a value whose `repr` is the same for equal values of both databases."""
    value = converted(value, is_text=False)
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, default=str)
    if isinstance(value, Decimal):
        return str(value.normalize())
    return value if value is None or isinstance(value, (int, float, str, bytes)) else str(value)
