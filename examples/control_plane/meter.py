"""Count the SQL statements and round trips of a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event


@dataclass
class Cost:
    """The cost of a step. `rounds` is None if the database does not count round trips."""

    statements: int = 0
    rounds: int | None = None


class Meter:
    """Measures the work done through one engine."""

    def __init__(self, engine: Engine) -> None:
        self._statements = 0
        self._stats = _store_stats(engine)
        event.listen(engine, "before_cursor_execute", self._count)

    @contextmanager
    def measure(self) -> Iterator[Cost]:
        """Yield a cost, which is set at the end of the `with` block."""
        cost = Cost()
        statements, rounds = self._statements, self._rounds()
        try:
            yield cost
        finally:
            cost.statements = self._statements - statements
            if rounds is not None:
                cost.rounds = self._rounds() - rounds

    def _count(self, *_: Any) -> None:
        self._statements += 1

    def _rounds(self) -> Any:
        return None if self._stats is None else self._stats.rounds


def _store_stats(engine: Engine) -> Any:
    """Return the store's counters of a ROME engine, which its connections share; None for other databases."""
    connection = engine.raw_connection()
    try:
        return getattr(connection.driver_connection, "stats", None)
    finally:
        connection.close()
