"""Scripts: the steps of one case, as data and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rome.values import SqlValue

Row = tuple[SqlValue, ...]

RECONNECT = "RECONNECT"
"""A step that closes its connection and opens it again."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement. `many`: it is run by executemany, once for each row of `parameters`; else with the only one."""

    sql: str
    connection: int = 0
    parameters: tuple[Row, ...] = ((),)
    many: bool = False
    ordered: bool = False
    """True if ORDER BY makes the order of the result total."""
    locking: str = ""
    """A locking clause, which SQLite does not know: it comes after the text."""

    @property
    def is_change(self) -> bool:
        """Return whether the statement changes rows."""
        return self.sql.startswith(("INSERT", "REPLACE", "UPDATE", "DELETE"))

    def __str__(self) -> str:
        prefix = f"@{self.connection + 1} " if self.connection else ""
        shown = f"    {list(self.parameters)!r}" if self.many else f"    {self.parameters[0]!r}"
        return f"{prefix}{self.sql}{self.locking}{shown if self.many or self.parameters[0] else ''}"


@dataclass(frozen=True, slots=True)
class Script:
    """The steps of a case and the isolation level of its connections."""

    level: str
    steps: Sequence[Step] = field(default_factory=tuple)

    def __str__(self) -> str:
        return "\n".join([f"-- {self.level}", *map(str, self.steps)])


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one step: rows and row count, or an error's class and text."""

    rows: tuple[Row, ...] = ()
    count: int = -1
    error: str = ""
    rolls_back: bool = False
    """True if the error has rolled the transaction back, so that the next statement begins another one."""

    def __str__(self) -> str:
        return self.error or (f"{list(self.rows)!r}" + (f", {self.count} rows changed" if self.count > 0 else ""))


def comparable(rows: Sequence[Row], ordered: bool) -> list[str]:
    """Return rows as texts that tell 1 from 1.0 and text from blob; sorted, unless their order is total."""
    shown = [repr(tuple(row)) for row in rows]
    return shown if ordered else sorted(shown)
