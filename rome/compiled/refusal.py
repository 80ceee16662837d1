"""Why the compiled evaluator does not take a statement, or can't go on with one."""

from __future__ import annotations


class UnsupportedConstruct(Exception):  # not an error: it never leaves this package
    """While a statement is compiled: it has something that is not sure to mean here what it means to SQLite."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedValue(Exception):
    """While a statement runs: a value has come up that only SQLite knows how to treat. The workspace must run it.

    Nothing has happened: a SELECT can be run again, from the same rows.
    """
