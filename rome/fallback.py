"""Fallbacks: the exceptions by which a fast path says that it does not apply.

ROME has fast paths for the common cases (an index lookup, a compiled SELECT, an INSERT without SQLite) and a general
path for all others. A fast path takes only what it is certain of. Where certainty ends, deep inside of it, it raises
one of these; its entry point catches it and takes the general path. Nothing has been changed by then, so the general
path starts from the same state, and the application sees its result only: **a Fallback never reaches the application**.

A new fast path raises the member that fits, or gets a member of its own here, with who raises it, who catches it and
what happens instead.
"""

from __future__ import annotations


class Fallback(Exception):
    """A fast path does not apply; the general path takes over. It never reaches the application."""


# ── analysis and planning: a wider access path ────────────────────────────────────────────────────────────────────────


class ScopeNotUnderstood(Fallback):
    """A query block has a FROM clause of a form that the analysis does not know.

    Raised by `rome.sql.analysis.scopes.Scope`; caught by `rome.sql.analysis.scopes.Scopes`. The block gets no scope:
    no predicate of it is pushed down, the tables in it are fetched whole, and the statement is not compiled.
    """


class NotConvertible(Fallback):
    """Only SQLite can convert this value: a float to text, or a text of very many digits to a number.

    Raised by the conversions of `rome.values`; caught where an index key is built of a value: by
    `rome.sql.planner.bind`, which fetches the whole table instead of a lookup, and by
    `rome.transaction.constraints.table_keys`, which reads the whole parent or child table, or by
    `rome.transaction.constraints.needed_keys`, which checks the constraint after the statement ran. The compiled
    evaluator turns it into UnsupportedValue, and `rome.session.point_plan` into NeedsWorkspace.
    """


class ValueNotKnown(Fallback):
    """The value of an operand is not known here: its parameter is missing, or of a type that SQLite may refuse.

    Raised by `rome.sql.syntax.operands.value_of`. Caught by `rome.sql.planner.bind` (the whole table is fetched), by
    the compiled evaluator (as an UnsupportedValue), and by the DML and FOR UPDATE statements of `rome.session`, which
    treat the value as unknown. SQLite, which runs the statement then, raises the error that the application sees.
    """


class PathTooWide(Fallback):
    """With these values, an access path narrows nothing, or has more keys than the table has rows.

    Raised and caught by `rome.sql.planner.bind`: the whole table is fetched by one scan.
    """


# ── evaluation: the workspace ─────────────────────────────────────────────────────────────────────────────────────────


class UnsupportedConstruct(Fallback):
    """A SELECT has a construct that is not certain to mean in Python what it means in SQLite.

    Raised by `rome.compiled.bind`, `rome.compiled.codegen` and, for a block without a scope, by
    `rome.sql.analysis.scopes.Scopes`; caught by `rome.compiled.compile.compile_select`, which returns NotCompiled with
    the reason (EXPLAIN shows it). Every execution of the statement runs in the workspace.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedValue(Fallback):
    """A compiled SELECT met a value that only SQLite knows how to treat: the text of a float, an overflowing sum.

    Or so many combinations of rows that SQLite, which has indexes, is faster.

    Raised by `rome.compiled.runtime`; caught by `rome.session.run` and `rome.session.topn`. This execution runs in the
    workspace, from the same fetched rows; the next one tries the compiled function again.
    """


class NeedsWorkspace(Fallback):
    """Only SQLite can tell which value a column stores, or whether it stores it at all.

    Raised by `rome.session.point_plan`, which runs INSERT and UPDATE by key without SQLite; caught by
    `rome.session.point_dml`. The statement runs in the workspace.
    """
