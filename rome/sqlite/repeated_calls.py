"""Functions with another result at each call, in a statement that may run several times.

A statement that changes rows may be undone and run again (`rome.session.dml`), each time with the rows that its keys
need. A key that random() makes must be the same in all runs: otherwise each run would need another row. So the results
of such functions are kept while the statement goes on, and returned again in the same order.

    INSERT INTO tokens VALUES (hex(randomblob(16)))
    run 1      randomblob(16) returns a, which is kept; the row with the key a is not fetched: undo
    fetch      the row with the key a
    run 2      randomblob(16) returns a
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import apsw

_GREATEST = 2**63 - 1


class RepeatedCalls:
    """The results of such functions in one workspace."""

    def __init__(self) -> None:
        self._is_kept = False
        self._results: dict[Any, list[Any]] = {}
        """A function and its arguments, with their types → the results of its calls, in order."""
        self._next: dict[Any, int] = {}
        """For each of these, how many calls the running statement has made."""

    def begin(self) -> None:
        """Keep the results from now on: a statement begins."""
        self._is_kept = True

    def run_again(self) -> None:
        """Return the results from the first one on: the statement runs, perhaps once more."""
        self._next.clear()

    def end(self) -> None:
        """Forget the results: the statement has ended."""
        self._is_kept = False
        self._results.clear()
        self._next.clear()

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function whose results are kept."""

        def call(*arguments: Any) -> Any:
            if not self._is_kept:
                return function(*arguments)
            key = (function, arguments, tuple(map(type, arguments)))
            results = self._results.setdefault(key, [])
            at = self._next.get(key, 0)
            if at == len(results):
                results.append(function(*arguments))
            self._next[key] = at + 1
            return results[at]

        return call


def add_random_functions(sqlite: apsw.Connection, calls: RepeatedCalls) -> None:
    """Put random() and randomblob() in place of SQLite's own."""
    longest = sqlite.limit(apsw.SQLITE_LIMIT_LENGTH)
    sqlite.create_scalar_function("random", calls.wrap(_random), 0)
    sqlite.create_scalar_function("randomblob", calls.wrap(lambda size: _random_blob(size, longest)), 1)


def _random() -> int:
    """Return an integer of 64 bits, but not the least one: abs() of it has no value."""
    return max(int.from_bytes(os.urandom(8), "big", signed=True), -_GREATEST)


def _random_blob(size: Any, longest: int) -> bytes:
    """Return so many bytes, and at least one."""
    if not isinstance(size, int):
        (size,) = apsw.Connection(":memory:").execute("SELECT CAST(? AS INTEGER)", (size,)).fetchone() or (0,)
    if (size or 0) > longest:
        raise apsw.TooBigError("string or blob too big")
    return os.urandom(max(size or 0, 1))
