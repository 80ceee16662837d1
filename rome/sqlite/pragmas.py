"""PRAGMAs: which SQLite may run in the workspace, which ROME answers itself, and why every other one is refused.

    PRAGMA                                    run by
    `INSPECTING`: table_info, index_list …    SQLite, over the catalog and the rows
    `OF_CONNECTION`: foreign_keys …           `rome.session.pragmas`, before SQLite sees them
    user_version                              `rome.session.pragmas`; the catalog stores it
    `IGNORED`: synchronous, cache_size …      nobody: accepted, without effect
    any other                                 NotSupportedError

Nothing passes by default: a PRAGMA that SQLite would set in the workspace is lost with it, or is judged differently by
the compiled evaluator, or applies to all connections of the process. `check_pragma` is called by SQLite's authorizer,
so it also sees `EXPLAIN PRAGMA …` (which SQLite carries out) and table-valued functions, `SELECT * FROM pragma_…`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import apsw

from rome.errors import NotSupportedError

INSPECTING = frozenset(
    {
        "collation_list",
        "compile_options",
        "database_list",
        "foreign_key_check",
        "foreign_key_list",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "module_list",
        "pragma_list",
        "quick_check",
        "table_info",
        "table_list",
        "table_xinfo",
    }
)
"""Those that describe the schema or check the rows. An argument is the name of a table or index, or a limit."""

ROW_CHECKS = frozenset({"foreign_key_check", "integrity_check", "quick_check"})
"""Those that read the rows of all tables, which SQLite's authorizer does not report."""

OF_CONNECTION = frozenset(
    {"busy_timeout", "case_sensitive_like", "foreign_keys", "journal_mode", "query_only", "read_uncommitted"}
)
"""Settings of a connection. SQLAlchemy's dialects for SQLite send `read_uncommitted`; it has no effect in ROME."""

IGNORED = frozenset(
    {
        "cache_size",
        "cache_spill",
        "journal_size_limit",
        "mmap_size",
        "synchronous",
        "temp_store",
        "wal_autocheckpoint",
    }
)
"""Settings that programs send to make SQLite fast: no result depends on them. The store's settings decide on
durability and memory. They can be set, and are not answered."""

FUNCTION_PREFIX = "pragma_"

_FILE = "it is about SQLite's file; ROME's rows are in a store, whose settings decide on durability and memory"
_PROCESS = "it applies to the whole process; set the limit in the program, or for the process in the operating system"
_PLANNER = "ROME's planner needs no such setting; EXPLAIN PLAN FOR shows how a statement is run"
_RESULTS = "it changes how results look; name the columns with AS, order the rows with ORDER BY"

_REASONS: Mapping[str, str] = {
    "analysis_limit": _PLANNER,
    "application_id": "the schema has one number, PRAGMA user_version; keep others in a table",
    "automatic_index": _PLANNER,
    "count_changes": _RESULTS,
    "data_version": "commits of others are seen by reading: compare a row, or PRAGMA user_version",
    "defer_foreign_keys": "declare the foreign keys as DEFERRABLE INITIALLY DEFERRED",
    "empty_result_callbacks": _RESULTS,
    "encoding": "texts are stored as UTF-8",
    "full_column_names": _RESULTS,
    "hard_heap_limit": _PROCESS,
    "ignore_check_constraints": "CHECK constraints hold for every row; drop the constraint first, and add it again",
    "legacy_alter_table": "ALTER TABLE always follows a table into triggers and views; change them before",
    "optimize": _PLANNER,
    "recursive_triggers": "triggers do not fire themselves; use a recursive WITH clause or several statements",
    "reverse_unordered_selects": _RESULTS,
    "schema_version": "use PRAGMA user_version for a version of the schema",
    "short_column_names": _RESULTS,
    "shrink_memory": _PROCESS,
    "soft_heap_limit": _PROCESS,
    **dict.fromkeys(IGNORED, "it can be set, without effect; the store's settings decide on durability and memory"),
    "temp_store_directory": _PROCESS,
    "threads": _PLANNER,
    "writable_schema": "the schema is changed by CREATE, ALTER and DROP",
}


def check_pragma(name: str) -> None:
    """Raise NotSupportedError for a PRAGMA, by its name in lower case, that SQLite must not run in the workspace."""
    if name in OF_CONNECTION or name == "user_version":
        raise NotSupportedError(f"PRAGMA {name} is not supported within another statement: run it by itself")
    if name not in INSPECTING:
        reason = _REASONS.get(name, _FILE if name in _pragmas_of_sqlite() else "SQLite has none of this name")
        raise NotSupportedError(f"PRAGMA {name} is not supported: {reason}")


def pragma_of_function(name: str) -> str | None:
    """Return the PRAGMA that a table-valued function of SQLite reads (`pragma_table_info`); None for other names."""
    pragma = name.removeprefix(FUNCTION_PREFIX)
    return pragma if pragma != name and pragma in _pragmas_of_sqlite() else None


@cache
def _pragmas_of_sqlite() -> frozenset[str]:
    sqlite = apsw.Connection(":memory:")
    found: list[Any] = sqlite.execute("PRAGMA pragma_list").fetchall()
    sqlite.close()
    return frozenset(name for (name,) in found)
