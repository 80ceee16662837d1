"""INSERT with ids from a counter, and the values of its new rows as far as they are known before it runs.

The values of an INTEGER PRIMARY KEY and of hidden rowids come from a counter in the store. SQLite's own choice (the
greatest rowid that is loaded, plus one) would be wrong, so the statement is made to call a function. The call is
inserted into the text; nothing else of the text changes, and parameters keep their order.

    INSERT INTO t (a) VALUES (?), (?)     INSERT INTO t ("id", a) VALUES (rome_next('t'), ?), (rome_next('t'), ?)
    INSERT INTO t VALUES (?, ?)           INSERT INTO t VALUES (coalesce(?, rome_next('t')), ?)
    INSERT INTO t DEFAULT VALUES          INSERT INTO t ("id") VALUES (rome_next('t'))
    INSERT INTO t (a) SELECT b FROM u     INSERT INTO t ("id", a) WITH rome_rows AS MATERIALIZED (SELECT b FROM u)
                                              SELECT rome_next('t'), rome_rows.* FROM rome_rows WHERE true

The selected rows are materialized so that the ids follow their ORDER BY, whatever SQLite's optimizer does to the query.
SQLite's documentation requires the `WHERE true` before an upsert clause, whose ON could be that of a join.

An OR REPLACE of a statement is not for ids that it does not give. SQLite would compile the deletion of a row with the
same id, which raises `foreign key mismatch` where a child refers to the table by columns that are no key:

    REPLACE INTO t (a) VALUES (?)         REPLACE INTO t ("id", a) VALUES (rome_next('t'), ?)
                                              ON CONFLICT ("id") DO NOTHING

The keys of new rows must be known before the statement runs, so that the rows that may already have them are fetched:
`insert_value_rows` returns the source of each value of an INSERT … VALUES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from rome.catalog.model import Catalog, Column, Table
from rome.errors import OperationalError
from rome.folding import fold_name
from rome.sql.analysis.resolve_names import rowid_names
from rome.sql.syntax.ddl import skip_trigger_head
from rome.sql.syntax.dml import InsertStatement, RowSource, Span, read_insert, read_insert_at
from rome.sql.syntax.operands import Const, Param, Source, literal, number_parameters
from rome.sql.syntax.tokens import Token, TokenReader, names, quoted, tokenize

Row = Mapping[str, Source | None]
"""The source of each column's value, by name in lower case; None if only running the statement can tell.

The column's affinity is not yet applied. NULL for the counted column means the next id.
"""


@dataclass(frozen=True, slots=True)
class ValueRows:
    """The rows of an INSERT … VALUES or INSERT … DEFAULT VALUES, and the statement's text in parts."""

    rows: tuple[Row, ...]
    insert: InsertStatement


class Splice(NamedTuple):
    """A text in place of sql[start:end]."""

    start: int
    end: int
    text: str


COUNTER_FUNCTION = "rome_next"


def check_function_names(sql: str) -> None:
    """Raise OperationalError, in SQLite's words, if a statement of the application calls the counter's function."""
    if COUNTER_FUNCTION not in names(sql):
        return
    tokens = tokenize(sql)
    for token, following in pairwise(tokens):
        if token.is_name and fold_name(token.name) == COUNTER_FUNCTION and following.is_op("("):
            raise OperationalError(f"object name reserved for internal use: {COUNTER_FUNCTION}")


def with_counter_ids(sql: str, table: Table, function: str) -> str:
    """Return an INSERT that takes `table.counted` from a function where its value is missing or NULL.

    `function`: the SQL of a call. A text that is no well-formed INSERT is returned as it is, and so is an INSERT into a
    table without a counted column.
    """
    insert = read_insert(sql)
    if insert is None or table.counted is None:
        return sql
    return _apply(sql, _splices(insert, table, function))


def trigger_with_counter_ids(sql: str, catalog: Catalog, function_of_table: Callable[[Table], str]) -> str:
    """Return a CREATE TRIGGER with each INSERT of its body changed as by `with_counter_ids`.

    What is inserted stands between comments, by which `original_trigger` finds it: SQLite keeps the text, and changes
    the names in it when a table or column is renamed.
    """
    reader = TokenReader(sql)
    skip_trigger_head(reader)
    splices: list[Splice] = []
    while not reader.done:
        insert = read_insert_at(reader)
        table = catalog.table(insert.table) if insert else None
        is_legal = insert is not None and insert.row_source is not RowSource.DEFAULT  # a syntax error in a trigger
        if insert and is_legal and table and table.counted:
            splices.extend(_splices(insert, table, function_of_table(table), is_in_trigger=True))
        reader.skip_to(";")
        reader.take(";")
    # A trigger has no DEFAULT VALUES, so nothing of its text is replaced.
    return _apply(sql, [splice._replace(text=_BEGIN + splice.text + _END) for splice in splices])


_BEGIN, _END = "/*rome<*/", "/*rome>*/"
"""The comments around what is inserted into a trigger."""


def original_trigger(sql: str) -> str:
    """Return the text of a trigger as it was before `trigger_with_counter_ids`."""
    if _BEGIN not in sql:
        return sql
    kept: list[str] = []
    at = end = 0
    begin = -1
    for token in tokenize(sql):
        # What is between two tokens is spaces and comments.
        closing = sql.find(_END, end, token.start) if begin >= 0 else -1
        if closing >= 0:
            kept.append(sql[at:begin])
            at, begin = closing + len(_END), -1
        if begin < 0:
            begin = sql.rfind(_BEGIN, max(at, end), token.start)
        end = token.end
    return "".join(kept) + sql[at:]


def insert_value_rows(sql: str, table: Table) -> ValueRows | None:
    """Return the rows that an INSERT, as the application wrote it, gives values for; None for INSERT … SELECT."""
    insert = read_insert(sql)
    if insert is None or insert.row_source is RowSource.SELECT:
        return None
    omitted = omitted_values(table)
    if insert.row_source is RowSource.DEFAULT:
        return ValueRows((omitted,), insert)
    columns = insert.columns or tuple(fold_name(name) for name in _insertable_columns(table))
    if table.counted is not None:
        hidden = rowid_names(table)
        columns = tuple(fold_name(table.counted) if name in hidden else name for name in columns)
    if any(len(row) != len(columns) for row in insert.values):
        return None
    params = number_parameters(insert.tokens)
    return ValueRows(tuple([_row(insert.tokens, columns, row, params, omitted) for row in insert.values]), insert)


def omitted_values(table: Table) -> dict[str, Source | None]:
    """Return the source of what each column gets that an INSERT gives no value."""
    omitted = {fold_name(column.name): _default(column) for column in table.columns}
    if table.counted is not None:
        omitted[fold_name(table.counted)] = Const(None)
    return omitted


def _row(
    tokens: Sequence[Token],
    columns: tuple[str, ...],
    spans: tuple[Span, ...],
    params: Mapping[int, Param],
    omitted: Row,
) -> Row:
    row = dict(omitted)
    for at, (name, (begin, end)) in enumerate(zip(columns, spans, strict=True)):
        if name in columns[:at]:
            row[name] = None  # SQLite decides which of the values of a column that is named twice it takes
        elif end - begin == 1 and begin in params:
            row[name] = params[begin]
        else:
            row[name] = literal(tokens[begin:end])
    return row


def _default(column: Column) -> Source | None:
    if column.generated:
        return None
    return Const(None) if column.default is None else literal(tokenize(column.default))


def _insertable_columns(table: Table) -> tuple[str, ...]:
    """Return the columns that an INSERT without a column list gives values for."""
    return tuple(column.name for column in table.columns if not column.generated)


# ── splices ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _apply(sql: str, splices: list[Splice]) -> str:
    pieces: list[str] = []
    at = 0
    for splice in sorted(splices):
        pieces += (sql[at : splice.start], splice.text)
        at = splice.end
    return "".join(pieces) + sql[at:]


def _splices(insert: InsertStatement, table: Table, function: str, *, is_in_trigger: bool = False) -> list[Splice]:
    """Return the splices of an INSERT. That of a trigger takes over the OR REPLACE of the statement that fires it."""
    assert table.counted is not None
    columns = insert.columns or tuple(fold_name(name) for name in _insertable_columns(table))
    place = next((at for at, name in enumerate(columns) if name in rowid_names(table)), None)
    is_guarded = place is None and (insert.replaces or is_in_trigger)
    guard = f" ON CONFLICT ({quoted(table.counted)}) DO NOTHING" if is_guarded else ""
    if insert.row_source is RowSource.DEFAULT:
        begin, end = (insert.tokens[at] for at in (insert.source[0], insert.source[1] - 1))
        return [Splice(begin.start, end.end, f"({quoted(table.counted)}) VALUES ({function}){guard}")]
    splices = [] if place is not None else [_add_column(insert, table)]
    if insert.row_source is RowSource.SELECT:
        return splices + _change_select(insert, function, place, len(columns), guard)
    return splices + list(_change_values(insert, function, place, guard))


def _add_column(insert: InsertStatement, table: Table) -> Splice:
    """Return the splice that puts the counted column first in the column list, which it writes if there is none."""
    name = quoted(table.counted or "")
    if insert.columns is not None:
        after = insert.tokens[insert.head].end
        return Splice(after, after, f"{name}, ")
    after = insert.tokens[insert.head - 1].end
    return Splice(after, after, f" ({', '.join((name, *map(quoted, _insertable_columns(table))))})")


def _change_values(insert: InsertStatement, function: str, place: int | None, guard: str) -> Iterator[Splice]:
    for row in insert.values:
        if place is None:
            start = insert.tokens[row[0][0]].start
            yield Splice(start, start, f"{function}, ")
        elif place < len(row):  # else the row is too short, and SQLite reports it
            first, after = row[place]
            start, end = insert.tokens[first].start, insert.tokens[after - 1].end
            yield Splice(start, start, "coalesce(")
            yield Splice(end, end, f", {function})")
    if guard:
        end = insert.tokens[insert.source[1] - 1].end
        yield Splice(end, end, guard)


def _change_select(insert: InsertStatement, function: str, place: int | None, width: int, guard: str) -> list[Splice]:
    start, end = insert.tokens[insert.source[0]].start, insert.tokens[insert.source[1] - 1].end
    rows = "rome_rows"
    used = {fold_name(token.name) for token in insert.tokens if token.is_name}
    while rows in used:  # a table of the application
        rows += "_"
    if place is None:
        head, selected = rows, f"{function}, {rows}.*"
    else:
        given = [f"c{at}" for at in range(width)]
        head = f"{rows} ({', '.join(given)})"
        selected = ", ".join(f"coalesce({name}, {function})" if at == place else name for at, name in enumerate(given))
    return [
        Splice(start, start, f"WITH {head} AS MATERIALIZED ("),
        Splice(end, end, f") SELECT {selected} FROM {rows} WHERE true{guard}"),
    ]
