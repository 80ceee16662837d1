"""FOR UPDATE at the end of a SELECT, which SQLite does not have.

>>> read_locking("SELECT a FROM t WHERE b = ? FOR UPDATE SKIP LOCKED")
Locking(at=28, wait=<Wait.SKIP: 'skip locked'>)
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from rome.sql.syntax.token_reader import Reader
from rome.sql.syntax.tokens import names


class Wait(enum.Enum):
    """What to do about rows that somebody else has locked."""

    WAIT = ""
    NOWAIT = "nowait"
    SKIP = "skip locked"


@dataclass(frozen=True, slots=True)
class Locking:
    """A locking clause, and where it begins in the text."""

    at: int
    wait: Wait


_STRENGTHS = (("UPDATE",), ("SHARE",), ("NO", "KEY", "UPDATE"), ("KEY", "SHARE"))
"""What may follow FOR. All are taken as the strongest."""


def read_locking(sql: str) -> Locking | None:
    """The clause at the end of a text, in PostgreSQL's forms: FOR UPDATE [OF name, …] [NOWAIT | SKIP LOCKED]."""
    if "for" not in names(sql):
        return None
    reader = Reader(sql)
    while not reader.done:
        at = reader.token.start
        if reader.take("FOR"):
            wait = _behind_for(reader)
            return None if wait is None else Locking(at, wait)
        reader.skip_group()
    return None


def _behind_for(reader: Reader) -> Wait | None:
    if not any(reader.take(*words) for words in _STRENGTHS):
        return None
    if reader.take("OF"):
        reader.qualified_name()
        while reader.take(","):
            reader.qualified_name()
    wait = Wait.WAIT
    if reader.take("NOWAIT"):
        wait = Wait.NOWAIT
    elif reader.take("SKIP", "LOCKED"):
        wait = Wait.SKIP
    return wait if reader.done or reader.sees(";") else None
