"""The records of a sqllogictest file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ENGINE = "sqlite"
"""The name of ROME in `onlyif` and `skipif`."""

SORT_MODES = ("nosort", "rowsort", "valuesort")


class FileError(Exception):
    """A file is not in the format of sqllogictest; the text names the line."""


@dataclass(frozen=True, slots=True)
class TestRecord:
    """A statement, or a query with its expected result.

    `types`: a letter for each column of a query: T text, I integer, R real; empty for a statement. `expected`: the
    values as text, or one line with their number and digest; None if they are not compared.
    """

    line: int
    sql: str
    fails: bool = False
    types: str = ""
    sort: str = "nosort"
    label: str = ""
    expected: tuple[str, ...] | None = None
    is_skipped: bool = False


def read_records(text: str) -> Iterator[TestRecord]:
    """Yield the records of a file, up to `halt`. Raise FileError."""
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    is_skipped = False
    while at < len(lines):
        words = lines[at].partition("#")[0].split()
        begin = at + 1  # lines are counted from 1
        at += 1
        if not words:
            continue
        kind, *options = words
        if kind in ("onlyif", "skipif") and options:
            is_skipped = is_skipped or (kind == "onlyif") != (options[0].lower() == ENGINE)
        elif kind == "halt":
            if not is_skipped:
                return
            is_skipped = False
        elif kind in ("statement", "query"):
            at = begin
            while at < len(lines) and lines[at].strip():
                at += 1
            yield _record(begin, kind, options, lines[begin:at], is_skipped)
            is_skipped = False
        elif kind != "hash-threshold":  # for programs that write results: a result that is read says if it is a digest
            raise FileError(f"line {begin}: {kind!r} is not a record of sqllogictest")


def _record(line: int, kind: str, options: Sequence[str], lines: list[str], is_skipped: bool) -> TestRecord:
    if kind == "statement":
        if options not in (["ok"], ["error"]):
            raise FileError(f"line {line}: expected `statement ok` or `statement error`")
        return TestRecord(line, "\n".join(lines), fails=options == ["error"], is_skipped=is_skipped)
    types, sort, label = (*options, "", "", "")[:3]
    sort = sort or "nosort"
    if not types or set(types) - set("TIR") or sort not in SORT_MODES:
        raise FileError(f"line {line}: expected `query`, types of T, I and R, and one of {', '.join(SORT_MODES)}")
    expected = None
    if "----" in lines:
        at = lines.index("----")
        lines, expected = lines[:at], tuple(lines[at + 1 :])
    return TestRecord(line, "\n".join(lines), False, types, sort, label, expected, is_skipped)
