"""INSERT statements: numbers for their counted column, and what is known of their rows before they run.

The numbers of an INTEGER PRIMARY KEY and of hidden rowids come from a counter in the store. SQLite's own choice (the
greatest rowid that is loaded, plus one) would be wrong, so the statement is made to call a function. The call is
spliced into the text; nothing else of it changes, and parameters keep their order.

    INSERT INTO t (a) VALUES (?), (?)     INSERT INTO t ("id", a) VALUES (rome_next('t'), ?), (rome_next('t'), ?)
    INSERT INTO t VALUES (?, ?)           INSERT INTO t VALUES (coalesce(?, rome_next('t')), ?)
    INSERT INTO t DEFAULT VALUES          INSERT INTO t ("id") VALUES (rome_next('t'))
    INSERT INTO t (a) SELECT b FROM u     INSERT INTO t ("id", a) WITH rome_rows AS MATERIALIZED (SELECT b FROM u)
                                              SELECT rome_next('t'), rome_rows.* FROM rome_rows WHERE true

The selected rows are materialized so that the numbers follow their ORDER BY, whatever SQLite makes of the query. The
`WHERE true` is what SQLite's documentation asks for before an upsert clause, whose ON could be that of a join.

The keys of new rows must be known before the statement runs, so that the rows that may hold them already are fetched:
`insert_value_rows` says where each value of an INSERT … VALUES comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rome.catalog.model import Catalog, Column, Table
from rome.sql.analysis.resolve_names import rowid_names
from rome.sql.syntax.dml import InsertShape, Rows, Span, read_insert
from rome.sql.syntax.operands import Const, Param, Source, literal, number_parameters
from rome.sql.syntax.tokens import TokenReader, tokenize

Row = Mapping[str, Source | None]
"""Column name in lower case → where its value comes from; None where only running the statement can tell.

The value is not yet converted by the column's affinity. A NULL for the counted column means the next number.
"""


@dataclass(frozen=True, slots=True)
class ValueRows:
    """The rows of an INSERT … VALUES or INSERT … DEFAULT VALUES."""

    rows: tuple[Row, ...]


class Splice(NamedTuple):
    """A text to put in place of sql[start:end]."""

    start: int
    end: int
    text: str


def counted(sql: str, table: Table, function: str) -> str:
    """The INSERT statement with `table.counted` from `function` (SQL of a call) where it is left out or NULL.

    A text that is not formed as an INSERT, or a table without a counted column, leaves the text as it is.
    """
    reader = TokenReader(sql)
    if not reader.skip_with():
        return sql
    shape = read_insert(reader)
    if shape is None or table.counted is None:
        return sql
    return _spliced(sql, _splices(reader, shape, table, function))


def trigger_with_counter_ids(sql: str, catalog: Catalog, function_of_table: Callable[[Table], str]) -> str:
    """The CREATE TRIGGER statement with every INSERT of its body treated as by `counted`."""
    reader = TokenReader(sql)
    while not reader.done and not reader.take("BEGIN"):
        reader.at += 1
    splices: list[Splice] = []
    while not reader.done:
        shape = read_insert(reader)
        table = catalog.table(shape.table) if shape else None
        if shape and table and table.counted:
            splices.extend(_splices(reader, shape, table, function_of_table(table)))
        while not reader.done and not reader.take(";"):
            reader.at += 1
    return _spliced(sql, splices)


def insert_value_rows(sql: str, table: Table) -> ValueRows | None:
    """The rows that an INSERT (as it was written, not as `counted` makes it) gives; None for INSERT … SELECT."""
    reader = TokenReader(sql)
    shape = read_insert(reader) if reader.skip_with() else None
    if shape is None or shape.rows is Rows.SELECT:
        return None
    omitted = {column.name.lower(): _default(column) for column in table.columns}
    if table.counted is not None:
        omitted[table.counted.lower()] = Const(None)
    if shape.rows is Rows.DEFAULT:
        return ValueRows((omitted,))
    columns = shape.columns or tuple(name.lower() for name in _insertable(table))
    if table.counted is not None:
        hidden = rowid_names(table)
        columns = tuple(table.counted.lower() if name in hidden else name for name in columns)
    if any(len(row) != len(columns) for row in shape.values):
        return None
    params = number_parameters(reader.tokens)
    return ValueRows(tuple(_row(reader, columns, row, params, omitted) for row in shape.values))


def _insertable(table: Table) -> tuple[str, ...]:
    """The columns that an INSERT without a column list gives values for."""
    return tuple(column.name for column in table.columns if not column.generated)


def _spliced(sql: str, splices: list[Splice]) -> str:
    pieces: list[str] = []
    at = 0
    for splice in sorted(splices):
        pieces += (sql[at : splice.start], splice.text)
        at = splice.end
    return "".join(pieces) + sql[at:]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _splices(reader: TokenReader, shape: InsertShape, table: Table, function: str) -> list[Splice]:
    assert table.counted is not None
    columns = shape.columns or tuple(name.lower() for name in _insertable(table))
    place = next((at for at, name in enumerate(columns) if name in rowid_names(table)), None)
    if shape.rows is Rows.DEFAULT:
        begin, end = (reader.tokens[at] for at in (shape.source[0], shape.source[1] - 1))
        return [Splice(begin.start, end.end, f"({_quoted(table.counted)}) VALUES ({function})")]
    splices = [] if place is not None else [_listed(reader, shape, table)]
    if shape.rows is Rows.SELECT:
        return splices + _from_select(reader, shape, function, place, len(columns))
    return splices + list(_into_values(reader, shape, function, place))


def _listed(reader: TokenReader, shape: InsertShape, table: Table) -> Splice:
    """The splice that names the counted column first in the column list, which is written out if there is none."""
    name = _quoted(table.counted or "")
    if shape.columns is not None:
        after = reader.tokens[shape.head].end
        return Splice(after, after, f"{name}, ")
    after = reader.tokens[shape.head - 1].end
    return Splice(after, after, f" ({', '.join((name, *map(_quoted, _insertable(table))))})")


def _into_values(reader: TokenReader, shape: InsertShape, function: str, place: int | None) -> Iterator[Splice]:
    for row in shape.values:
        if place is None:
            start = reader.tokens[row[0][0]].start
            yield Splice(start, start, f"{function}, ")
        elif place < len(row):  # else the row is too short, and SQLite says so
            first, behind = row[place]
            start, end = reader.tokens[first].start, reader.tokens[behind - 1].end
            yield Splice(start, end, f"coalesce({reader.sql[start:end]}, {function})")


def _from_select(reader: TokenReader, shape: InsertShape, function: str, place: int | None, width: int) -> list[Splice]:
    start, end = reader.tokens[shape.source[0]].start, reader.tokens[shape.source[1] - 1].end
    if place is None:
        head, selected = "rome_rows", f"{function}, rome_rows.*"
    else:
        names = [f"c{at}" for at in range(width)]
        head = f"rome_rows ({', '.join(names)})"
        selected = ", ".join(f"coalesce({name}, {function})" if at == place else name for at, name in enumerate(names))
    return [
        Splice(start, start, f"WITH {head} AS MATERIALIZED ("),
        Splice(end, end, f") SELECT {selected} FROM rome_rows WHERE true"),
    ]


def _row(
    reader: TokenReader, columns: tuple[str, ...], spans: tuple[Span, ...], params: Mapping[int, Param], omitted: Row
) -> Row:
    row = dict(omitted)
    for at, (name, span) in enumerate(zip(columns, spans, strict=True)):
        # Of a column that is named twice, one value is lost: which one is SQLite's business.
        row[name] = None if name in columns[:at] else _source(reader, span, params)
    return row


def _source(reader: TokenReader, span: Span, params: Mapping[int, Param]) -> Source | None:
    begin, end = span
    if end - begin == 1 and begin in params:
        return params[begin]
    return literal(reader.tokens[begin:end])


def _default(column: Column) -> Source | None:
    if column.generated:
        return None
    return Const(None) if column.default is None else literal(tokenize(column.default))
