"""Names for constraints that were declared without one, made as PostgreSQL makes them.

    CREATE TABLE c (
        id INTEGER PRIMARY KEY,               c_pkey
        pid INTEGER REFERENCES p,             c_pid_fkey
        a TEXT CHECK (a > ''),                c_a_check
        UNIQUE (pid, a),                      c_pid_a_key
        CHECK (pid > 0 OR a = 'x')            c_check
    )

They are not stored: they follow from the table's text, so they change when the table or a column is renamed. Where two
would be equal, or equal to a declared name, the later one gets a number: `c_pid_fkey1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from rome.folding import fold_name
from rome.sql.syntax.create_table import ColumnClause, TableText
from rome.sql.syntax.tokens import TokenKind, tokenize

_LABELS = {"PRIMARY": "pkey", "UNIQUE": "key", "REFERENCES": "fkey", "FOREIGN": "fkey", "CHECK": "check"}
"""The first word of a constraint → the last part of its name."""


class _Place(NamedTuple):
    """Where a constraint is: the position of its column, or None for one of the table, and that of the clause."""

    column: int | None
    clause: int


class Constraint(NamedTuple):
    """A constraint of a table. `kind`: pkey, key, fkey or check."""

    kind: str
    name: str
    columns: tuple[str, ...]
    """The columns of the table that the constraint is about."""
    place: _Place


def constraints_of(table: str, text: TableText) -> list[Constraint]:
    """Return the constraints of a table, in the order of its text, each with a name."""
    found = list(_clauses(text))
    taken = {fold_name(clause.name) for _, clause in found if clause.name is not None}
    named = []
    for place, clause in found:
        kind, columns, name = _LABELS[clause.kind], _columns(text, place, clause), clause.name
        if name is None:
            name = _free("_".join((table, *(() if kind == "pkey" else columns), kind)), taken)
        named.append(Constraint(kind, name, columns, place))
    return named


def without_constraint(table: str, text: TableText, name: str) -> TableText:
    """Return the text without the constraint of that name, declared or made. Raise KeyError if there is none."""
    for constraint in constraints_of(table, text):
        if fold_name(constraint.name) == fold_name(name):
            return _without(text, constraint.place)
    raise KeyError(name)


def _clauses(text: TableText) -> Iterator[tuple[_Place, ColumnClause]]:
    for at, column in enumerate(text.columns):
        for position, clause in enumerate(column.clauses):
            if clause.kind in _LABELS:
                yield _Place(at, position), clause
    for position, clause in enumerate(text.constraints):
        yield _Place(None, position), clause


def _columns(text: TableText, place: _Place, clause: ColumnClause) -> tuple[str, ...]:
    """Return the columns of a constraint; for a CHECK of the table, the only column that it mentions, or none."""
    if place.column is not None:
        return (text.columns[place.column].name,)
    declared = {fold_name(column.name): column.name for column in text.columns}
    tokens = tokenize(clause.text)
    start = next(at for at, token in enumerate(tokens) if token.is_op("("))
    mentioned = []
    for token in tokens[start + 1 :]:
        if clause.kind != "CHECK" and token.is_op(")"):
            break
        name = declared.get(fold_name(token.name)) if token.kind in (TokenKind.WORD, TokenKind.QUOTED) else None
        if name is not None and name not in mentioned:
            mentioned.append(name)
    return tuple(mentioned) if clause.kind != "CHECK" or len(mentioned) == 1 else ()


def _free(name: str, taken: set[str]) -> str:
    """Return the name, or the name with the first number that makes it unique; add it to those taken."""
    found, number = name, 0
    while fold_name(found) in taken:
        number += 1
        found = f"{name}{number}"
    taken.add(fold_name(found))
    return found


def _without(text: TableText, place: _Place) -> TableText:
    at = place.clause
    if place.column is None:
        return replace(text, constraints=(*text.constraints[:at], *text.constraints[at + 1 :]))
    column = text.columns[place.column]
    return text.with_column(replace(column, clauses=(*column.clauses[:at], *column.clauses[at + 1 :])))
