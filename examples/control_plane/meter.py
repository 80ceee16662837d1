"""Counts what a piece of work costs: SQL statements, and round trips to the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event


@dataclass
class Cost:
    """What a piece of work took. `rounds` is None where the database does not count round trips."""

    statements: int = 0
    rounds: int | None = None


class Meter:
    """Measures the work that is done through one engine."""

    def __init__(self, engine: Engine) -> None:
        self._statements = 0
        self._stats = _store_stats(engine)
        event.listen(engine, "before_cursor_execute", self._count)

    @contextmanager
    def measure(self) -> Iterator[Cost]:
        """A cost that is filled in at the end of the `with` block."""
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
    """The statistics of the store behind a ROME engine (its connections share them); None for other databases."""
    connection = engine.raw_connection()
    try:
        return getattr(connection.driver_connection, "stats", None)
    finally:
        connection.close()
