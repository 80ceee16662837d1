"""CHECK constraints of tables that Alembic's batch mode rebuilds: they follow columns that are dropped or renamed.

Batch mode carries a constraint with a name to the new table as it is, and SQLite's constraints without a name get lost.
On ROME each constraint has a name (`rome.sql.syntax.constraint_names`). As on PostgreSQL, one that mentions a dropped
column is dropped, and a renamed column has its new name.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import CheckConstraint, Table, text

from rome.folding import fold_name
from rome.sql.syntax.tokens import names, quoted, tokenize


def fit_checks(new: Table, renamed: Mapping[str, str], dropped: frozenset[str]) -> None:
    """Change the CHECK constraints of the new table. `renamed`: old name → new name; all names are in lower case."""
    for constraint in [each for each in new.constraints if isinstance(each, CheckConstraint)]:
        sql = str(constraint.sqltext)
        mentioned = names(sql)
        if mentioned & dropped:
            new.constraints.discard(constraint)
        elif mentioned & renamed.keys():
            constraint.sqltext = text(_with_names(sql, renamed).replace(":", "\\:"))


def _with_names(sql: str, renamed: Mapping[str, str]) -> str:
    """Return an expression with other names of columns. A text in single quotes is no name here."""
    for token in reversed(tokenize(sql)):
        name = renamed.get(fold_name(token.name)) if token.is_name and not token.text.startswith("'") else None
        if name is not None:
            sql = sql[: token.start] + quoted(name) + sql[token.end :]
    return sql
