"""A fault of a database."""

from __future__ import annotations

from typing import NamedTuple

from rome.storage.store import Write


class Fault(NamedTuple):
    """A fault, one sentence. `kind` is one of those that `rome.testing.check` lists."""

    kind: str
    table: str
    message: str
    repair: Write | None = None
    """The write that mends it, if it follows from the row `row_key`."""
    rows: bytes = b""
    row_key: bytes = b""

    def __str__(self) -> str:
        return f"table {self.table}: {self.message}" if self.table else self.message
