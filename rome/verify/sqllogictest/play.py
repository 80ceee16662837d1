"""A sqllogictest file on ROME, and the comparison of its results."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apsw

import rome
from rome.errors import Error
from rome.values import SqlValue
from rome.verify.sqllogictest.records import TestRecord, read_records

_NUMBERS = itertools.count()
_DIGEST = re.compile(r"(\d+) values? hashing to ([0-9a-f]{32})")
_UNPRINTABLE = re.compile(r"[^ -~]")
_CASTS = {"T": "TEXT", "I": "INTEGER", "R": "REAL"}


@dataclass(frozen=True, slots=True)
class FailedRecord:
    """A record whose result differs."""

    record: TestRecord
    expected: str
    found: str

    def __str__(self) -> str:
        return f"line {self.record.line}: {self.record.sql}\n    expected: {self.expected}\n    found:    {self.found}"


class FilePlayer:
    """Plays the records of one file, on a database of its own."""

    def __init__(self, store: str) -> None:
        """`store`: the URL of a store, up to the database's name."""
        self._url = f"{store}sqllogictest{os.getpid()}x{next(_NUMBERS)}"
        self._connection = rome.connect(self._url, isolation_level="AUTOCOMMIT")
        self._casts = apsw.Connection(":memory:")
        self._digests: dict[str, str] = {}
        """By label: the digest of the first result."""
        self.played = self.skipped = 0

    def play(self, text: str) -> Iterator[FailedRecord]:
        """Play a file; yield its failures. Raise FileError."""
        for record in read_records(text):
            if record.is_skipped:
                self.skipped += 1
                continue
            self.played += 1
            failure = self._play(record)
            if failure is not None:
                yield failure

    def _play(self, record: TestRecord) -> FailedRecord | None:
        try:
            rows = self._connection.execute(record.sql).fetchall()
        except Exception as error:  # whatever is raised is the result
            found = f"{type(error).__name__}: {error}"
            return None if record.fails and isinstance(error, Error) else FailedRecord(record, "no error", found)
        if record.fails:
            return FailedRecord(record, "an error", "no error")
        return self._compare(record, rows) if record.types else None

    def _compare(self, record: TestRecord, rows: Sequence[Sequence[SqlValue]]) -> FailedRecord | None:
        width = len(record.types)
        if rows and len(rows[0]) != width:
            return FailedRecord(record, f"{width} columns", f"{len(rows[0])} columns")
        values = self._values(record, rows)
        digest = hashlib.md5("".join(f"{each}\n" for each in values).encode(), usedforsecurity=False).hexdigest()
        if record.label and self._digests.setdefault(record.label, digest) != digest:
            return FailedRecord(record, f"the first result of label {record.label}", " ".join(values))
        expected = record.expected
        if expected is None:
            return None
        hashed = _DIGEST.fullmatch(expected[0].strip()) if len(expected) == 1 else None
        if hashed is not None:
            found = f"{len(values)} values hashing to {digest}"
            return None if hashed.groups() == (str(len(values)), digest) else FailedRecord(record, expected[0], found)
        return None if list(expected) == values else FailedRecord(record, " ".join(expected), " ".join(values))

    def _values(self, record: TestRecord, rows: Sequence[Sequence[SqlValue]]) -> list[str]:
        """Return the values of a result as text, in the order of the record's sort mode."""
        shown = [[self._shown(value, type_) for value, type_ in zip(row, record.types, strict=True)] for row in rows]
        if record.sort == "rowsort":
            shown.sort()
        values = list(itertools.chain.from_iterable(shown))
        return sorted(values) if record.sort == "valuesort" else values

    def _shown(self, value: SqlValue, type_: str) -> str:
        """Return a value as text, converted to the type of its column as SQLite does."""
        if value is None:
            return "NULL"
        (converted,) = next(self._casts.execute(f"SELECT CAST(? AS {_CASTS[type_]})", (value,)))
        if type_ == "R":
            return f"{converted:.3f}"
        return _UNPRINTABLE.sub("@", str(converted)) or "(empty)"

    def close(self) -> None:
        """Close the connection and drop the database."""
        self._connection.close()
        self._casts.close()
        rome.drop_database(self._url)
