"""The CHECK constraints and indexes of a copied table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CheckConstraint, Column, Connection, Index, Table, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import AddConstraint
from sqlalchemy.sql.elements import quoted_name

from rome.cli.copy.mysql import is_mysql
from rome.cli.copy.schema import Conversion, first_line
from rome.cli.copy.translate import Untranslatable


def convert_checks(table: Table, conversion: Conversion) -> list[CheckConstraint]:
    """Translate the CHECK constraints of a copied table. Return those that are to be added after the rows."""
    added = []
    for number, constraint in enumerate(_checks_of(table)):
        table.constraints.discard(constraint)
        try:
            sql = conversion.translate(str(constraint.sqltext), table)
        except Untranslatable as error:
            conversion.note(_not_copied(constraint, table, str(error)))
            continue
        name = constraint.name or f"{table.name}_check_{number + 1}"
        made = CheckConstraint(text(sql.replace(":", "\\:")), name=name)
        if conversion.to_sqlite:
            table.append_constraint(made)
        else:
            added.append(made)
    return added


def _checks_of(table: Table) -> list[CheckConstraint]:
    found = [each for each in table.constraints if isinstance(each, CheckConstraint)]
    return sorted(found, key=lambda each: (str(each.name or ""), str(each.sqltext)))


def add_checks(target: Connection, table: Table, checks: Sequence[CheckConstraint], notes: list[str]) -> None:
    """Add CHECK constraints that the target lacks. Note those that it refuses."""
    present = {each["name"] for each in inspect(target).get_check_constraints(table.name)}
    for constraint in checks:
        if constraint.name in present:
            continue
        target.commit()
        table.append_constraint(constraint)
        try:
            target.execute(AddConstraint(constraint))
            target.commit()
        except SQLAlchemyError as error:
            target.rollback()
            notes.append(_not_copied(constraint, table, first_line(error)))


def _not_copied(constraint: CheckConstraint, table: Table, reason: str) -> str:
    return f"a CHECK constraint of {table.name} is not copied, because of {reason}: {constraint.sqltext}"


def convert_indexes(table: Table, target: Connection, conversion: Conversion, taken: set[str]) -> list[str]:
    """Convert the indexes of a copied table. Return statements that make those with expressions, and partial ones.

    `taken`: the names of tables and indexes, which must differ in SQLite.
    """
    statements = []
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        if conversion.to_sqlite and str(index.name) in taken:
            index.name = quoted_name(f"{table.name}_{index.name}", None)
        taken.add(str(index.name))
        method = index.dialect_kwargs.get("postgresql_using") or "btree"
        if method not in ("btree", "hash"):
            table.indexes.discard(index)
            conversion.note(f"the index {index.name} of {table.name} is not copied: its method is {method}")
            continue
        where = _where_of(index)
        if where is None and all(isinstance(each, Column) for each in index.expressions):
            continue
        table.indexes.discard(index)
        try:
            if is_mysql(target):
                raise Untranslatable("an expression or a condition")
            statements.append(_create_index(index, where, table, target, conversion))
        except Untranslatable as error:
            conversion.note(f"the index {index.name} of {table.name} is not copied, because of {error}")
    return statements


def _where_of(index: Index) -> Any:
    found = [value for name, value in index.dialect_kwargs.items() if name.endswith("_where")]
    return next((value for value in found if value is not None), None)


def _create_index(index: Index, where: Any, table: Table, target: Connection, conversion: Conversion) -> str:
    quote = target.dialect.identifier_preparer.quote
    terms = [
        quote(term.name) if isinstance(term, Column) else f"({conversion.translate(str(term), table)})"
        for term in index.expressions
    ]
    unique = "UNIQUE " if index.unique else ""
    condition = "" if where is None else f" WHERE {conversion.translate(str(where), table)}"
    name = quote(str(index.name))
    return f"CREATE {unique}INDEX IF NOT EXISTS {name} ON {quote(table.name)} ({', '.join(terms)}){condition}"
